"""The training loop: it learns, it is exact, it survives."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import MakeDemos

from envs.errors import UsageError
from policies import bc, train_session, train_state
from policies.base import Preset
from policies.checkpoint import load_checkpoint
from policies.train import train
from policies.train_config import TrainConfig
from policies.train_log import overfits, read_log


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def interrupted_at(step: int) -> Callable[[int], None]:
    """Return an ``advance`` that presses Ctrl-C at ``step``."""
    done = 0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        if done == step:
            signal.raise_signal(signal.SIGINT)

    return advance


@pytest.fixture
def averaged(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour cloning with a moving average and dropout, the hardest case for a resume."""
    known = bc.BehaviorCloning.PRESETS["state", "quick"]
    config = replace(known.config, dropout=0.2, chunk=4, execute=2, n_obs=2)
    training = replace(known.training, ema_power=0.75, warmup=10)
    monkeypatch.setitem(bc.BehaviorCloning.PRESETS, ("state", "quick"), Preset(config, training))


def test_training_and_validation_loss_fall(config: TrainConfig, demos: MakeDemos):
    train(replace(config, data=demos("more", 40), steps=200))
    log = read_log(config.out)
    assert log[-1]["step"] == 200
    assert log[-1]["loss"] < 0.1 * log[0]["loss"]
    held = [line["val_loss"] for line in log if "val_loss" in line]
    assert len(held) == 20
    assert held[-1] < 0.5 * held[0]
    assert {"lr", "grad_norm", "seconds"} <= set(log[-1])


