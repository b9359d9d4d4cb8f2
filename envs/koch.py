"""The Koch v1.1, the low-cost arm of A. Koch and J. Moss (5 joints, gripper with one moving jaw).

Kinematics, limits, masses and inertias: low_cost_robot_arm.xml of the MuJoCo Menagerie, seen from
the front (its x points backwards) and put into the arm's middle plane. Joint names and motors: as
LeRobot calls the follower, XL430-W250 in the shoulder, XL330-M288 in the rest. Torques and speeds:
stall torque and no-load speed of the motors' manuals (XL430-W250 at 11.1 V: 1.4 N m, 57 rpm;
XL330-M288 at 5 V: .52 N m, 103 rpm). Gains and friction: chosen so that a step settles as on a
Dynamixel with its default profile; they are not identified on an arm.
"""

from math import pi

from envs.arm import Workspace
from envs.koch_shapes import LINKS, jaw_shapes, pad
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

XL430_SPEED = 57 * 2 * pi / 60
XL330_SPEED = 103 * 2 * pi / 60

JOINTS = (
    Joint(
        name="shoulder_pan",
        offset=(0.0, 0.0, 0.0409),
        axis=(0.0, 0.0, 1.0),
        limits=(-2.2, 2.2),
        velocity=XL430_SPEED,
        servo=Servo(torque=1.4, kp=40, kv=1.2, armature=0.012, damping=0.08, friction=0.03),
        inertia=Inertia(0.05014, (-0.0119, 0.0, 0.0134), (1.4e-5, 1.2e-5, 7.6e-6)),
        shapes=LINKS["shoulder_pan"],
    ),
    Joint(
        name="shoulder_lift",
        offset=(0.0, 0.0, 0.0154),
        axis=(0.0, 1.0, 0.0),
        limits=(-0.6, 1.57),
        velocity=XL430_SPEED,
        servo=Servo(torque=1.4, kp=40, kv=1.2, armature=0.012, damping=0.08, friction=0.03),
        inertia=Inertia(0.050177, (0.0012, 0.0, 0.0715), (3.7e-5, 3.4e-5, 7.9e-6)),
        shapes=LINKS["shoulder_lift"],
    ),
    Joint(
        name="elbow_flex",
        offset=(0.0148, 0.0, 0.1083),
        axis=(0.0, 1.0, 0.0),
        limits=(-1.57, 1.45),
        velocity=XL330_SPEED,
        servo=Servo(torque=0.52, kp=20, kv=0.6, armature=0.006, damping=0.04, friction=0.02),
        inertia=Inertia(0.06379, (0.0554, 0.0, 0.0029), (7.3e-6, 2.2e-5, 2.4e-5)),
        shapes=LINKS["elbow_flex"],
    ),
    Joint(
        name="wrist_flex",
        offset=(0.10048, 0.0, 0.0027),
        axis=(0.0, 1.0, 0.0),
        limits=(-2.0, 2.0),
        velocity=XL330_SPEED,
        servo=Servo(torque=0.52, kp=14, kv=0.4, armature=0.004, damping=0.03, friction=0.02),
        inertia=Inertia(0.019805, (0.0265, 0.0, 0.0), (1.1e-6, 2.9e-6, 3.0e-6)),
        shapes=LINKS["wrist_flex"],
    ),
    Joint(
        name="wrist_roll",
        offset=(0.045, 0.0, 0.0),
        axis=(1.0, 0.0, 0.0),
        limits=(-3.14, 3.14),
        velocity=XL330_SPEED,
        servo=Servo(torque=0.52, kp=10, kv=0.3, armature=0.003, damping=0.02, friction=0.02),
        inertia=Inertia(0.029277, (0.0191, -0.0053, 0.0), (3.3e-6, 7.1e-6, 8.1e-6)),
        shapes=LINKS["wrist_roll"],
    ),
)

HINGE = (0.01315, 0.0075, 0.0)
"""Axis of the jaw in the last link, m."""

FIXED = -0.0085
"""Face of the fixed finger, m across the last link."""

REACH = 0.062
"""From the last link's frame to the middle of the pads, m."""

PARALLEL = 0.034
"""How far apart the pads are where they are parallel, m.

On the original they are parallel where they meet, and hold a cube of 4 cm at 40 degrees. Here the
jaw is bent further, so that it holds the 2 to 5 cm things of the tasks squarely.
"""

_PAD = (REACH - HINGE[0], FIXED + PARALLEL - HINGE[1])

GRIPPER = Gripper(
    kind="hinge",
    offset=HINGE,
    travel=(-0.63, 1.0),
    command=(-0.60, 1.0),
    velocity=XL330_SPEED / 1.6,
    servo=Servo(torque=0.52, kp=4, kv=0.12, armature=0.002, damping=0.01, friction=0.01),
    fingers=(
        Finger(
            name="left_finger",
            axis=(0.0, 0.0, 1.0),
            inertia=Inertia(0.012831, (0.0251, 0.010, 0.0), (1.5e-6, 2.5e-6, 3.5e-6)),
            shapes=jaw_shapes(*_PAD),
            pad=pad(*_PAD, 1.0),
        ),
    ),
    fixed_pad=pad(REACH, FIXED, -1.0),
)

KOCH = RobotModel(
    name="koch",
    title="Koch v1.1",
    base=Inertia(0.2, (-0.012, 0.0, 0.018), (1e-4, 1e-4, 1e-4)),
    base_shapes=LINKS["base"],
    joints=JOINTS,
    gripper=GRIPPER,
    # 8 mm of air between the fixed finger and a cube of 4 cm: the jaw pushes the cube over.
    tcp=(REACH, FIXED + 0.0285, 0.0),
    wrist_camera=WristCamera((0.0145, 0.012, 0.048), (0.068, 0.022, 0.0), (0, 0, 1), 76.0),
    # The gripper 10 cm above the table, leaning out: no joint near a limit, the arm not stretched.
    home=(-0.14, -0.30, 0.02, 1.35, 0.0),
    # Folded back onto the stop of the shoulder, the finger on the table.
    sleep=(0.0, -0.6, 1.21, 0.31, 0.0),
    workspace=Workspace(x=(0.12, 0.19), y=(-0.13, 0.13), hover=0.05),
    leans=(0.0, 0.2, 0.4, 0.6),
    overhead=View((0.42, 0.0, 0.48), (0.145, 0.0, 0.0)),
    view=View((0.45, -0.34, 0.27), (0.08, 0.0, 0.08)),
)
