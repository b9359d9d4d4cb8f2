"""Two arms at one table as one robot: 14 joints, through everything that one arm goes through."""

import itertools

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.ability import able, refusal
from envs.arm import CameraSpec
from envs.batch import SimBatch
from envs.collect import collect
from envs.collection import Collection
from envs.env import make
from envs.episode import read_episode
from envs.errors import UsageError
from envs.kinematics import Kinematics, pointing_down
from envs.robot_pair import RobotPair
from envs.robots import ROBOTS
from envs.sensors import hands
from envs.sim import SimArm
from envs.tasks import TASKS
from envs.variation import perturb
from envs.viperx import VIPERX
from envs.world import world

PAIR = ROBOTS["viperx_pair"]
TASK = TASKS["transfer"]
LEFT, RIGHT = slice(0, 7), slice(7, 14)


def start(seed=0):
    return TASK.sample(np.random.default_rng(seed), PAIR.spec())


def settled(**changes):
    """Return the arm after a second at home, with some targets changed."""
    arm = SimArm(TASK)
    begin = start()
    arm.home(begin)
    target = np.array(begin.qpos)
    for joint, value in changes.items():
        target[PAIR.spec().joints.index(joint)] += value
    for _ in range(50):
        observation = arm.command(target)
    return arm, observation, target


def test_the_joints_are_the_left_arms_then_the_right_arms_as_in_aloha():
    one, two = VIPERX.spec(), PAIR.spec()
    assert two.n == 14
    assert two.joints[:7] == tuple(f"left_{joint}" for joint in one.joints)
    assert two.joints[7:] == tuple(f"right_{joint}" for joint in one.joints)
    assert two.grippers == (6, 13)
    assert two.hinges.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]
    for table in ("lower", "upper", "velocity", "effort", "home"):
        assert getattr(two, table) == getattr(one, table) * 2


def test_both_arms_are_built_by_the_code_and_the_table_of_one():
    one, two = world(TASKS["pick_place"]).model, world(TASK).model
    for prefix in ("left_", "right_"):
        for joint in VIPERX.joints:
            assert two.joint(f"{prefix}{joint.name}").range == pytest.approx(joint.limits)
            mass = two.body(f"{prefix}{joint.name}_link").mass
            assert mass == pytest.approx(one.body(f"{joint.name}_link").mass)
    assert two.nu == 14


def test_the_bases_face_each_other_across_the_table():
    model = world(TASK).model
    left, right = model.body("left_base"), model.body("right_base")
    assert left.pos == pytest.approx([0, 0, 0])
    assert right.pos == pytest.approx([0.938, 0, 0])
    assert abs(right.quat) == pytest.approx([0, 0, 0, 1], abs=1e-9)  # half a turn about z
    table = model.geom("table")
    for x in (0.0, 0.938):
        assert abs(x - table.pos[0]) < table.size[0]


def test_bases_that_stand_in_each_other_or_off_the_table_are_refused():
    for apart in (0.1, 1.3):
        with pytest.raises(ValueError, match="apart and on the table"):
            RobotPair("x", "x", VIPERX, VIPERX, apart, PAIR.table, PAIR.overhead, PAIR.view)


@pytest.mark.parametrize(
    ("joint", "own", "other"), [("left_waist", LEFT, RIGHT), ("right_waist", RIGHT, LEFT)]
)
def test_a_command_to_one_arm_moves_that_arm_alone(joint, own, other):
    _, still, _ = settled()
    _, moved, target = settled(**{joint: 0.3})
    change = moved["qpos"] - still["qpos"]
    assert change[own][0] == pytest.approx(0.3, abs=0.01)
    assert np.abs(change[own][1:]).max() < 0.02
    assert np.abs(change[other]).max() < 1e-5
    assert moved["qpos"] == pytest.approx(target, abs=0.06)


@pytest.mark.parametrize(("column", "prefix"), [(6, "left_"), (13, "right_")])
def test_each_gripper_opens_and_closes_both_fingers_of_its_own_arm(column, prefix):
    arm, observation, _ = settled(**{f"{prefix}gripper": -1.0})
    assert observation["qpos"][column] == pytest.approx(0.0, abs=0.05)
    assert observation["qpos"][19 - column] == pytest.approx(1.0, abs=0.05)
    model, qpos = arm.sim.world.model, arm.sim.state(0)["qpos"]
    fingers = [
        float(qpos[model.joint(f"{prefix}{f}_finger").qposadr[0]]) for f in ("left", "right")
    ]
    assert fingers == pytest.approx([0.002, 0.002], abs=0.001)


