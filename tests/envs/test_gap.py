"""The gap between the simulated arm and another one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.arm import CameraSpec, InitialCondition
from envs.batch import SimBatch
from envs.errors import UsageError
from envs.gap import GAP, GAPS, NONE, Gap, gap_of, play, with_gap
from envs.tasks import TASKS
from envs.variation import perturb

TASK = TASKS["pick_place"]


def start() -> InitialCondition:
    sim = SimBatch(TASK, size=1, threads=1)
    return TASK.sample(np.random.default_rng(3), sim.spec)


def run(begin: InitialCondition, periods: int = 30) -> np.ndarray:
    """Joint positions (periods, n) under a swing of the waist."""
    sim = SimBatch(TASK, size=1, threads=1)
    sim.reset((begin,))
    targets = np.tile(np.array(begin.qpos), (periods, 1))
    targets[:, 0] += 0.4 * np.sin(np.arange(periods) / 5)
    seen = []
    for target in targets:
        sim.step(target[None])
        seen.append(sim.observe()["qpos"][0])
    return np.array(seen)


def test_a_gap_survives_json_and_a_nominal_one_leaves_no_trace() -> None:
    begin = start()
    for name in GAPS:
        other = with_gap(begin, GAPS[name])
        again = InitialCondition.from_json(other.to_json())
        assert gap_of(again.factors) == GAPS[name]
    assert with_gap(begin, NONE) == begin
    assert with_gap(with_gap(begin, GAPS["hard"]), NONE) == begin


def test_a_nominal_gap_changes_no_byte() -> None:
    begin = start()
    explicit = replace(begin, factors={GAP: {"friction": 1.0}})
    np.testing.assert_array_equal(run(begin), run(explicit))


@pytest.mark.parametrize(
    "gap",
    [
        Gap(friction=8.0),
        Gap(damping=3.0),
        Gap(gain=0.5),
        Gap(backlash=0.03),
        Gap(latency=0.06),
        Gap(noise=0.01),
    ],
)
def test_every_mechanical_parameter_changes_what_the_arm_does(gap: Gap) -> None:
    begin = start()
    moved = np.abs(run(with_gap(begin, gap)) - run(begin)).max()
    assert moved > 1e-3


def test_latency_delays_by_its_control_periods() -> None:
    begin = start()
    late, prompt = run(with_gap(begin, Gap(latency=0.06))), run(begin)
    np.testing.assert_allclose(late[3:, 0], prompt[:-3, 0], atol=1e-4)


def test_a_gap_comes_on_top_of_variations() -> None:
    begin = perturb(start(), TASK, [("damping_gain", "L2")], np.random.default_rng(0))
    begin = perturb(begin, TASK, [("action_delay", "L3")], np.random.default_rng(0))
    both = run(with_gap(begin, Gap(latency=0.16, gain=0.6)))
    assert np.isfinite(both).all()
    assert np.abs(both - run(begin)).max() > 1e-3


def test_pictures_show_the_cameras_offset_exposure_and_tint() -> None:
    sim = SimBatch(TASK, size=1, threads=1, cameras=[CameraSpec("overhead", 32, 32)])
    begin = start()

    def picture(gap: Gap) -> np.ndarray:
        sim.reset((with_gap(begin, gap),))
        return np.array(sim.observe()["images/overhead"][0], float)

    plain = picture(NONE)
    assert np.abs(picture(Gap(camera_shift=(0.05, 0.0, 0.0))) - plain).mean() > 1
    assert picture(Gap(exposure=0.5)).mean() == pytest.approx(plain.mean() / 2, rel=0.05)
    red, _, blue = picture(Gap(tint=(0.8, 1.0, 0.5))).mean((0, 1)) / plain.mean((0, 1))
    assert red == pytest.approx(0.8, abs=0.02)
    assert blue == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(picture(NONE), plain)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"gain": 0.0}, "gain"),
        ({"latency": 1.0}, "latency"),
        ({"backlash": -0.1}, "backlash"),
        ({"tint": (1.0, 0.0, 1.0)}, "tint"),
        ({"camera_turn": (0.0, 1.0)}, "camera_turn"),
        ({"slack": 1.0}, "slack"),
    ],
)
def test_what_cannot_be_is_refused_by_name(values: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Gap.from_json(values)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=40),
    st.floats(0, 0.5),
)
def test_behind_a_play_a_joint_is_never_further_than_half_of_it_and_moves_no_more(
    wanted: list[float], width: float
) -> None:
    at = np.zeros(1)
    for goal in wanted:
        new = play(at, np.array([goal]), width)
        assert abs(new[0] - goal) <= width / 2 + 1e-12
        assert abs(new[0] - at[0]) <= abs(goal - at[0]) + 1e-12
        at = new
