from pathlib import Path

import numpy as np
import pytest

from envs.episode import Episode, EpisodeMeta, write_episode
from scripts.main import main


def test_inspect_prints_tables_and_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        walk = np.cumsum(rng.normal(0, 0.01, (40, 14)), axis=0)
        meta = EpisodeMeta(success=i != 1, failure="" if i != 1 else "dropped")
        episode = Episode({"qpos": walk}, walk, np.arange(40) * 0.02, meta)
        write_episode(tmp_path / f"episode_{i}.hdf5", episode)
    (tmp_path / "episode_9.hdf5").write_bytes(b"hello")
    page = tmp_path / "page.html"
    assert main(["inspect", str(tmp_path), "--out", str(page), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "All 3, 2 used" in text
    assert "joint 13" in text
    assert "left out: episode_1.hdf5: failed: dropped" in text
    assert "cannot be used: episode_9.hdf5: is not a readable HDF5 file" in text
    assert "note: Only 2 demonstrations" in text
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_a_folder_that_holds_no_episode_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(tmp_path)]) == 2
    assert "must hold episodes (*.hdf5), and it holds none" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "none")]) == 2
    assert "must be a folder of episodes, and there is none" in capsys.readouterr().err
