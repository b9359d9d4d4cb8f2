import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.statics import Statics
from real.machine import Cleared, Sensed
from real.motion import braking_path, fastest, next_step, stopping
from real.rules import Rules, SafetyConfig
from real.safety import check
from real.stop import Reaction, StopRequest
from real.verdict import Outcome, State, Tick, Verdict
from tests.real.machines import EPS, TOY, assert_within, free

RULES = Rules.of(TOY)
ZERO = np.zeros(TOY.n)
AT = np.array([0.2, 0.5, 0.5])


def sensed(qpos=AT, stamp=0.0, **others) -> Sensed:
    return Sensed(np.array(qpos, float), ZERO, others.pop("effort", ZERO), stamp, **others)


def tick(wanted, seen=None, **others) -> Tick:
    others.setdefault("watchdog_s", 0.2)
    return Tick(wanted, seen or sensed(), 0.0, **others)


def pass_one(wanted, seen=None, state=None, clearance=free, **others) -> tuple[State, Outcome]:
    return check(tick(wanted, seen, **others), state or State.at(AT, RULES), RULES, clearance)


def whats(outcome: Outcome) -> list[str]:
    return [finding.what for finding in outcome.findings]


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_fastest_way_to_a_limit_ends_at_it_and_keeps_to_all_limits(seed) -> None:
    rng = np.random.default_rng(seed)
    state = State.at(rng.uniform(RULES.lower, RULES.upper), RULES)
    goal = np.where(rng.random(TOY.n) < 0.5, RULES.lower, RULES.upper)
    for _ in range(70):
        before = state
        reach = np.clip(goal, state.target - 0.4, state.target + 0.4)
        state, outcome = pass_one(reach, sensed(state.target), state)
        assert_within(before, state, RULES)
        assert outcome.verdict <= Verdict.CLAMPED
    assert state.target == pytest.approx(goal, abs=1e-6)


@given(
    room=st.floats(0, 10),
    change=st.floats(1e-4, 0.1),
)
def test_the_fastest_step_uses_the_room_up_and_no_more(room, change) -> None:
    step = fastest(np.array([room]), np.array([change]))
    way = step + stopping(step, np.array([change]))
    assert way == pytest.approx(room, rel=1e-9, abs=1e-9)


def test_braking_goes_as_far_as_was_foretold() -> None:
    step, change = np.array([0.05, -0.021, 0.0]), np.array([0.012, 0.004, 1.0])
    path = braking_path(ZERO, step, change)
    assert path[-1] == pytest.approx(stopping(step, change))
    assert len(braking_path(ZERO, ZERO, change)) == 0


def test_a_step_is_what_was_asked_for_where_nothing_forbids_it() -> None:
    room = (np.full(3, 1.0), np.full(3, 1.0))
    step = next_step(np.array([0.01, -0.02, 0.0]), ZERO, room, np.full((2, 3), 0.03))
    assert step.tolist() == [0.01, -0.02, 0.0]


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ([0.2, np.nan, 0.5], "not finite: target"),
        ([0.2, np.inf, 0.5], "not finite: target"),
        ([0.2, 0.5], "shape of the action"),
        (np.zeros((1, 3)), "shape of the action"),
        ("left", "no numbers in the action"),
        ([0.9, 0.5, 0.5], "jump"),
        ([0.2, 3.5, 0.5], "joint limit"),
    ],
)
def test_an_action_that_makes_no_sense_is_refused_and_the_arm_brakes(wanted, what) -> None:
    moving = State(AT, np.array([0.02, 0.0, 0.0]), 0, ZERO, ZERO)
    state, outcome = pass_one(wanted, state=moving)
    assert outcome.verdict is Verdict.REJECTED
    assert what in whats(outcome)
    assert 0 < state.step[0] < 0.02
    assert outcome.ends == ""


def test_a_target_a_little_outside_is_clamped_and_named() -> None:
    near = State.at(np.array([1.45, 0.5, 0.5]), RULES)
    state, outcome = pass_one([1.6, 0.5, 0.5], sensed(near.target), near)
    assert outcome.verdict is Verdict.CLAMPED
    found = outcome.findings[0]
    assert (found.what, found.where, found.limit) == ("joint limit", "base", 1.5)
    assert str(found) == "joint limit of base: 1.6 rad, limit 1.5"
    assert state.target[0] < 1.5


def test_a_harmless_action_passes_as_it_is() -> None:
    state, outcome = pass_one(AT + 0.005)
    assert outcome.verdict is Verdict.PASSED
    assert outcome.findings == ()
    assert state.target == pytest.approx(AT + 0.005)


