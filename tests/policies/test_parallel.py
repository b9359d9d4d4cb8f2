"""Several processes train one policy: started by torchrun, over gloo, on the CPU."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy import episode

from envs.episode import write_episode
from envs.errors import UsageError
from policies import train_state
from policies.checkpoint import load_checkpoint
from policies.parallel import ALONE, Team, joined
from policies.train import train
from policies.train_config import TrainConfig
from policies.train_log import read_log

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
STEPS, STOPPED = 12, 5

GRADIENTS = """
import sys
from pathlib import Path
import numpy as np
from safetensors.torch import save_file
from policies.parallel import Team, joined
from policies.sources import source_of
from policies.train import Trainer
from policies.train_config import TrainConfig
import torch

data, out = map(Path, sys.argv[1:])
config = TrainConfig("bc", data, out, preset="quick")
plan = config.resolve()
with joined() as team:
    run = Trainer(config, plan, source_of(config), lambda text: None, team)
    drawn = run.team.part(run.sampler.draw(np.random.default_rng(3), 63))
    batch = run._tensors(run.sampler.sequences(drawn), learn=True)
    run.algorithm.eval()
    loss, _ = run.algorithm.loss(batch)
    loss.backward()
    value = team.average(run.algorithm.parameters(), loss, batch["pad"])
    found = {name: p.grad for name, p in run.algorithm.named_parameters()}
    save_file({**found, "loss": torch.tensor(value)}, f"{out}-{team.rank}.safetensors")
"""

STOP = """
import os, signal, sys
from pathlib import Path
from policies.train import train
from policies.train_config import TrainConfig

done = 0

def advance(n):
    global done
    done += n
    if done == 5 and os.environ["RANK"] == "1":
        signal.raise_signal(signal.SIGINT)

data, out = map(Path, sys.argv[1:])
try:
    train(TrainConfig("bc", data, out, preset="quick", steps=12, batch=16), advance)
except KeyboardInterrupt:
    sys.exit(0)
sys.exit(1)
"""


def run(*words: str | Path) -> None:
    """Run a program to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(word) for word in words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def command(data: Path, out: Path) -> list[str | Path]:
    words = ("train", "--algo", "bc", "--preset", "quick", "--steps", str(STEPS), "--batch", "16")
    return ["-m", "scripts.main", *words, "--data", data, "--out", out]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parallel")
    for index in range(6):
        write_episode(folder / f"episode_{index}.hdf5", episode(index, 20 + index))
    return folder


def test_the_gradient_of_two_processes_is_that_of_one_on_the_whole_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    monkeypatch.setattr(sys, "argv", [str(script), str(data), str(tmp_path / "alone")])
    runpy.run_path(str(script))
    run(*TORCHRUN, script, data, tmp_path / "pair")
    alone = load_file(tmp_path / "alone-0.safetensors")
    first, second = (load_file(tmp_path / f"pair-{rank}.safetensors") for rank in (0, 1))
    for name, gradient in alone.items():
        torch.testing.assert_close(first[name], gradient, rtol=1e-4, atol=1e-7)
        assert torch.equal(first[name], second[name]), name


def test_two_processes_write_one_checkpoint_and_the_same_bytes_again_also_after_a_stop(
    data: Path, tmp_path: Path
) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    run(*TORCHRUN, *command(data, once))
    provenance = load_checkpoint(once).provenance
    assert provenance["training"]["processes"] == 2
    steps = [line["step"] for line in read_log(once)]
    assert steps == sorted(set(steps)), "one process writes the log"
    assert len(list((once / "tensorboard").iterdir())) == 1
    assert not (once / train_state.FILE).exists()

    script = tmp_path / "stop.py"
    script.write_text(STOP)
    run(*TORCHRUN, script, data, again)
    assert train_state.step_of(again) == STOPPED
    assert not (again / "model.safetensors").exists()
    with pytest.raises(UsageError, match="another processes: 2 there, None asked for"):
        train(TrainConfig("bc", data, again, preset="quick", steps=STEPS, batch=16))
    run(*TORCHRUN, *command(data, again))
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
