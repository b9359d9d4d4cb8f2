"""Assembly: the order matters, and the score tells how far one has come."""

import itertools

import numpy as np
import pytest

from envs.parts import standing
from envs.readings import Readings
from envs.tasks import TASKS
from envs.tasks.assembly import CAP, HALF, ORDER, PLATE, SEAT
from envs.variation import perturb
from envs.world import world
from tests.envs.fitting import demonstrate, moved, start_of, watch

TASK = TASKS["assembly"]
SPOT = (0.34, -0.11, 0.1)  # x, y, yaw of the fixture


def built(*parts, stand=SPOT):
    """Return a start with some parts already on the stand, and the stand at a spot."""
    start = moved(start_of(TASK, 0), {"fixture": standing(*SPOT, 0.0)})
    poses = {"stand": standing(*stand, PLATE[2])}
    return moved(start, poses | {name: standing(*stand, PLATE[2] + SEAT[name]) for name in parts})


@pytest.fixture(scope="module")
def demo():
    return demonstrate(TASK, start_of(TASK, 0))


def wrong(r):
    return bool(np.asarray(TASK.failures(r)["wrong_order"]).any())


def test_parts_put_together_by_hand_stay_where_they_belong():
    sims, r = watch(TASK, built("ring", "collar", "cap"), 50)
    assert all(bool(np.asarray(flag)[-1, 0]) for flag in TASK.placed(r).values())
    assert bool(np.asarray(TASK.goal(r))[-1, 0])
    assert sims.stage[0] == 0  # but nobody has done the work


def test_the_demonstration_goes_through_all_stages_in_the_right_order(demo):
    sims, r = demo
    assert sims.success[0]
    assert not wrong(r)
    first = [np.flatnonzero(np.asarray(flag)[:, 0])[0] for flag in TASK.placed(r).values()]
    assert sorted(first) == first


def test_the_score_rises_with_every_part(demo):
    _, r = demo
    flags = np.array([np.asarray(flag)[:, 0] for flag in TASK.milestones(r)])
    first = flags.argmax(axis=1)
    assert flags.any(axis=1).all()
    assert (np.diff(first) > 0).all()
    assert first[2] < 0.35 * len(r["tcp_pos"][0])  # the stand is a quarter of the work


def test_milestones_of_one_moment_are_those_of_the_whole_run(demo):
    sims, r = demo
    whole = np.array([np.asarray(flag)[:, 0] for flag in TASK.milestones(r)])
    for t in range(0, whole.shape[1], 40):
        now = Readings(sims.world.sensors, [float(v[t, 0]) for v in r._values])
        assert [bool(flag) for flag in TASK.milestones(now)] == whole[:, t].tolist()


def test_a_ring_on_a_stand_outside_its_fixture_is_the_wrong_order():
    _, r = watch(TASK, built("ring", stand=(0.38, 0.01, 0.0)), 20)
    assert wrong(r)


@pytest.mark.parametrize("part", ["collar", "cap"])
def test_a_part_on_the_post_without_the_one_below_is_the_wrong_order(part):
    _, r = watch(TASK, built(part), 20)
    assert wrong(r)
    assert not np.asarray(TASK.placed(r)[part])[-1, 0]  # it sinks to the foot: too low


def test_the_ring_cannot_go_home_over_the_collar():
    start = built("collar")
    on_top = standing(*SPOT, PLATE[2] + SEAT["collar"] + 0.016)
    _, r = watch(TASK, moved(start, {"ring": on_top}), 50)
    assert not any(np.asarray(TASK.placed(r)[name])[-1, 0] for name in ("ring", "collar"))


def test_a_stand_with_its_ring_in_the_fixture_is_the_right_order():
    _, r = watch(TASK, built("ring", "collar"), 20)
    assert not wrong(r)


def test_the_cap_rests_on_the_collar_not_on_the_tip_of_the_post():
    _, r = watch(TASK, built("ring", "collar", "cap"), 50)
    gap = r["cap_pos"][2][-1, 0] - r["collar_pos"][2][-1, 0] - CAP[1] - HALF["collar"]
    assert abs(gap) < 0.0008


def test_the_expert_builds_with_the_openarm():
    assert demonstrate(TASK, start_of(TASK, 1, "openarm"), "openarm")[0].success[0]


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_no_two_parts_start_in_each_other_also_when_the_stand_is_moved(level):
    arm = world(TASK).arm
    reach = {"stand": 0.032, "ring": 0.0285, "collar": 0.023, "cap": 0.02, "fixture": 0.042}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        nominal = TASK.sample(rng, arm)
        assert TASK.separate(nominal.objects) == dict(nominal.objects)
        start = perturb(nominal, TASK, [("object_pose", level)], rng)
        for a, b in itertools.combinations((*ORDER, "fixture"), 2):
            gap = np.subtract(start.objects[a][:2], start.objects[b][:2])
            assert np.linalg.norm(gap) > reach[a] + reach[b], (seed, a, b)
