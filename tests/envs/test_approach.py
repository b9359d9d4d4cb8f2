"""Every task on every arm: where things start, how they are grasped, and that it succeeds."""

import numpy as np
import pytest

from envs.ability import able
from envs.approach import Approach
from envs.arm import REFERENCE, Workspace
from envs.env import make
from envs.expert import OPERATORS
from envs.kinematics import pointing_down
from envs.robots import ROBOTS
from envs.task import Region
from envs.tasks import TASKS
from envs.variation import perturb
from envs.world import world

TASK = TASKS["pick_place"]


def at(x, y):
    return np.array([x, y, 0.024])


@pytest.fixture(params=able(TASK))
def robot(request):
    return request.param


def test_a_region_stays_itself_in_the_reference_workspace():
    region = Region((0.27, 0.41), (-0.16, 0.16), (-0.44, 0.44))
    assert region.within(REFERENCE) == region


def test_a_region_is_moved_and_scaled_with_the_workspace():
    half = Workspace(x=(0.1, 0.17), y=(-0.08, 0.08), hover=0.05)
    moved = Region((0.34, 0.41), (0.0, 0.16), (0.0, 1.0)).within(half)
    assert np.allclose(moved.x, (0.135, 0.17))
    assert np.allclose(moved.y, (0.0, 0.08))
    assert moved.yaw == (0.0, 1.0)


def test_things_start_in_the_workspace_of_the_arm(robot):
    arm = ROBOTS[robot].spec()
    box = np.array([arm.workspace.x, arm.workspace.y])
    for seed in range(200):
        start = TASK.sample(np.random.default_rng(seed), arm)
        for pose in start.objects.values():
            assert (np.array(pose[:2]) >= box[:, 0] - 1e-9).all()
            assert (np.array(pose[:2]) <= box[:, 1] + 1e-9).all()
        gap = np.subtract(start.objects["cube"][:2], start.objects["target"][:2])
        assert np.linalg.norm(gap) >= 0.12


def test_a_perturbed_object_leaves_the_box_of_its_arm(robot):
    arm = ROBOTS[robot].spec()
    region = TASK.region_on(arm)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        moved = perturb(TASK.sample(rng, arm), TASK, [("object_pose", "L1")], rng, arm=arm)
        cube = moved.objects["cube"]
        ranges = zip(cube[:2], (region.x, region.y), strict=True)
        assert np.isclose(max(max(lo - v, v - hi) for v, (lo, hi) in ranges), 0.01)


@pytest.mark.parametrize("operator", ["clean", "noisy"])
def test_the_expert_succeeds_with_every_arm(robot, operator):
    env = make("pick_place", robot)
    expert = TASK.expert(env.arm.sim.world, OPERATORS[operator])
    for seed in range(4):
        env.reset(seed=seed)
        expert.reset(env.start, np.random.default_rng(seed))
        done = False
        while not done:
            *_, success, truncated, _ = env.step(expert.act(env.arm.readings))
            done = success or truncated
        assert success, f"seed {seed}"


def test_a_gripper_that_does_not_lean_points_straight_down():
    for yaw in (-1.0, 0.0, 0.5):
        assert np.array_equal(pointing_down(yaw), pointing_down(yaw, 0.0, 0.7))
    near = pointing_down(0.5, 1e-9, 0.7)
    assert np.allclose(np.abs(near @ pointing_down(0.5)), 1.0)


def test_an_arm_with_a_free_wrist_takes_the_nearest_quarter_turn():
    approach = Approach(world(TASK, "viperx"))
    point = at(0.3, 0.1)
    assert approach.grasp(0.3, [point]) == (0.3, 0.0)
    assert np.isclose(approach.grasp(1.4, [point])[0], 1.4 - np.pi / 2)


def test_a_short_arm_leans_only_where_it_must():
    approach = Approach(world(TASK, "koch"))
    near, far = at(0.14, 0.0), at(0.20, 0.10)
    above = np.array([0.0, 0.0, 0.05])
    assert approach.grasp(0.0, [near, near + above])[1] == 0.0
    assert approach.grasp(0.0, [far, far + above])[1] > 0.0


def test_a_quarter_turn_of_the_box_gives_the_same_grasp():
    approach = Approach(world(TASK, "koch"))
    point = at(0.15, 0.05)
    first, second = (approach.grasp(yaw, [point]) for yaw in (0.2, 0.2 + np.pi / 2))
    assert np.allclose(first, second)