def test_the_same_config_gives_the_same_weights_and_another_seed_others(
    config: TrainConfig, tmp_path
):
    one, same, other = (
        train(replace(config, out=tmp_path / name, seed=seed))
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert weights(one) == weights(same)
    assert weights(one) != weights(other)


@pytest.mark.usefixtures("averaged")
def test_a_resumed_training_gives_bit_identical_weights_and_the_same_log(
    config: TrainConfig, tmp_path
):
    straight = train(replace(config, out=tmp_path / "straight"))
    for step in (1, 24, 59):
        with pytest.raises(KeyboardInterrupt):
            train(config, advance=interrupted_at(step))
        assert train_state.identity_of(config.out) is not None
        assert not (config.out / "provenance.json").exists()
    train(config)
    assert weights(config.out) == weights(straight)
    logs = [read_log(folder) for folder in (straight, config.out)]
    for line in logs[0] + logs[1]:
        del line["seconds"]
    assert logs[0] == logs[1]


def test_kill_9_costs_no_more_than_the_interval(demos: MakeDemos, tmp_path):
    config = TrainConfig("bc", demos(), tmp_path / "run", preset="quick", batch=16)
    program = (
        "from pathlib import Path; from policies import train_session\n"
        "from policies.train import train; from policies.train_config import TrainConfig\n"
        "train_session.SAVE_EVERY_S = 0.02\n"
        f"train(TrainConfig('bc', Path({str(config.data)!r}), Path({str(config.out)!r}), "
        "preset='quick', batch=16))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=Path.cwd())
    state = config.out / train_state.FILE
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        train(config, advance=interrupted_at_first(), say=reached.append)
    assert "continues at step" in reached[0]
    assert not list(config.out.glob(".*.part"))


def interrupted_at_first() -> Callable[[int], None]:
    def advance(n: int) -> None:
        signal.raise_signal(signal.SIGINT)

    return advance


def test_a_finished_training_is_left_as_it_is(config: TrainConfig):
    train(config)
    before = {path.name: path.stat().st_mtime_ns for path in config.out.glob("*.*")}
    said: list[str] = []
    train(config, say=said.append)
    assert {path.name: path.stat().st_mtime_ns for path in config.out.glob("*.*")} == before
    assert "trained already" in said[0]
    assert not (config.out / train_state.FILE).exists()


def test_another_run_in_the_folder_is_refused_and_can_be_replaced(config: TrainConfig):
    train(config)
    with pytest.raises(UsageError, match="another training: steps 60 there, 50 asked for"):
        train(replace(config, steps=50))
    with pytest.raises(UsageError, match="another seed"):
        train(replace(config, seed=9))
    train(replace(config, steps=50, resume=False))
    assert load_checkpoint(config.out).provenance["training"]["steps"] == 50


def test_a_broken_state_is_refused(config: TrainConfig):
    with pytest.raises(KeyboardInterrupt):
        train(config, advance=interrupted_at(5))
    state = config.out / train_state.FILE
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"resume\.safetensors is broken"):
        train(config)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(train_session, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(train_session, "SAVE_SHARE", 0.0)
    loss = bc.BehaviorCloning.loss
    calls = 0

    def poisoned(self, batch):
        nonlocal calls
        calls += 1
        value, extra = loss(self, batch)
        return value * (torch.nan if calls > 30 else 1), extra

    monkeypatch.setattr(bc.BehaviorCloning, "loss", poisoned)
    with pytest.raises(UsageError, match=r"not finite at step .*last_good; try a lower --lr"):
        train(config)
    monkeypatch.undo()
    assert load_checkpoint(config.out / "last_good").provenance["training"]["steps"] > 5
    assert not (config.out / "provenance.json").exists()


def test_a_loss_that_is_not_finite_at_once_says_that_nothing_was_saved(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        bc.BehaviorCloning,
        "loss",
        lambda self, batch: (self._actions(batch).sum() * torch.inf, {}),
    )
    with pytest.raises(UsageError, match=r"step 0 .* nothing was saved yet"):
        train(config)


def test_over_fitting_is_reported_once(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    rising = iter(np.linspace(1, 2, 100))
    monkeypatch.setattr("policies.train.Trainer.validate", lambda self: next(rising))
    said: list[str] = []
    train(replace(config, steps=400), say=said.append)
    assert sum("over-fitting" in text for text in said) == 1
    assert sum(line.get("event") == "overfitting" for line in read_log(config.out)) == 1


def test_a_validation_loss_that_falls_or_wavers_is_no_over_fitting():
    assert not overfits([(1 / k, 1 / k) for k in range(1, 20)])
    assert not overfits([(1 / k, 1 + 0.05 * (k % 2)) for k in range(1, 20)])
    assert not overfits([(1.0, 1.0 + 0.2 * k) for k in range(20)])  # training does not fall
    assert overfits([(1 / k, 1 + 0.2 * k) for k in range(1, 6)])


def test_the_provenance_says_what_it_was_made_of(config: TrainConfig):
    made = load_checkpoint(train(config)).provenance
    assert made["data"]["episodes"] == 10
    assert len(made["data"]["train"]) == 9
    assert len(made["data"]["validation"]) == 1
    assert made["training"]["steps"] == 60
    assert made["training"]["parameters"] > 1000
    assert made["training"]["cpu_s"] > 0
    assert json.loads((config.out / "config.json").read_text())["training"]["batch"] == 16


def test_a_blind_policy_reads_only_the_joints(config: TrainConfig):
    assert list(load_checkpoint(train(replace(config, blind=True))).spec.observations) == ["qpos"]


def test_training_leaves_the_random_state_of_others_alone(config: TrainConfig):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(replace(config, steps=3))
    assert torch.equal(torch.rand(3), expected)


def test_pixels_with_augmentation_train_and_resume_exactly(
    config: TrainConfig, demos: MakeDemos, tmp_path
):
    pixels = replace(config, data=demos("pixels", 4, image=16), track="pixels", steps=6, batch=4)
    pixels = replace(pixels, image_size=(12, 12))
    straight = train(replace(pixels, out=tmp_path / "straight"))
    with pytest.raises(KeyboardInterrupt):
        train(pixels, advance=interrupted_at(3))
    train(pixels)
    assert weights(pixels.out) == weights(straight)
    assert load_checkpoint(straight).spec.observations["images/overhead"] == (16, 16, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "bcc"}, "unknown algorithm 'bcc'; known: act, bc, bc_rnn"),
        ({"preset": "huge"}, "unknown preset 'huge' of bc on the state track; known: cpu, paper"),
        ({"track": "sound"}, "unknown track 'sound'; known: state, pixels"),
        ({"lr": -1.0}, "lr must be positive, got -1.0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"normalization": "none"}, "known: minmax, meanstd"),
        ({"validation": 1.5}, "validation must be"),
        ({"image_size": (8, 8)}, "--image-size belongs to --track pixels, got track 'state'"),
        ({"image_size": (0, 9)}, r"image_size must be at least 1 x 1, got \(0, 9\)"),
    ],
)
def test_what_is_unknown_or_impossible_is_refused(config: TrainConfig, change, message):
    with pytest.raises(UsageError, match=message):
        train(replace(config, **change))


def test_a_gpu_that_is_not_there_is_refused(config: TrainConfig):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError, match="cuda is not available"):
        train(replace(config, device="cuda"))


def test_a_folder_that_cannot_be_written_is_refused(config: TrainConfig):
    config.out.write_text("a file, not a folder")
    with pytest.raises(UsageError):
        train(config)


STEPS_OF_LARGE_TENSORS = """
import resource, sys, torch
from policies.train_session import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for step in range(50):
    if step == 30:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_kept_for_the_next_step():
    def faults(how: str) -> int:
        call = [sys.executable, "-c", STEPS_OF_LARGE_TENSORS, how]
        return int(subprocess.run(call, check=True, capture_output=True, text=True).stdout)

    assert faults("keep") < 0.1 * faults("give back")
