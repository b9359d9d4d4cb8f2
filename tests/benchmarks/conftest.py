"""Leaderboards and a checkpoint that several test files read."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from boards import FEW, small, tiny
from made_checkpoint import make_checkpoint

from benchmarks.leaderboard import Made, make_leaderboard


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    small(folder).write_all()
    return folder


@pytest.fixture(scope="module")
def made(results: Path) -> Made:
    return make_leaderboard(results)


@pytest.fixture(scope="module")
def table(made: Made) -> dict[str, Any]:
    (only,) = made.board["tables"]
    return only


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    tiny(folder).write_all(FEW)
    return folder


@pytest.fixture
def own(few: Path, tmp_path: Path) -> Path:
    """Return a copy of a few runs that a test may spoil."""
    shutil.copytree(few / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("policy"))
