"""The commands that carry data and runs elsewhere: what they say, their exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.records import MANIFEST
from benchmarks.run import EvaluateConfig, evaluate
from benchmarks.verified import VERIFIED
from envs.episode import Episode, EpisodeMeta, episode_files, write_episode
from scripts.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sealed run of two nominal trials of a floor."""
    config = EvaluateConfig(
        "floor:hold", results=tmp_path_factory.mktemp("run"), conditions=("nominal",), trials=2,
        videos="none",
    )  # fmt: skip
    return evaluate(config).folder


def test_demonstrations_go_there_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    qpos = np.zeros((4, 7))
    write_episode(
        tmp_path / "a/episode_0.hdf5", Episode({"qpos": qpos}, qpos, np.arange(4), EpisodeMeta())
    )
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert main(["convert", a, b, "--to", "lerobot"]) == 0
    assert "1 episode" in capsys.readouterr().out
    assert main(["convert", b, str(tmp_path / "c"), "--to", "aloha"]) == 0
    assert len(episode_files(tmp_path / "c")) == 1
    assert main(["convert", a, b, "--to", "aloha"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_trials_are_exported_and_never_become_demonstrations(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "eval_info.json"
    assert main(["convert", str(run), str(out), "--to", "eval_info"]) == 0
    assert json.loads(out.read_text())["overall"]["n_episodes"] == 2
    assert main(["convert", str(run), str(tmp_path / "x"), "--to", "lerobot"]) == 2
    assert "a run folder becomes eval_info or csv" in capsys.readouterr().err


def test_a_run_is_verified_carried_over_and_verified_there(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parcel, board = tmp_path / "p.tar.xz", tmp_path / "board"
    assert main(["submit", str(run), "--out", str(parcel)]) == 0
    assert main(["accept", str(parcel), "--results", str(board)]) == 0
    assert "its row is partial" in capsys.readouterr().out
    there = board / "runs" / run.parent.name / run.name
    assert main(["verify", str(there), "--policy", "floor:hold"]) == 0
    assert "2 trials, run again with their policy" in capsys.readouterr().out
    assert (there / VERIFIED).is_file()
    (there / MANIFEST).write_bytes((there / MANIFEST).read_bytes().replace(b"hold", b"bold", 1))
    assert main(["verify", str(there), "--policy", "floor:hold"]) == 1
    assert "is not as it was sealed" in capsys.readouterr().out
    assert main(["submit", str(there), "--out", str(parcel)]) == 2
    assert "cannot be submitted" in capsys.readouterr().err