def test_three_refused_actions_in_a_row_end_the_trial_and_a_good_one_between_them_forgives() -> (
    None
):
    bad, good = [np.nan] * 3, AT
    ends = []
    state = State.at(AT, RULES)
    for action in (bad, bad, good, bad, bad, bad):
        state, outcome = pass_one(action, state=state)
        ends.append(outcome.ends)
    assert ends == ["", "", "", "", "", "rejected"]


def wall(command) -> tuple[float, str]:
    """A wall at base = .4 rad."""
    return 0.4 - float(command[0]), "the wall"


def test_the_arm_stops_before_a_wall_however_it_is_driven_at_it() -> None:
    state = State.at(AT, RULES)
    reached = []
    for _ in range(60):
        wanted = state.target + np.array([0.1, 0.0, 0.0])
        state, outcome = pass_one(wanted, sensed(state.target), state, wall)
        reached.append(state.target[0])
    assert outcome.verdict is Verdict.REJECTED
    assert outcome.findings[-2].where == "the wall"
    assert max(reached) <= 0.4 + 0.01 + EPS
    assert max(reached) > 0.3


def test_an_arm_beyond_a_wall_may_only_come_back() -> None:
    beyond = State.at(np.array([0.6, 0.5, 0.5]), RULES)
    seen = sensed(beyond.target)
    worse, refused = pass_one(beyond.target + np.array([0.01, 0, 0]), seen, beyond, wall)
    back, passed = pass_one(beyond.target - np.array([0.01, 0, 0]), seen, beyond, wall)
    assert refused.verdict is Verdict.REJECTED
    assert passed.verdict is Verdict.PASSED
    assert back.target[0] < worse.target[0] == 0.6


def test_an_arm_measured_beyond_a_wall_may_only_come_back() -> None:
    at = State.at(np.array([0.3, 0.5, 0.5]), RULES)
    pushed = sensed([0.6, 0.5, 0.5])
    assert pass_one([0.31, 0.5, 0.5], pushed, at, wall)[1].verdict is Verdict.REJECTED
    assert pass_one([0.29, 0.5, 0.5], pushed, at, wall)[1].verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("seen", "others", "what", "ends"),
    [
        (sensed(faults={"elbow": "overload"}), {}, "motor fault (overload)", "invalid_hardware"),
        (sensed(temperature={"gripper": 71.0}), {}, "temperature", "invalid_hardware"),
        (sensed(temperature={"gripper": np.nan}), {}, "temperature", "invalid_hardware"),
        (sensed(stamp=-0.05), {}, "stale reading", ""),
        (sensed(stamp=-0.5), {}, "stale reading", "invalid_hardware"),
        (sensed(stamp=0.5), {}, "stale reading", ""),
        (sensed(stamp=np.nan), {}, "stale reading", ""),
        (sensed(qpos=[np.nan, 0, 0]), {}, "reading that is not finite", ""),
        (sensed(ages={"wrist": 0.3}), {}, "stale frame", ""),
        (sensed(), {"late": 0.05}, "late action", ""),
        (sensed(), {"lost": ("elbow",)}, "no answer", ""),
        (sensed(), {"watchdog_s": None}, "watchdog", "invalid_hardware"),
        (sensed(), {"watchdog_s": 1.0}, "watchdog", "invalid_hardware"),
        (sensed(), {"request": StopRequest(Reaction.HOLD, "key")}, "emergency stop", "stopped"),
    ],
)
def test_what_is_wrong_holds_the_arm_and_is_named(seen, others, what, ends) -> None:
    state, outcome = pass_one([0.25, 0.5, 0.5], seen, **others)
    assert outcome.verdict is Verdict.HELD
    assert what in whats(outcome)
    assert outcome.ends == ends
    assert outcome.cleared is not None
    assert (state.target == AT).all()


def test_limp_is_distinct_from_hold_and_sends_nothing() -> None:
    _, outcome = pass_one(AT, request=StopRequest(Reaction.LIMP, "key"))
    assert outcome.verdict is Verdict.LIMP
    assert outcome.cleared is None


def test_nobody_who_asks_is_a_hold_without_a_complaint() -> None:
    moving = State(AT, np.array([0.05, 0.0, 0.0]), 0, ZERO, ZERO)
    for _ in range(10):
        moving, outcome = pass_one(None, sensed(moving.target), moving)
    assert outcome.verdict is Verdict.HELD
    assert outcome.findings == ()
    assert not moving.step.any()


