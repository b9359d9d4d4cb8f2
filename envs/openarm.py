"""The OpenArm v1 of Enactic (7 joints and a gripper), a single arm upright on a low column.

Kinematics, limits, torques, masses and inertias: openarm_unimanual_v1.xml of enactic/openarm_mujoco
(v2 has other zeros and limits). Speeds: the joint limits of the v1.0 description. Motors: DM8009
(joints 1, 2), DM4340 (3, 4), DM4310 (5 to 7 and the gripper). Armature and dry friction: the
defaults of v2/openarm_bimanual.xml. Stiffness: what the arm's own drivers use for joints 1 to 4
(240 N m/rad); for the wrist more than theirs (24 to 31), so that it follows as closely.

The arm's controllers add the torque that gravity needs, from the same masses; hence
``gravity_compensation``. The column lifts the arm to where it reaches the table from above with the
wrist far from its limits, which are narrow (joint 6: 45 degrees).
"""

from math import pi, sqrt

from envs.arm import Workspace
from envs.openarm_shapes import LINKS, PEDESTAL, finger_pad, finger_shapes
from envs.robot_model import (
    Finger,
    Gripper,
    Inertia,
    Joint,
    RobotModel,
    Servo,
    View,
    WristCamera,
)

JOINTS = (
    Joint(
        name="joint1",
        offset=(0.0, 0.0, PEDESTAL + 0.0625),
        axis=(0.0, 0.0, 1.0),
        limits=(-1.39626, 3.49066),
        velocity=16.754666,
        servo=Servo(torque=40, kp=240, kv=14, armature=0.0081, damping=0.9, friction=0.2),
        inertia=Inertia(1.14167, (0.0011, 0.0, 0.0540), (1.57e-3, 1.27e-3, 1.01e-3)),
        shapes=LINKS["joint1"],
    ),
    Joint(
        name="joint2",
        offset=(-0.0301, 0.0, 0.06),
        axis=(-1.0, 0.0, 0.0),
        limits=(-1.74533, 1.74533),
        velocity=16.754666,
        servo=Servo(torque=40, kp=240, kv=14, armature=0.0081, damping=0.9, friction=0.2),
        inertia=Inertia(0.277509, (0.0084, 0.0, 0.0326), (4.2e-4, 3.8e-4, 1.7e-4)),
        shapes=LINKS["joint2"],
    ),
    Joint(
        name="joint3",
        offset=(0.0301, 0.0, 0.06625),
        axis=(0.0, 0.0, 1.0),
        limits=(-1.5708, 1.5708),
        velocity=5.445426,
        servo=Servo(torque=27, kp=240, kv=14, armature=0.16, damping=0.9, friction=0.1),
        inertia=Inertia(1.07386, (-0.0021, -0.0006, 0.0885), (4.37e-3, 4.32e-3, 6.6e-4)),
        shapes=LINKS["joint3"],
    ),
    Joint(
        name="joint4",
        offset=(0.0, 0.0315, 0.15375),
        axis=(0.0, 1.0, 0.0),
        limits=(0.0, 2.44346),
        velocity=5.445426,
        servo=Servo(torque=27, kp=240, kv=14, armature=0.16, damping=0.9, friction=0.1),
        inertia=Inertia(0.559853, (-0.0029, -0.0303, 0.0634), (6.2e-4, 5.2e-4, 3.3e-4)),
        shapes=LINKS["joint4"],
    ),
    Joint(
        name="joint5",
        offset=(0.0, -0.0315, 0.0955),
        axis=(0.0, 0.0, 1.0),
        limits=(-1.5708, 1.5708),
        velocity=20.943946,
        servo=Servo(torque=7, kp=60, kv=2.4, armature=0.01, damping=0.3, friction=0.04),
        inertia=Inertia(0.550659, (-0.0030, -0.0009, 0.0431), (4.5e-4, 4.2e-4, 3.2e-4)),
        shapes=LINKS["joint5"],
    ),
    Joint(
        name="joint6",
        offset=(0.0375, 0.0, 0.1205),
        axis=(1.0, 0.0, 0.0),
        limits=(-0.785398, 0.785398),
        velocity=20.943946,
        servo=Servo(torque=7, kp=60, kv=2.4, armature=0.01, damping=0.3, friction=0.04),
        inertia=Inertia(0.385203, (-0.0371, -0.0003, -0.0001), (1.6e-4, 1.57e-4, 1.43e-4)),
        shapes=LINKS["joint6"],
    ),
    Joint(
        name="joint7",
        offset=(-0.0375, 0.0, 0.0),
        axis=(0.0, -1.0, 0.0),
        limits=(-1.5708, 1.5708),
        velocity=20.943946,
        servo=Servo(torque=7, kp=60, kv=2.4, armature=0.01, damping=0.3, friction=0.04),
        inertia=Inertia(0.685977, (0.0438, -0.0065, 0.0448), (3.0e-3, 2.8e-3, 6.7e-4)),
        shapes=LINKS["joint7"],
    ),
)


def _finger(name: str, side: float) -> Finger:
    """Return the finger that moves to ``side`` (+1 left, -1 right) of the gripper's centre."""
    return Finger(
        name=name,
        axis=(0.0, side, 0.0),
        inertia=Inertia(0.0360255, (0.0065, side * 0.017, 0.022), (1.5e-5, 1.5e-5, 1.5e-5)),
        shapes=finger_shapes(side),
        pad=finger_pad(side),
    )


# Force: limited far below the 333 N of the source, to what holds .2 kg at friction .4. Rate: the
# motor could open it in .05 s (65 degrees at 20.9 rad/s); a quarter of a second is enough.
GRIPPER = Gripper(
    kind="slide",
    offset=(0.0, 0.0, 0.1151),
    travel=(0.0, 0.044),
    command=(0.0005, 0.0435),
    velocity=4.0,
    servo=Servo(torque=40, kp=2000, kv=60, armature=0.08, damping=8, friction=0.2),
    fingers=(_finger("left_finger", 1.0), _finger("right_finger", -1.0)),
)

OPENARM = RobotModel(
    name="openarm",
    title="OpenArm v1",
    base=Inertia(3.0, (0.0, 0.0, 0.08), (2e-2, 2e-2, 1e-2)),
    base_shapes=LINKS["base"],
    joints=JOINTS,
    gripper=GRIPPER,
    tcp=(0.0, 0.0, 0.170),
    # The hand points along its z and its camera is on the side of -x.
    tcp_quat=(sqrt(0.5), 0.0, -sqrt(0.5), 0.0),
    wrist_camera=WristCamera((-0.075, 0.0, 0.068), (-0.016, 0.0, 0.170), (-1, 0, 0), 58.0),
    # The gripper 26 cm above the table, pointing down, the elbow a little to the side.
    home=(0.72, -0.116, -0.655, 1.836, -0.066, 0.088, -1.234),
    # Stretched out to the left, on the stops of joints 2, 4 and 6, the hand over the table.
    sleep=(-pi / 4, 1.74533, 0.0, 0.0, 0.0, -0.785398, 0.605),
    gravity_compensation=1.0,
    workspace=Workspace(x=(0.21, 0.35)),
    overhead=View((0.66, 0.0, 0.84), (0.25, 0.0, 0.0)),
    view=View((1.15, -0.85, 0.70), (0.13, 0.0, 0.24)),
)