def test_positions_velocities_and_efforts_are_of_the_same_columns():
    arm = SimArm(TASK)
    begin = start()
    arm.home(begin)
    target = np.array(begin.qpos)
    before = arm.observe()["qpos"]
    target[8] += 0.2  # the right shoulder
    target[2] -= 0.2  # the left elbow
    for _ in range(3):
        observation = arm.command(target)
    moving = np.abs(observation["qvel"])
    assert set(np.argsort(moving)[-2:]) == {2, 8}
    assert set(np.argsort(np.abs(observation["qpos"] - before))[-2:]) == {2, 8}
    assert np.sign(observation["qvel"][[2, 8]]).tolist() == [-1, 1]
    assert {key: observation[key].shape for key in ("qpos", "qvel", "effort")} == {
        "qpos": (14,), "qvel": (14,), "effort": (14,)
    }  # fmt: skip


@pytest.mark.parametrize("part", [0, 1])
def test_inverse_kinematics_brings_either_hand_to_a_place_in_the_world(part):
    kinematics = Kinematics(world(TASK), part=part)
    goal, quat = np.array([0.469, 0.05, 0.15]), pointing_down(0.0 if part == 0 else np.pi)
    q = kinematics.solve(np.array(VIPERX.home), goal, quat, 60)
    assert kinematics.forward(q)[0] == pytest.approx(goal, abs=1e-3)


def test_sensors_are_named_by_arm_and_both_wrists_have_a_camera():
    two, one = world(TASK), world(TASKS["pick_place"])
    assert hands(two.sensors) == ("left_", "right_")
    assert hands(one.sensors) == ("",)
    for name in ("tcp_pos", "arm_table", "left_bar", "right_bar", "arm_bar"):
        assert f"left_{name}" in two.sensors
        assert f"right_{name}" in two.sensors
    cameras = {two.model.camera(i).name for i in range(two.model.ncam)}
    assert cameras == {"overhead", "view", "left_wrist", "right_wrist"}
    assert PAIR.spec().cameras == ("overhead", "left_wrist", "right_wrist")


def test_many_pairs_step_as_one_does_whatever_the_threads():
    starts = [start(seed) for seed in range(3)]
    rng = np.random.default_rng(0)
    actions = np.array(starts[0].qpos) + rng.uniform(-0.3, 0.3, (20, 3, 14))
    batches = [SimBatch(TASK, size=3, threads=threads) for threads in (1, 2)]
    for batch in batches:
        batch.reset(starts)
        for action in actions:
            batch.step(action)
    assert np.array_equal(batches[0].state(2)["qpos"], batches[1].state(2)["qpos"])
    arm = SimArm(TASK)
    arm.home(starts[1])
    for action in actions:
        seen = arm.command(action[1])
    assert np.array_equal(arm.sim.state(0)["qpos"], batches[0].state(1)["qpos"])
    many = batches[0].observe()
    assert all(np.array_equal(seen[key], many[key][1]) for key in seen)


def test_a_stale_frame_is_the_one_of_both_arms():
    noisy = perturb(start(), TASK, [("observation", "L3")], np.random.default_rng(0))
    batch = SimBatch(TASK, size=1)
    batch.reset([noisy])
    seen = []
    for _ in range(40):
        batch.step(np.array(noisy.qpos)[None] * 0.9)
        seen.append(batch.observe()["qpos"][0])
    kept = [np.array_equal(a, b) for a, b in itertools.pairwise(seen)]
    assert 0 < sum(kept) < 39


def test_the_episode_on_disk_is_alohas_with_14_joints_and_is_read_back(tmp_path):
    camera = tuple(CameraSpec(name, 16, 12) for name in PAIR.spec().cameras)
    report = collect(Collection("transfer", cameras=camera), 1, tmp_path)
    assert report.episodes == 1
    with h5py.File(tmp_path / "episode_0.hdf5") as file:
        steps = len(file["action"])
        assert file["action"].shape == (steps, 14)
        assert file["observations/qpos"].shape == (steps, 14)
        assert file["observations/qvel"].shape == (steps, 14)
        assert file["observations/images/left_wrist"].shape == (steps, 12, 16, 3)
    episode = read_episode(tmp_path / "episode_0.hdf5")
    assert episode.meta.robot == "viperx_pair"
    assert episode.meta.joints == PAIR.spec().joints
    assert episode.cameras == ("left_wrist", "overhead", "right_wrist")
    batch = SimBatch(TASK, episode.meta.robot, 1)  # the commands alone lead to the same end
    batch.reset([episode.meta.start])
    for action in episode.actions:
        assert not batch.done[0]
        batch.step(action[None])
    assert batch.success[0]


