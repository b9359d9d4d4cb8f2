"""Several processes train one policy: started by torchrun, over gloo, on the CPU."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from toy import episode

from envs.episode import write_episode
from envs.errors import UsageError
from policies import train_state
from policies.checkpoint import load_checkpoint
from policies.parallel import ALONE, Team, joined
from policies.sources import source_of
from policies.train import Trainer, train
from policies.train_config import TrainConfig
from policies.train_log import read_log
from scripts.main import main

ROOT = Path(__file__).resolve().parents[2]
STEPS, STOPPED = 12, 5

SIZE = 2


def gradients(data: Path, out: Path) -> None:
    """Write the gradient of one batch, as every process of the team has it in the end."""
    config = TrainConfig("bc", data, out, preset="quick")
    plan = config.resolve()
    with joined() as team:
        trainer = Trainer(config, plan, source_of(config), lambda text: None, team)
        drawn = team.part(trainer.sampler.draw(np.random.default_rng(3), 63))
        batch = trainer._tensors(trainer.sampler.sequences(drawn), learn=True)
        trainer.algorithm.eval()
        loss, _ = trainer.algorithm.loss(batch)
        loss.backward()
        value = team.average(trainer.algorithm.parameters(), loss, batch["pad"])
        found = {name: p.grad for name, p in trainer.algorithm.named_parameters()}
        save_file({**found, "loss": torch.tensor(value)}, f"{out}-{team.rank}.safetensors")


def stopped(data: Path, out: Path) -> None:
    """Train until the second process gets a Ctrl-C."""
    done = 0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        if done == STOPPED and os.environ["RANK"] == "1":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig("bc", data, out, preset="quick", steps=STEPS, batch=16), advance)


def trained(data: Path, out: Path) -> None:
    """Train by the command."""
    assert main(command(data, out)) == 0


def command(data: Path, out: Path) -> list[str]:
    words = ("train", "--algo", "bc", "--preset", "quick", "--steps", str(STEPS), "--batch", "16")
    return [*words, "--data", str(data), "--out", str(out)]


def member(rank: int, port: int, work: Callable[[Path, Path], None], data: Path, out: Path) -> None:
    """Do ``work`` as one process of a team, told what torchrun tells it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": SIZE, "MASTER_PORT": port}
    os.environ |= {key: str(value) for key, value in told.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    work(data, out)


def team(work: Callable[[Path, Path], None], data: Path, out: Path) -> None:
    """Let two processes do ``work``: as torchrun does, but torch is imported once for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["policies.train", "scripts.main", "tensorboard.summary.writer"])
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    members = [
        context.Process(target=member, args=(rank, store.port, work, data, out))
        for rank in range(SIZE)
    ]
    for one in members:
        one.start()
    for one in members:
        one.join()
    assert [one.exitcode for one in members] == [0] * SIZE


def torchrun(*words: str) -> None:
    """Run the command under torchrun to its end."""
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, str(SIZE), "-m", "scripts.main", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parallel")
    for index in range(6):
        write_episode(folder / f"episode_{index}.hdf5", episode(index, 20 + index))
    return folder


def test_the_gradient_of_two_processes_is_that_of_one_on_the_whole_batch(
    data: Path, tmp_path: Path
) -> None:
    gradients(data, tmp_path / "alone")
    team(gradients, data, tmp_path / "pair")
    alone = load_file(tmp_path / "alone-0.safetensors")
    first, second = (load_file(tmp_path / f"pair-{rank}.safetensors") for rank in (0, 1))
    for name, gradient in alone.items():
        torch.testing.assert_close(first[name], gradient, rtol=1e-4, atol=1e-7)
        assert torch.equal(first[name], second[name]), name


def test_two_processes_write_one_checkpoint_and_the_same_bytes_again_also_after_a_stop(
    data: Path, tmp_path: Path
) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    torchrun(*command(data, once))
    provenance = load_checkpoint(once).provenance
    assert provenance["training"]["processes"] == 2
    steps = [line["step"] for line in read_log(once)]
    assert steps == sorted(set(steps)), "one process writes the log"
    assert len(list((once / "tensorboard").iterdir())) == 1
    assert not (once / train_state.FILE).exists()

    team(stopped, data, again)
    assert train_state.step_of(again) == STOPPED
    assert not (again / "model.safetensors").exists()
    with pytest.raises(UsageError, match="another processes: 2 there, None asked for"):
        train(TrainConfig("bc", data, again, preset="quick", steps=STEPS, batch=16))
    team(trained, data, again)
    for name in ("model.safetensors", "stats.json"):
        assert (once / name).read_bytes() == (again / name).read_bytes(), name
    assert [line["step"] for line in read_log(again)] == steps


def test_each_process_draws_noise_of_its_own_and_the_first_that_of_a_single_one() -> None:
    assert Team(0, 2).seed(7) == ALONE.seed(7) == 7
    assert len({Team(rank, 3).seed(7) for rank in range(3)}) == 3


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_parts_of_all_processes_are_the_batch(size: int) -> None:
    parts = [Team(rank, size).part(np.arange(8)) for rank in range(size)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(8))


def test_processes_that_do_not_answer_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"WORLD_SIZE is 2, .* with torchrun"), joined():
        pass
