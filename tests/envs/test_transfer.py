"""A hand-over is two grasps and an object in the air; a touch is neither."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.expert import OPERATORS, Waypoint, WaypointFollower
from envs.readings import Readings
from envs.robots import ROBOTS
from envs.sim import SimArm
from envs.task import StageTracker
from envs.tasks import TASKS
from envs.tasks.transfer import AIRBORNE, APART, HALF
from envs.variation import perturb
from envs.world import world

TASK = TASKS["transfer"]
SPEC = ROBOTS["viperx_pair"].spec()
LIFT, MEET, HAND_OVER = (TASK.stages.index(name) + 1 for name in ("lift", "meet", "hand_over"))
HIGH, LOW = AIRBORNE + 0.05, HALF[2]
INDEX = world(TASK).sensors
WIDTH = max(s.stop for s in INDEX.values())
FINGERS = ("left_left", "left_right", "right_left", "right_right")


def reading(fingers=(), height=HIGH, between=("left", "right"), x=0.5):
    """Return readings with some fingers at the bar, and some hands' middle in it."""
    values = np.zeros(WIDTH)
    values[INDEX["bar_pos"]] = [x, 0.0, height]
    values[INDEX["bar_quat"]] = values[INDEX["target_quat"]] = [1, 0, 0, 0]
    values[INDEX["target_pos"]] = [0.5, 0.0, 0.0]
    for arm in ("left", "right"):
        inside = [x, 0.0, height] if arm in between else [x, 0.0, height + 0.04]
        values[INDEX[f"{arm}_tcp_pos"]] = inside
        values[INDEX[f"{arm}_arm_bar"]] = any(finger.startswith(arm) for finger in fingers)
    for finger in fingers:
        values[INDEX[f"{finger}_bar"]] = 1
    return Readings(INDEX, values.tolist())


def follow(*readings):
    """Return the stage after each reading is there for a second and a half."""
    tracker = StageTracker(TASK, 50.0, 0)
    for r in readings:
        for _ in range(75):
            tracker.update(r)
    return tracker.stage


LEFT, RIGHT = FINGERS[:2], FINGERS[2:]
LIFTED = (reading(LEFT, LOW), reading(LEFT))


def test_the_stages_of_a_true_hand_over_come_one_after_another():
    whole = (*LIFTED, reading(FINGERS), reading(RIGHT), reading((), LOW))
    reached = [follow(*whole[: n + 1]) for n in range(len(whole))]
    assert reached == [2, LIFT, MEET, HAND_OVER + 1, len(TASK.stages)]


@given(st.sets(st.sampled_from(FINGERS)), st.floats(LOW, HIGH), st.sets(st.sampled_from("lr")))
def test_nothing_less_than_both_grasps_in_the_air_is_a_meeting(fingers, height, inside):
    between = [{"l": "left", "r": "right"}[k] for k in inside]
    both = len(fingers) == 4 and len(between) == 2 and height > AIRBORNE
    reached = follow(*LIFTED, reading(fingers, height, between))
    assert (reached >= MEET) == both


@given(st.sets(st.sampled_from(FINGERS)), st.floats(LOW, HIGH), st.booleans())
def test_only_the_second_arm_alone_in_the_air_has_been_handed_the_bar(fingers, height, inside):
    between = ["right"] if inside else []
    alone = fingers == set(RIGHT) and inside and height > AIRBORNE
    reached = follow(*LIFTED, reading(FINGERS), reading(fingers, height, between))
    assert (reached >= HAND_OVER) == alone


@given(st.lists(st.tuples(st.sets(st.sampled_from(FINGERS)), st.sampled_from([LOW, HIGH]))))
def test_no_sequence_without_a_hand_over_is_ever_a_success(happenings):
    readings = [reading(f, h) for f, h in happenings]
    if follow(*readings, reading((), LOW)) == len(TASK.stages):
        held = [set(f) for f, h in happenings if h == HIGH]
        assert set(FINGERS) in held
        assert set(RIGHT) in held[held.index(set(FINGERS)) :]


def test_a_bar_put_down_by_one_arm_and_picked_up_by_the_other_was_not_handed_over():
    on_the_way = (reading((), LOW), reading(RIGHT, LOW), reading(RIGHT), reading((), LOW))
    assert follow(*LIFTED, *on_the_way) == LIFT


def test_a_bar_that_the_second_arm_takes_alone_counts_for_nothing_but_reaching_it():
    assert follow(reading(RIGHT, LOW), reading(RIGHT), reading((), LOW)) <= 1


def test_however_it_hangs_a_bar_in_the_air_cannot_touch_the_table():
    assert np.linalg.norm(HALF) < AIRBORNE


def test_stages_are_the_same_for_one_and_for_many():
    cases = [*LIFTED, reading(FINGERS), reading(RIGHT), reading((), LOW), reading(RIGHT, x=0.3)]
    many = Readings(INDEX, np.array([r._values for r in cases]).T)
    for k, flags in enumerate(TASK.milestones(many)):
        assert flags.tolist() == [TASK.milestones(r)[k] for r in cases]
    assert TASK.goal(many).tolist() == [TASK.goal(r) for r in cases]


