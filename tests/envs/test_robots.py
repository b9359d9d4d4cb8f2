"""Every arm in the registry, and the figures of each."""

from dataclasses import replace
from math import pi, radians

import mujoco
import numpy as np
import pytest

from envs.arm import Workspace
from envs.errors import UsageError
from envs.robot_builder import add_arm, build_arm
from envs.robot_model import RobotModel, Shape
from envs.robots import ROBOTS
from envs.scene import build_scene


@pytest.fixture(params=[name for name in ROBOTS if isinstance(ROBOTS[name], RobotModel)])
def robot(request: pytest.FixtureRequest) -> RobotModel:
    return ROBOTS[request.param]


def at_home(robot: RobotModel) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Return the arm alone, settled at its home pose with the gripper open."""
    model = build_arm(robot).compile()
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    data = mujoco.MjData(model)
    n = len(robot.joints)
    data.qpos[:n] = robot.home
    data.qpos[n:] = robot.gripper_range[1]
    data.ctrl[:] = [*robot.home, robot.gripper_range[1]]
    mujoco.mj_step(model, data, 500)
    return model, data


def test_the_model_has_the_joints_and_limits_of_the_table(robot: RobotModel) -> None:
    model = build_arm(robot).compile()
    for index, joint in enumerate(robot.joints):
        assert model.joint(joint.name).id == index
        assert model.jnt_range[index] == pytest.approx(joint.limits)
        assert model.actuator_ctrlrange[index] == pytest.approx(joint.limits)
        assert model.actuator_forcerange[index, 1] == pytest.approx(joint.servo.torque)
        link = model.body(f"{joint.name}_link")
        assert float(link.mass[0]) == pytest.approx(joint.inertia.mass)


def test_the_model_has_the_names_that_others_rely_on(robot: RobotModel) -> None:
    model = build_arm(robot).compile()
    for name in ("left_pad", "right_pad"):
        assert int(model.geom(name).contype[0]) != 0
    assert model.site("tcp").id == 0
    assert model.camera("wrist").id == 0
    assert model.actuator("gripper").id == len(robot.joints)
    assert int(model.joint("left_finger").qposadr[0]) == len(robot.joints)


def test_the_specification_lists_the_gripper_last_as_an_opening(robot: RobotModel) -> None:
    spec = robot.spec()
    assert spec.joints[-1] == "gripper"
    assert (spec.lower[-1], spec.upper[-1]) == (0.0, 1.0)
    assert spec.grippers == (len(robot.joints),)
    lo, hi = robot.gripper_range
    assert robot.gripper.travel[0] <= lo < hi <= robot.gripper.travel[1]


def test_the_arm_rests_at_home_without_touching_itself(robot: RobotModel) -> None:
    model, data = at_home(robot)
    assert data.ncon == 0
    n = len(robot.joints)
    assert data.qpos[:n] == pytest.approx(robot.home, abs=0.03)  # gravity sag
    assert np.abs(data.qvel).max() < 1e-3
    assert model.nv == n + len(robot.gripper.fingers)


def test_at_home_the_tool_points_at_the_table(robot: RobotModel) -> None:
    model = build_arm(robot).compile()
    data = mujoco.MjData(model)
    data.qpos[: len(robot.joints)] = robot.home
    mujoco.mj_forward(model, data)
    axes = data.site("tcp").xmat.reshape(3, 3)
    assert axes[2, 0] < -0.8  # the approach axis
    assert abs(axes[2, 1]) < 0.15  # the fingers move level
    finger = data.joint("left_finger").xaxis
    across = finger if robot.gripper.kind == "slide" else np.cross(finger, axes[:, 0])
    assert across @ axes[:, 1] > 0.99
    assert data.site("tcp").xpos[2] > 0.07


def test_every_servo_holds_its_arm_up_with_strength_to_spare(robot: RobotModel) -> None:
    model = build_arm(robot).compile()
    data = mujoco.MjData(model)
    model.body_gravcomp[:] = 0.0
    n = len(robot.joints)
    data.qpos[:n] = robot.home
    mujoco.mj_forward(model, data)
    needed = np.abs(data.qfrc_bias[:n])
    assert (needed < 0.6 * model.actuator_forcerange[:n, 1]).all()
    assert needed.max() > 0.05 * model.actuator_forcerange[:n, 1].min()


def test_without_torque_the_arm_falls_from_home_and_stays_asleep(robot: RobotModel) -> None:
    model = build_scene(robot).compile()
    model.actuator_gainprm[:], model.actuator_biasprm[:] = 0.0, 0.0
    model.body_gravcomp[:] = 0.0
    n = len(robot.joints)
    moved = []
    for pose in (robot.home, robot.sleep):
        data = mujoco.MjData(model)
        data.qpos[:n] = pose
        mujoco.mj_step(model, data, 1000)
        moved.append(np.abs(data.qpos[:n] - pose).max())
    assert moved[0] > 0.5
    assert moved[1] < 0.05


def test_a_small_step_settles_fast_and_without_overshoot(robot: RobotModel) -> None:
    for index in range(len(robot.joints)):
        model, data = at_home(robot)
        start = data.qpos[index]
        data.ctrl[index] -= 0.2
        trace = []
        for _ in range(250):
            mujoco.mj_step(model, data)
            trace.append(start - data.qpos[index])
        path = np.array(trace)
        assert path[-1] == pytest.approx(0.2, abs=0.01)
        assert path.max() < 0.2 * 1.1
        assert 0.04 < 0.002 * int(np.argmax(path > 0.18)) < 0.3


def test_the_gripper_follows_its_command_with_both_fingers(robot: RobotModel) -> None:
    model, data = at_home(robot)
    n = len(robot.joints)
    for command in robot.gripper_range:
        data.ctrl[n] = command
        mujoco.mj_step(model, data, 300)
        assert data.qpos[n:] == pytest.approx(command, abs=1e-3)


def test_the_first_joint_is_not_blocked_by_its_base(robot: RobotModel) -> None:
    model, data = at_home(robot)
    data.ctrl[0] = 1.0
    mujoco.mj_step(model, data, 750)
    assert data.qpos[0] == pytest.approx(1.0, abs=0.01)


def test_two_arms_fit_in_one_model_under_their_prefixes(robot: RobotModel) -> None:
    spec = mujoco.MjSpec()
    add_arm(spec, robot, "left/", (0.0, 0.4, 0.0))
    add_arm(spec, robot, "right/", (0.0, -0.4, 0.0), yaw=pi)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    ahead = [data.site(f"{side}/tcp").xpos[0] for side in ("left", "right")]
    assert ahead[0] == pytest.approx(-ahead[1])


def test_the_viperx_has_the_limits_of_its_manual() -> None:
    spec = ROBOTS["viperx"].spec()
    assert spec.joints == (
        "waist",
        "shoulder",
        "elbow",
        "forearm_roll",
        "wrist_angle",
        "wrist_rotate",
        "gripper",
    )
    degrees = [(-180, 180), (-106, 72), (-101, 92), (-180, 180), (-107, 128), (-180, 180)]
    assert spec.lower[:6] == pytest.approx([radians(lo) for lo, _ in degrees])
    assert spec.upper[:6] == pytest.approx([radians(hi) for _, hi in degrees])
    assert spec.velocity[:6] == pytest.approx([pi] * 6)
    assert spec.home[:6] == (0.0, -0.52, 0.38, 0.0, 1.71, 0.0)
    assert spec.control_hz == 50.0


def test_the_stretched_viperx_reaches_as_far_as_its_links_are_long() -> None:
    robot = ROBOTS["viperx"]
    model = build_arm(robot).compile()
    data = mujoco.MjData(model)
    data.qpos[:6] = 0.0
    mujoco.mj_forward(model, data)
    tcp = data.site("tcp").xpos
    assert tcp[0] == pytest.approx(0.05955 + 0.2 + 0.1 + 0.069744 + 0.15)
    assert tcp[2] == pytest.approx(0.079 + 0.04805 + 0.3)


def test_the_koch_has_the_joints_of_its_motors() -> None:
    spec = ROBOTS["koch"].spec()
    assert spec.joints[:5] == (
        "shoulder_pan",
        "shoulder_lift",
        "elbow_flex",
        "wrist_flex",
        "wrist_roll",
    )
    assert spec.lower[:5] == (-2.2, -0.6, -1.57, -2.0, -3.14)
    assert spec.upper[:5] == (2.2, 1.57, 1.45, 2.0, 3.14)
    assert spec.effort[:5] == (1.4, 1.4, 0.52, 0.52, 0.52)
    assert spec.velocity[:3] == pytest.approx((5.969, 5.969, 10.786), abs=1e-3)


def test_the_koch_reaches_as_far_as_its_links_are_long() -> None:
    model = build_arm(ROBOTS["koch"]).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    tcp = data.site("tcp").xpos
    assert tcp[0] == pytest.approx(0.0148 + 0.10048 + 0.045 + 0.062)
    assert tcp[2] == pytest.approx(0.0409 + 0.0154 + 0.1083 + 0.0027)


def test_the_jaw_of_the_koch_is_parallel_to_its_finger_around_a_cube() -> None:
    robot = ROBOTS["koch"]
    model = build_arm(robot).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    fixed, jaw = data.geom("right_pad"), data.geom("left_pad")
    assert jaw.xmat == pytest.approx(fixed.xmat)
    assert jaw.xpos[1] - fixed.xpos[1] == pytest.approx(0.034 + 0.003)
    data.qpos[5] = robot.gripper_range[0]
    mujoco.mj_forward(model, data)
    assert abs(jaw.xpos[1] - fixed.xpos[1]) < 0.012  # shut: the tips all but meet


def test_the_openarm_has_the_limits_of_its_model() -> None:
    spec = ROBOTS["openarm"].spec()
    assert spec.joints == (*(f"joint{i}" for i in range(1, 8)), "gripper")
    degrees = [(-80, 200), (-100, 100), (-90, 90), (0, 140), (-90, 90), (-45, 45), (-90, 90)]
    assert spec.lower[:7] == pytest.approx([radians(lo) for lo, _ in degrees], abs=1e-4)
    assert spec.upper[:7] == pytest.approx([radians(hi) for _, hi in degrees], abs=1e-4)
    assert spec.effort[:7] == (40, 40, 27, 27, 7, 7, 7)


def test_the_upright_openarm_is_as_tall_as_its_links_are_long() -> None:
    model = build_arm(ROBOTS["openarm"]).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    links = 0.0625 + 0.06 + 0.06625 + 0.15375 + 0.0955 + 0.1205
    assert data.site("tcp").xpos == pytest.approx((0.0, 0.0, 0.16 + links + 0.170))


def test_an_unknown_arm_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown arm 'panda'; known: .*viperx"):
        ROBOTS["panda"]


def test_a_pose_outside_the_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="home of shoulder must be in its limits, got 2"):
        replace(ROBOTS["viperx"], home=(0.0, 2.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="sleep must have 6 angles, got 1"):
        replace(ROBOTS["viperx"], sleep=(0.0,))


def test_a_shape_with_the_wrong_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="of a cylinder must have"):
        Shape("cylinder", (0.1, 0.1, 0.1), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0))


def test_an_empty_workspace_is_refused() -> None:
    with pytest.raises(ValueError, match="a workspace must not be empty, got"):
        Workspace(x=(0.3, 0.2))
