"""Insertion with two arms: only a peg in a socket that is held in the air counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.failures import Trace, label
from envs.expert import OPERATORS
from envs.readings import Readings, point_of, seen_from
from envs.sim import SimArm
from envs.task import StageTracker
from envs.tasks import TASKS
from envs.tasks.insertion_pair import AIRBORNE, APART, DEPTH, PEG, TIP, InsertionPair
from envs.variation import perturb
from envs.world import world

TASK = TASKS["insertion_pair"]
ARM = world(TASK).arm
INDEX = world(TASK).sensors
WIDTH = max(s.stop for s in INDEX.values())
HIGH, LOW = AIRBORNE + 0.05, PEG[2]
PEG_IN_HAND, SOCKET_IN_HAND = (
    ("left_left_peg", "left_right_peg"),
    ("right_left_socket", "right_right_socket"),
)
BOTH = (*PEG_IN_HAND, *SOCKET_IN_HAND)
COLUMNS = (6, 13)


def reading(fingers=BOTH, height=HIGH, above=0.3, aside=0.0, turned=False):
    """Return readings: the peg's tip ``above`` the hole's bottom, ``aside`` of its axis [m]."""
    values = np.zeros(WIDTH)
    socket = np.array([0.47, 0.03, height])
    values[INDEX["socket_pos"]], values[INDEX["socket_quat"]] = socket, [1, 0, 0, 0]
    half = np.sqrt(0.5)
    quat = [half, 0, 0, half] if turned else [1, 0, 0, 0]
    tip = np.array(point_of(TIP, (0, 0, 0), quat))
    peg = socket + np.array([aside, -above, 0.0]) - tip
    values[INDEX["peg_pos"]], values[INDEX["peg_quat"]] = peg, quat
    values[INDEX["left_tcp_pos"]], values[INDEX["right_tcp_pos"]] = peg, socket
    for finger in fingers:
        values[INDEX[finger]] = 1
        hand, _, part = finger.split("_")
        values[INDEX[f"{hand}_arm_{part}"]] = 1
    return Readings(INDEX, values.tolist())


def follow(*readings):
    """Return the stage after each reading was there for a second and a half."""
    tracker = StageTracker(TASK, 50.0, 0)
    for r in readings:
        for _ in range(75):
            tracker.update(r)
    return tracker.stage


def stage(name):
    return TASK.stages.index(name) + 1


WORK = (
    reading((), LOW),
    reading(PEG_IN_HAND, LOW),
    reading(BOTH, LOW),
    reading(),
    reading(above=DEPTH + 0.02),
    reading(above=DEPTH - 0.02),
    reading(above=0.0),
    reading(SOCKET_IN_HAND, above=0.0),
)


def test_the_stages_of_the_work_come_one_after_another():
    reached = [follow(*WORK[: n + 1]) for n in range(len(WORK))]
    assert reached == list(range(1, len(TASK.stages) + 1))


@given(st.sets(st.sampled_from(BOTH)), st.sampled_from([LOW, HIGH]), st.floats(0, 0.02))
def test_only_a_socket_held_in_the_air_with_the_peg_let_go_at_its_bottom_is_the_goal(
    fingers, height, above
):
    done = fingers == set(SOCKET_IN_HAND) and height == HIGH and above < 0.003
    assert bool(TASK.goal(reading(sorted(fingers), height, above))) == done


def test_a_peg_across_the_mouth_or_beside_the_hole_is_not_in_it():
    assert follow(*WORK[:-2], reading(above=0.0, aside=0.02)) == stage("enter")
    assert not TASK.goal(reading(SOCKET_IN_HAND, above=-PEG[1], turned=True))
    assert TASK.goal(reading(SOCKET_IN_HAND, above=0.0))


def test_a_hand_that_touches_with_both_fingers_but_not_around_the_part_does_not_hold_it():
    r = reading()
    values = np.array(r._values)
    values[INDEX["right_tcp_pos"]] += [0.0, 0.0, 0.05]
    assert follow(*WORK[:3], Readings(INDEX, values.tolist())) == stage("grasp_both")


def test_stages_are_the_same_for_one_and_for_many():
    many = Readings(INDEX, np.array([r._values for r in WORK]).T)
    for k, flags in enumerate(TASK.milestones(many)):
        assert np.asarray(flags).tolist() == [bool(TASK.milestones(r)[k]) for r in WORK]
    assert np.asarray(TASK.goal(many)).tolist() == [bool(TASK.goal(r)) for r in WORK]


quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
points = st.tuples(*[st.floats(-1, 1)] * 3)


@given(points, points, quaternions)
def test_a_point_of_a_body_is_seen_from_it_where_it_is(point, pos, quat):
    unit = tuple(np.array(quat) / np.linalg.norm(quat))
    assert np.allclose(seen_from(point_of(point, pos, unit), pos, unit), point, atol=1e-9)


def test_however_it_hangs_nothing_in_the_air_can_touch_the_table():
    model = world(TASK).model
    for name in TASK.objects:
        body = model.body(name)
        for g in range(int(body.geomadr[0]), int(body.geomadr[0]) + int(body.geomnum[0])):
            corner = np.abs(model.geom_pos[g]) + model.geom_size[g]
            turned = model.geom_quat[g][0] < 0.999  # the slopes lie within the walls
            assert turned or np.linalg.norm(corner) < AIRBORNE


@pytest.mark.parametrize("clearance", [0.002, 0.001, 0.0005])
def test_the_hole_is_wider_than_the_peg_by_the_clearance(clearance):
    model = world(InsertionPair(clearance)).model
    body = model.body("socket")
    geoms = range(int(body.geomadr[0]), int(body.geomadr[0]) + int(body.geomnum[0]))
    for axis in (0, 2):
        faces = [
            abs(model.geom_pos[g][axis]) - model.geom_size[g][axis]
            for g in geoms
            if model.geom_quat[g][0] == 1.0 and abs(model.geom_pos[g][axis]) > 0.001
        ]
        assert 2 * min(faces) - 2 * PEG[axis] == pytest.approx(clearance)


@pytest.mark.parametrize("clearance", [0.0, -0.001, 0.01])
def test_a_clearance_that_makes_no_sense_is_refused(clearance):
    with pytest.raises(ValueError, match=r"clearance must be \.0002\.\.0\.004 m"):
        InsertionPair(clearance)


def test_nothing_but_fingers_and_friction_holds_the_parts():
    model = world(TASK).model
    assert set(model.eq_type) == {2}  # the fingers of each gripper move together; no weld
    for name in TASK.objects:
        body = model.body(name)
        assert body.parentid[0] == 0
        assert model.jnt_type[body.jntadr[0]] == 0


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_the_hands_have_room_between_the_parts_also_when_the_peg_is_moved(level):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        start = perturb(TASK.sample(rng, ARM), TASK, [("object_pose", level)], rng)
        peg, socket = start.objects["peg"], start.objects["socket"]
        assert socket[0] - peg[0] >= APART - 1e-9
        assert np.hypot(socket[0] - 0.938, socket[1]) < 0.45


# ---- demonstrations, and how they go wrong -------------------------------------------------------


def play(task, seed, column=None, after="rest"):
    """Let the expert work, but open a gripper once a stage is reached, and watch for .6 s more."""
    arm = SimArm(task)
    start = task.sample(np.random.default_rng(seed), ARM)
    arm.home(start)
    expert = task.expert(arm.sim.world, OPERATORS["clean"])
    expert.reset(start, np.random.default_rng(seed))
    sims, sensors, joints, actions, stages = arm.sim, [], [], [], []

    def look():
        sensors.append(np.array(arm.readings._values))
        joints.append(np.array(sims.observe()["qpos"][0]))
        stages.append(int(sims.stage[0]))

    look()
    while not sims.done[0] and (len(stages) < 30 or stages[-30] < stage(after)):
        command = expert.act(arm.readings)
        if sims.stage[0] >= stage(after):
            command[column] = 1.0
        arm.command(command)
        actions.append(command)
        look()
    done = np.array([bool(sims.success[0])])
    return Trace(
        INDEX, np.array(sensors)[:, None], np.array(joints)[:, None], np.array(actions)[:, None],
        np.array(stages)[:, None], np.array([len(actions)]), done, done, done, [""], 50.0, COLUMNS,
    ), sims  # fmt: skip


@pytest.mark.parametrize("clearance", [0.002, 0.0005])
def test_the_expert_inserts_at_other_clearances_too(clearance):
    assert play(InsertionPair(clearance), 7)[1].success[0]


def test_the_arms_never_touch_each_other_and_keep_their_limits_in_a_demonstration():
    trace, sims = play(TASK, 3)
    assert sims.success[0]
    assert not np.any(trace.readings()["arm_arm"])
    assert sims.clamps[0] == 0


@pytest.mark.parametrize(("column", "after"), [(6, "lift"), (13, "lift"), (13, "insert")])
def test_either_part_that_is_let_go_was_dropped(column, after):
    trace, sims = play(TASK, 1, column, after)
    assert not sims.success[0]
    failure, _ = label(trace, TASK)[0]
    assert failure == "dropped"


def test_a_peg_that_stays_half_way_is_jammed_until_it_goes_home():
    half, home = reading(above=DEPTH - 0.02)._values, reading(above=0.0)._values
    rows = np.array([[half, half]] * 150 + [[half, home]] * 50)
    flags = np.asarray(TASK.failures(Readings(INDEX, list(np.moveaxis(rows, 2, 0))))["jammed"])
    assert not flags[:99].any()
    assert flags[100:, 0].all()
    assert not flags[150:, 1].any()
