from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy import MakeDemos, episode

from envs.episode import write_episode
from policies.base import TRACKS
from policies.bc import BehaviorCloning
from policies.train_config import TrainConfig


@pytest.fixture
def demos(tmp_path: Path) -> MakeDemos:
    """Write ``episodes`` demonstrations of 20 to 29 steps and return their folder."""

    def make(name: str = "demos", episodes: int = 10, image: int = 0) -> Path:
        folder = tmp_path / name
        for index in range(episodes):
            steps = 20 + index % 10
            write_episode(folder / f"episode_{index}.hdf5", episode(index, steps, image))
        return folder

    return make


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A behaviour cloning that trains in a moment."""
    for track in TRACKS:
        known = BehaviorCloning.PRESETS[track, "quick"]
        preset = known._replace(
            config=replace(known.config, hidden=(64, 64)),
            training=replace(known.training, warmup=5),
        )
        monkeypatch.setitem(BehaviorCloning.PRESETS, (track, "quick"), preset)


@pytest.fixture
def config(small: None, demos: MakeDemos, tmp_path: Path) -> TrainConfig:
    """A training of behaviour cloning that takes about a second."""
    return TrainConfig(
        algo="bc", data=demos(), out=tmp_path / "run", preset="quick", steps=60, batch=16
    )


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
