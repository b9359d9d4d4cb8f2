import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from envs.episode import Episode, EpisodeMeta, write_episode
from policies.remote import RemotePolicy
from policies.train import train
from policies.train_config import TrainConfig
from scripts import main as cli


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    meta = EpisodeMeta(task="toy", robot="toy", joints=("a", "b"), success=True)
    for index in range(4):
        qpos = np.random.default_rng(index).normal(size=(21, 2)).astype(np.float32)
        cube = np.tile(qpos[0, 0], (20, 7))
        seen = {"qpos": qpos[:-1], "objects/cube": cube}
        episode = Episode(seen, qpos[1:], np.arange(20) / 50, meta)
        write_episode(folder / "data" / f"episode_{index}.hdf5", episode)
    return train(TrainConfig("bc", folder / "data", folder / "bc", steps=2))


def test_a_checkpoint_is_served_until_ctrl_c(trained: Path) -> None:
    words = ["serve", "--policy", str(trained), "--port", "0"]
    command = [sys.executable, "-u", "-m", "scripts.main", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("ws://127.0.0.1:"))
        assert line.startswith("Serving bc (toy, toy, state) at ")
        policy = RemotePolicy(address)
        assert policy.spec.joints == ("a", "b")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "0 chunks served" in rest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--policy {new}", "is not a checkpoint folder"),
        ("--policy {trained} --port 70000", "--port must be 0..65535, got 70000"),
        ("--policy {trained} --threads 0", "--threads must be at least 1, got 0"),
        ("--policy {trained} --max-message 0", "--max-message must be positive"),
        ("--policy {trained} --device abacus", "device 'abacus' cannot be used here"),
        ("--policy {trained} --host 203.0.113.1 --port 0", "cannot serve on 203.0.113.1"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: str, told: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words.format(new=tmp_path / "new", trained=trained).split()
    assert cli.main(["serve", *given]) == 2
    assert told in capsys.readouterr().err