def test_the_arms_home_is_moved_in_both_arms_and_never_in_a_gripper():
    moved = perturb(start(), TASK, [("home_pose", "L3")], np.random.default_rng(0))
    change = np.array(moved.qpos) - start().qpos
    assert np.linalg.norm(change) == pytest.approx(0.30)
    assert change[[6, 13]].tolist() == [0, 0]
    assert np.count_nonzero(change) == 12


def test_friction_gains_and_cameras_vary_on_both_arms():
    batch = SimBatch(TASK, size=1)
    nominal = batch.world.model
    axes = [(name, "L3") for name in ("friction_mass", "damping_gain", "camera_pose")]
    batch.reset([perturb(start(), TASK, axes, np.random.default_rng(1))])
    model = batch.models[0]
    for prefix in ("left_", "right_"):
        pad, camera = f"{prefix}right_pad", f"{prefix}wrist"
        assert model.geom(pad).friction[0] != nominal.geom(pad).friction[0]
        assert not np.array_equal(model.camera(camera).pos, nominal.camera(camera).pos)
        dof = int(nominal.joint(f"{prefix}elbow").dofadr[0])
        assert model.dof_damping[dof] != nominal.dof_damping[dof]
        gripper = nominal.actuator(f"{prefix}gripper").id
        assert model.actuator_gainprm[gripper, 0] != nominal.actuator_gainprm[gripper, 0]


def test_the_gymnasium_ids_make_the_pair():
    state = gym.make("ArmTrials/Transfer-v1")
    assert state.action_space.shape == (14,)
    check_env(state.unwrapped, skip_render_check=True)
    pixels = gym.make("ArmTrials/TransferPixels-v1")
    observation, _ = pixels.reset(seed=0)
    images = sorted(key for key in observation if key.startswith("images/"))
    assert images == ["images/left_wrist", "images/overhead", "images/right_wrist"]
    assert all(observation[key].std() > 10 for key in images)


@pytest.mark.parametrize("robot", ["viperx", "koch", "openarm"])
def test_one_arm_is_refused_a_task_for_two_with_the_rule_and_the_arms_that_can(robot):
    rule = rf"arm '{robot}' cannot do transfer: .* two arms .* arms that can: viperx_pair$"
    with pytest.raises(UsageError, match=rule):
        make("transfer", robot)
    with pytest.raises(UsageError, match=rule):
        Collection("transfer", robot)
    with pytest.raises(UsageError, match=rule):
        gym.make("ArmTrials/Transfer-v1", robot=robot)


def test_two_arms_are_refused_a_task_for_one():
    match = r"'viperx_pair' cannot do pick_place: it takes one arm, .* arms that can: viperx, koch"
    with pytest.raises(UsageError, match=match):
        make("pick_place", "viperx_pair")
    assert able(TASKS["pick_place"]) == ("viperx", "koch", "openarm")


def test_a_task_may_say_which_arms_cannot_do_it_and_why():
    class Far(type(TASKS["pick_place"])):
        impossible = {"koch": "the shelf is 40 cm high"}  # noqa: RUF012

    assert refusal(Far(), "koch") == "the shelf is 40 cm high"
    with pytest.raises(UsageError, match=r"40 cm high; arms that can: viperx, openarm$"):
        world(Far(), "koch")


def test_an_unknown_arm_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown arm 'aloha'; known: .*viperx_pair"):
        make("transfer", "aloha")
    with pytest.raises(UsageError, match=r"unknown arm 'aloha'; known: .*viperx_pair"):
        Collection("transfer", "aloha")


def test_demonstrations_are_collected_with_the_tasks_own_robot_unless_another_is_named():
    assert Collection("transfer").robot == "viperx_pair"
    assert Collection("pick_place").robot == "viperx"
    assert Collection("pick_place", "koch").robot == "koch"
