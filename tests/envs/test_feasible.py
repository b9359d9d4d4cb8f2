"""Starts that cannot be are drawn again: the same seed, the same start, the redraws counted."""

from dataclasses import replace

import numpy as np
import pytest

from envs.arm import InitialCondition
from envs.collection import Collection
from envs.env import make
from envs.errors import UsageError
from envs.feasible import OVERLAP, checker, perturb_feasibly, redraws
from envs.kinematics import pointing_down
from envs.tasks import TASKS
from envs.variation import perturb
from envs.world import world

TASK = TASKS["pick_place"]
ARM = world(TASK).arm
HOME = [("home_pose", "L3")]


def nominal(seed: int = 0) -> InitialCondition:
    return TASK.sample(np.random.default_rng(seed), ARM)


def near_a_limit(joint: int = 2) -> InitialCondition:
    start = nominal()
    qpos = list(start.qpos)
    qpos[joint] = ARM.upper[joint] - 0.01
    return replace(start, qpos=tuple(qpos))


def test_a_start_beyond_a_limit_is_drawn_again_and_counted():
    counts = []
    for seed in range(40):
        start = perturb_feasibly(near_a_limit(), TASK, HOME, np.random.default_rng(seed), arm=ARM)
        assert (np.array(start.qpos) <= ARM.upper).all()
        counts.append(redraws(start))
    assert counts.count(0) > 5
    assert sum(c > 0 for c in counts) > 5


def test_the_same_seed_redraws_to_the_same_start_which_survives_json():
    for seed in range(10):
        a, b = (
            perturb_feasibly(near_a_limit(), TASK, HOME, np.random.default_rng(seed), arm=ARM)
            for _ in range(2)
        )
        assert a == b
        assert InitialCondition.from_json(a.to_json()) == a


def test_a_redrawn_start_runs():
    starts = (
        perturb_feasibly(near_a_limit(), TASK, HOME, np.random.default_rng(seed), arm=ARM)
        for seed in range(40)
    )
    start = next(s for s in starts if redraws(s))
    env = make("pick_place", variations=HOME)
    env.reset(options={"start": start})
    env.step(np.array(start.qpos))
    assert env.start.factors["redrawn"] == {"count": redraws(start)}


def test_a_feasible_draw_is_what_perturb_draws():
    for seed in range(10):
        axes = [("object_pose", "L3"), ("home_pose", "L2"), ("distractors", "L3")]
        free, checked = (
            draw(nominal(seed), TASK, axes, np.random.default_rng(seed), arm=ARM)
            for draw in (perturb, perturb_feasibly)
        )
        assert checked == free


def test_a_level_that_leaves_no_start_is_refused_with_the_reason():
    start = near_a_limit()
    beyond = replace(start, qpos=tuple(np.array(start.qpos) + np.eye(ARM.n)[2] * 3))
    with pytest.raises(UsageError, match=r"home_pose/L3: none of 100 draws .* elbow is beyond its"):
        perturb_feasibly(beyond, TASK, HOME, np.random.default_rng(0), arm=ARM)


def test_an_object_must_be_on_the_table_and_in_reach():
    check = checker(TASK, "viperx", 0)

    def fault(x: float, y: float) -> str | None:
        pose = (x, y, 0.02, 1.0, 0.0, 0.0, 0.0)
        start = nominal()
        objects = {**start.objects, "cube": pose}
        return check.fault(replace(start, objects=objects, factors={"object_pose": {}}), OVERLAP)

    assert fault(0.35, 0.1) is None
    assert fault(0.9, 0.0) == "cube is off the table"
    assert fault(0.74, 0.55) == "cube is out of reach"


def test_an_arm_in_the_table_is_found():
    check, start = checker(TASK, "viperx", 0), nominal()
    q = check.kinematics.solve(
        check.home, np.array([0.35, 0.0, -0.03]), pointing_down(0.0), iterations=60
    )
    buried = replace(start, qpos=(*map(float, q), start.qpos[-1]))
    assert "overlap" in check.fault(buried, OVERLAP)
    assert check.fault(start, OVERLAP) is None


@pytest.mark.parametrize("robot", ["viperx", "koch", "openarm"])
def test_randomised_demonstrations_start_where_the_arm_can(robot):
    axes = (("object_pose", "L3"), ("home_pose", "L3"), ("object_size", "L3"))
    collection = Collection("pick_place", robot, variations=axes)
    check = checker(TASK, robot, 0)
    for i in range(10):
        assert check.fault(collection.start(i), OVERLAP) is None