def test_a_blocked_arm_ends_the_trial_and_relaxes_to_where_it_is() -> None:
    state, ends = State.at(np.array([0.7, 0.5, 0.5]), RULES), ""
    stuck = sensed([0.2, 0.5, 0.5])
    for _ in range(60):
        state, outcome = pass_one(None if ends else state.target, stuck, state)
        ends = ends or outcome.ends
    assert ends == "blocked"
    assert state.target[0] == pytest.approx(0.2, abs=1e-6)


def test_a_joint_at_its_largest_effort_for_too_long_is_named_a_gripper_is_not() -> None:
    state = State.at(AT, RULES)
    for _ in range(60):
        seen = sensed(effort=np.array([0.0, 4.9, 20.0]))
        state, outcome = pass_one(AT, seen, state)
    assert [found.where for found in outcome.findings] == ["elbow"]
    assert outcome.ends == "blocked"


def test_settings_are_checked_and_narrow_the_arm() -> None:
    config = SafetyConfig(upper=(("elbow", 1.0), ("base", 9.0)), velocity=1.0)
    spec = Rules.of(TOY, config).spec
    assert spec.upper == (1.5, 1.0, 1.0)
    assert spec.velocity == (1.0, 1.0, 3.0)
    for wrong, message in (
        ({"velocity": -1.0}, "velocity must be a positive number"),
        ({"lower": (("shoulder", 0.0),)}, "known: base, elbow, gripper"),
        ({"upper": (("elbow", 0.3),)}, "home of elbow must be in its range"),
        ({"ramp": 2.0}, "at most 1"),
        ({"clearance": 2.0}, "within 0.1 m"),
    ):
        with pytest.raises(UsageError, match=message):
            Rules.of(TOY, SafetyConfig(**wrong))


def test_cleared_targets_are_finite_and_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="finite"):
        Cleared(np.array([0.0, np.nan]))
    cleared = Cleared(np.zeros(2))
    with pytest.raises(ValueError, match="read-only"):
        cleared.target[0] = 1.0


@pytest.mark.parametrize("robot", ["viperx", "koch", "openarm", "viperx_pair"])
def test_a_real_arm_driven_at_random_never_leaves_its_workspace(robot) -> None:
    statics, rules = Statics(robot), Rules.of(ROBOTS[robot].spec())
    rng = np.random.default_rng(1)
    state = State.at(np.array(rules.spec.home), rules)
    goal, verdicts, nearest = state.target, set(), np.inf
    for k in range(400):
        if k % 40 == 0:
            goal = rng.uniform(rules.lower, rules.upper)
        before = state
        wanted = np.clip(goal, state.target - 0.3, state.target + 0.3)
        seen = Sensed(state.target, np.zeros(rules.spec.n), np.zeros(rules.spec.n), 0.0)
        state, outcome = check(
            Tick(wanted, seen, 0.0, watchdog_s=0.2), state, rules, statics.clearance
        )
        assert_within(before, state, rules)
        nearest = min(nearest, statics.clearance(state.target)[0])
        verdicts.add(outcome.verdict)
    assert nearest >= rules.config.clearance - 1e-6
    assert {Verdict.CLAMPED, Verdict.REJECTED} <= verdicts


@pytest.mark.parametrize(
    ("robot", "pose", "what"),
    [
        ("viperx", {"shoulder": 1.2, "elbow": -0.6}, "above the table"),
        ("viperx", {"waist": 3.1, "shoulder": 0.3, "elbow": -0.4}, "box"),
        ("koch", {"shoulder_lift": 1.5}, "above the table"),
    ],
)
def test_forward_kinematics_tell_what_a_pose_is_too_near_to(robot, pose, what) -> None:
    statics = Statics(robot)
    command = np.array(statics.spec.home)
    assert statics.clearance(command)[0] > 0
    for joint, angle in pose.items():
        command[statics.spec.joints.index(joint)] = angle
    near, name = statics.clearance(command)
    assert near < 0
    assert what in name


def test_links_that_run_into_each_other_are_named() -> None:
    statics = Statics("viperx_pair")
    command = np.array(statics.spec.home)
    for side in (0, 7):
        command[side + 1 : side + 6] = [0.3, 0.0, 0.0, 0.2, 0.0]
    near, name = statics.clearance(command)
    assert near < 0
    assert "left_" in name
    assert "against right_" in name


def test_gravity_is_what_a_simulated_arm_needs_to_stay_where_it_is() -> None:
    statics = Statics("openarm")
    torque = statics.gravity(np.array(statics.spec.home))
    assert torque.shape == (8,)
    assert torque[-1] == 0.0
    assert 1.0 < np.abs(torque).max() < 15.0
    assert statics.gravity(np.array(statics.spec.home)) == pytest.approx(torque)
