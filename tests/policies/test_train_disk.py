"""A training on a full disk, and two trainings into one folder."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from envs.errors import UsageError
from envs.lock import locked
from policies import train_session, train_state
from policies.checkpoint import load_checkpoint
from policies.train import train
from policies.train_config import TrainConfig
from policies.train_log import Board, read_log


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def interrupt(folder: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> int:
    """Train some steps, save, stop as Ctrl-C does; return the step that was saved."""
    with monkeypatch.context() as patch:
        patch.setattr(train_session, "SAVE_EVERY_S", 0.0)
        patch.setattr(train_session, "SAVE_SHARE", 0.0)
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            if done > 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(replace(config, out=folder), advance)
    step = train_state.step_of(folder)
    assert step is not None
    return step


def test_a_full_disk_while_logging_says_that_nothing_was_saved_and_training_starts_anew(
    config: TrainConfig,
) -> None:
    with (
        full_at(4000),
        pytest.raises(UsageError, match="the disk is full; nothing was saved yet; free some space"),
    ):
        train(config)
    assert len(read_log(config.out)) > 5
    assert load_checkpoint(train(config)).provenance["training"]["steps"] == 60
    assert [line["step"] for line in read_log(config.out)] == list(range(1, 61))


@pytest.mark.parametrize("what", ["log.jsonl", "tensorboard", "state", "checkpoint"])
def test_a_full_disk_keeps_the_last_state_and_training_goes_on_to_the_same_weights(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    straight = train(replace(config, out=tmp_path / "straight"))
    step = interrupt(config.out, config, monkeypatch)
    with monkeypatch.context() as patch:
        size = 10_000
        if what == "state":
            patch.setattr(train_session, "SAVE_EVERY_S", 0.0)
        elif what == "log.jsonl":
            size = (config.out / what).stat().st_size + 500
        elif what == "tensorboard":
            patch.setattr(Board, "write", full)
        told = f"training stopped: the disk is full; the state of step {step} is kept in "
        with full_at(size), pytest.raises(UsageError, match=told):
            train(config)
    assert train_state.step_of(config.out) == step
    assert not list(config.out.glob(".*.part"))
    train(config)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (straight, config.out)]
    assert weights[0] == weights[1]


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_second_training_into_a_folder_is_refused_and_changes_nothing(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = interrupt(config.out, config, monkeypatch)
    before = {p: p.read_bytes() for p in config.out.rglob("*") if p.is_file()}
    with locked(config.out, ""), pytest.raises(UsageError, match="another training is at work"):
        train(replace(config, resume=False))
    assert {p: p.read_bytes() for p in config.out.rglob("*") if p.is_file()} == before
    said: list[str] = []
    train(config, say=said.append)
    assert said == [f"{config.out}: continues at step {step}"]


def test_tensorboard_reads_what_was_logged(config: TrainConfig) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(config)
    board = EventAccumulator(str(config.out / "tensorboard")).Reload()
    shown = {event.step: event.value for event in board.Scalars("loss")}
    assert shown == pytest.approx({line["step"]: line["loss"] for line in read_log(config.out)})