def above(point, height):
    return point + np.array([0.0, 0.0, height])


class Stage:
    """The expert lifts the bar to where it is handed over; from there the right hand is ours."""

    def __init__(self):
        self.arm = SimArm(TASK)
        start = TASK.sample(np.random.default_rng(5), SPEC)
        self.arm.home(start)
        expert = TASK.expert(self.arm.sim.world, OPERATORS["clean"])
        expert.reset(start, np.random.default_rng(0))
        while expert.index < 5:
            self.command = expert.act(self.arm.readings)
            self.arm.command(self.command)
        self.hand = WaypointFollower(self.arm.sim.world, OPERATORS["clean"], 1)
        self.hand.begin(self.command, np.random.default_rng(0))

    def move(self, pos, opening, steps=90, left=None):
        """Move the right hand; yield the readings of each control period."""
        for _ in range(steps):
            tcp = np.array(self.arm.readings["right_tcp_pos"])
            goal = Waypoint(np.asarray(pos), np.pi / 2, opening)
            self.command[7:] = self.hand.follow(goal, tcp)[0]
            if left is not None:
                self.command[6] = left
            self.arm.command(self.command)
            yield self.arm.readings

    @property
    def reached(self):
        return int(self.arm.sim.stage[0])

    @property
    def end(self):
        """Where the second hand would take the bar."""
        return np.array(self.arm.readings["bar_pos"]) + np.array([0.0, 0.038, 0.0])


def test_touching_the_bar_in_the_air_without_grasping_it_is_no_success():
    """The bug of an earlier benchmark: there the second gripper's touch was the whole reward."""
    stage = Stage()
    assert stage.reached == LIFT
    end = stage.end
    list(stage.move(above(end, 0.08), 0.0))
    touches = 0
    for r in stage.move(above(end, 0.018), 0.0, 120):  # a closed gripper presses from above
        touches += r.scalar("right_arm_bar") > 0
        assert stage.reached == LIFT
    assert touches > 50
    assert not stage.arm.sim.success_any[0]


def test_a_bar_that_is_let_go_before_it_is_grasped_falls_and_stays_not_handed_over():
    stage = Stage()
    end = stage.end
    list(stage.move(above(end, 0.06), 0.85))
    list(stage.move(end, 0.85, 40))  # around the bar, but open
    for _ in stage.move(end, 0.85, 40, left=1.0):
        assert stage.reached == LIFT
    assert stage.arm.readings["bar_pos"][2] < HIGH - 0.05
    list(stage.move(end, 0.15, 40))  # closed too late
    assert stage.reached == LIFT


def test_a_grasp_of_the_second_arm_is_a_meeting_and_the_release_of_the_first_the_hand_over():
    stage = Stage()
    end = stage.end
    list(stage.move(above(end, 0.06), 0.85))
    list(stage.move(end, 0.85, 40))
    assert stage.reached == LIFT
    list(stage.move(end, 0.15, 40))
    assert stage.reached == MEET
    list(stage.move(end, 0.15, 40, left=1.0))
    assert stage.reached == HAND_OVER
    assert stage.arm.readings["bar_pos"][2] > AIRBORNE


def test_nothing_but_fingers_and_friction_holds_the_bar():
    model = world(TASK).model
    bar = model.body("bar").id
    assert model.neq == 2  # the fingers of each gripper move together
    kinds = set(model.eq_type)
    assert kinds == {2}  # joint couplings; no weld, no connection
    assert model.body_parentid[bar] == 0
    assert model.jnt_type[model.body_jntadr[bar]] == 0


def test_the_bar_starts_before_the_left_arm_and_the_zone_before_the_right_one():
    for seed in range(100):
        start = TASK.sample(np.random.default_rng(seed), SPEC)
        bar, zone = start.objects["bar"], start.objects["target"]
        assert np.hypot(*bar[:2]) < 0.45
        assert np.hypot(zone[0] - 0.938, zone[1]) < 0.45
        assert zone[0] - bar[0] >= APART - 1e-9


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_a_bar_that_is_moved_does_not_come_to_lie_on_the_zone(level):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        start = perturb(TASK.sample(rng, SPEC), TASK, [("object_pose", level)], rng)
        gap = np.subtract(start.objects["bar"][:2], start.objects["target"][:2])
        assert np.linalg.norm(gap) >= APART - 1e-9


def test_the_arms_never_touch_each_other_and_keep_their_limits_in_a_demonstration():
    arm = SimArm(TASK)
    expert = TASK.expert(arm.sim.world, OPERATORS["clean"])
    for seed in range(3):
        start = TASK.sample(np.random.default_rng(seed), SPEC)
        arm.home(start)
        expert.reset(start, np.random.default_rng(seed))
        while not arm.sim.done[0]:
            arm.command(expert.act(arm.readings))
            assert not np.any(arm.readings["arm_arm"])
        assert arm.sim.success[0]
        assert arm.sim.clamps[0] == 0
