"""Any episode comes back from LeRobot and robomimic bit for bit."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from converted import there_and_back
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.arm import Array, InitialCondition
from envs.episode import Episode, EpisodeMeta, fingerprint
from envs.marks import Marks

pytest.importorskip("pyarrow")


def numbers(draw: st.DrawFn, shape: tuple[int, ...]) -> Array:
    """Any float32 that an episode may hold, tiny and huge ones among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1.0, 1e-40, 1e30]))
    return (scale * rng.normal(size=shape)).astype(np.float32)


@st.composite
def episodes(draw: st.DrawFn) -> list[Episode]:
    """Draw one to three episodes of one kind: other lengths, values and metadata."""
    n, hz = draw(st.sampled_from([1, 7, 14])), draw(st.sampled_from([20.0, 50.0]))
    size = draw(st.sampled_from([(16, 16), (17, 33), None]))
    extra = draw(st.sets(st.sampled_from(["qvel", "effort", "objects/cube", "instruction"])))
    marked = draw(st.booleans())
    made = []
    for i in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(1, 9))
        observed: dict[str, Array] = {"qpos": numbers(draw, (steps, n))}
        for key in sorted(extra):
            width = {"objects/cube": 7, "instruction": 3}.get(key, n)
            observed[key] = numbers(draw, (steps, width))
        if size:
            rng = np.random.default_rng(i)
            observed["images/wrist"] = rng.integers(0, 256, (steps, *size, 3), np.uint8)
        times = np.cumsum(np.full(steps, 1 / hz)) + draw(st.floats(0, 1e6))
        start = InitialCondition((0.1,) * n, {"cube": (0.3, 0, 0.02, 1, 0, 0, 0)}, {}, i)
        meta = EpisodeMeta(
            task=draw(st.sampled_from(["", "pick_place"])) if i == 0 else made[0].meta.task,
            instruction=draw(st.text(max_size=12).filter(str.isprintable)),
            robot=made[0].meta.robot if i else draw(st.sampled_from(["", "viperx", "other"])),
            success=draw(st.sampled_from([True, False, None])),
            start=draw(st.sampled_from([None, start])), index=i, seed=draw(st.integers(0, 9)),
            joints=tuple(f"j{k}" for k in range(n)), control_hz=hz, way="left", operator="clean",
        )  # fmt: skip
        actions = numbers(draw, (steps, n))
        asked = np.arange(steps) % 2 == 0
        marks = (
            Marks(numbers(draw, (steps, n)), asked, asked & (draw(st.booleans())))
            if marked
            else None
        )
        made.append(Episode(observed, actions, times, meta, marks))
    return made


@settings(max_examples=8)
@given(episodes(), st.sampled_from(["lossless", "png"]))
def test_an_episode_comes_back_from_lerobot_bit_for_bit(made: list[Episode], images: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        back = there_and_back(made, (("lerobot", images),), Path(name))
    assert back == [fingerprint(episode) for episode in made]


@settings(max_examples=8)
@given(episodes())
def test_an_episode_comes_back_from_robomimic_bit_for_bit(made: list[Episode]) -> None:
    with tempfile.TemporaryDirectory() as name:
        back = there_and_back(made, (("robomimic", "h264"),), Path(name))
    assert back == [fingerprint(episode) for episode in made]
