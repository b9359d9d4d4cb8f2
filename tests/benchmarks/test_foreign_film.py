"""Videos of trials in somebody else's environment, from its own pictures."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from benchmarks.foreign import ForeignConfig, foreign_workers, prepare_foreign
from benchmarks.records import read_run, verify_run
from benchmarks.run import evaluate

COUNTER = itertools.count()


class Slider(gym.Env[Any, Any]):
    """A square that the action moves; it can be asked for pictures."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    observation_space = spaces.Box(-100.0, 1e6, (1,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    forgetful = False

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self.x = render_mode, 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.x = float(next(COUNTER) if self.forgetful else self.np_random.uniform(0, 5))
        return np.array([self.x]), {}

    def step(self, action: Any) -> Any:
        self.x += float(action[0])
        return np.array([self.x]), 1.0, False, False, {}

    def render(self) -> Any:
        picture = np.full((480, 640, 3), 230, np.uint8)
        left = int(np.clip(300 + 20 * self.x, 0, 560))
        picture[200:280, left : left + 80] = (200, 40, 40)
        return picture


class Forgetful(Slider):
    """Its seed does not decide its episodes."""

    forgetful = True


class Blind(Slider):
    """It draws nothing."""

    metadata = {"render_modes": []}  # noqa: RUF012


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    kinds = {"Slider-v0": Slider, "Forgetful-v0": Forgetful, "Blind-v0": Blind}
    for name, kind in kinds.items():
        gym.register(name, kind, max_episode_steps=30)  # type: ignore[arg-type]
    yield
    for name in kinds:
        del gym.registry[name]


def run(results: Path, name: str, videos: str = "some") -> tuple[Path, list[str]]:
    """Evaluate random actions there; return the run folder and what was said."""
    said: list[str] = []
    config = ForeignConfig(
        "floor:random", results=results, trials=3, batch=2, workers=1, env=f"gym:{name}",
        success="return>100", videos=videos,
    )  # fmt: skip
    job = prepare_foreign(config, said.append)
    with foreign_workers(1) as pool:
        return evaluate(job.config, job=job, pool=pool, say=said.append).folder, said


def test_a_trial_is_filmed_by_the_environment_itself(tmp_path: Path) -> None:
    folder, _ = run(tmp_path, "Slider-v0", videos="few")
    (name,) = [t["video"] for t in read_run(folder).trials if t["video"]]
    assert verify_run(folder) == []
    assert read_run(folder).seal["files"][name]  # type: ignore[index]
    with av.open(str(folder / name)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        rate = float(container.streams.video[0].average_rate)  # type: ignore[arg-type]
    assert rate == pytest.approx(20 / 2)
    assert len(frames) == 30 / 2 + rate
    assert frames[0].shape[1] == 320
    red = [np.argwhere(f[110, :, 1] < 120).mean() for f in frames[: 30 // 2]]
    assert np.ptp(red) > 2


def test_no_videos_are_made_where_none_are_wanted(tmp_path: Path) -> None:
    folder, said = run(tmp_path, "Slider-v0", videos="none")
    assert not (folder / "videos").exists()
    assert said == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Blind-v0", "draws no rgb_array"), ("Forgetful-v0", "does not repeat a trial")],
)
def test_what_cannot_be_filmed_is_said_once_and_the_run_goes_on(
    tmp_path: Path, name: str, reason: str
) -> None:
    folder, said = run(tmp_path, name, videos="all")
    assert sum(reason in line for line in said) == 1
    assert verify_run(folder) == []
    assert not list(folder.glob("videos/*.mp4"))
