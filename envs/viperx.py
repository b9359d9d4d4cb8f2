"""The ViperX-300 S2 of Trossen Robotics (6 joints and a gripper), with ALOHA's long fingers.

Kinematics, masses and inertias: vx300s.urdf.xacro of Interbotix. Fingers, gripper travel and
wrist camera: the ALOHA model of the MuJoCo Menagerie. Gains and friction: chosen so that a
step settles as on a Dynamixel with its default profile; they are not identified on an arm.
"""

from math import pi, radians

from envs.robot_model import (
    Finger,
    Gripper,
    Inertia,
    Joint,
    RobotModel,
    Servo,
    WristCamera,
)
from envs.viperx_shapes import LINKS, finger_pad, finger_shapes

SPEED = pi
"""Velocity limit of all joints, rad/s (URDF; the XM540-W270 turns at 30 rpm at 12 V)."""

JOINTS = (
    Joint(
        name="waist",
        offset=(0.0, 0.0, 0.079),
        axis=(0.0, 0.0, 1.0),
        limits=(-pi, pi),
        velocity=SPEED,
        servo=Servo(torque=10, kp=120, kv=6, armature=0.06, damping=0.5, friction=0.1),
        inertia=Inertia(0.7986, (0.0003, 0.0, 0.0116), (9.39e-4, 1.138e-3, 1.201e-3)),
        shapes=LINKS["waist"],
    ),
    Joint(
        name="shoulder",
        offset=(0.0, 0.0, 0.04805),
        axis=(0.0, 1.0, 0.0),
        limits=(radians(-106), radians(72)),
        velocity=SPEED,
        servo=Servo(torque=20, kp=250, kv=14, armature=0.12, damping=1.0, friction=0.1),
        inertia=Inertia(0.7926, (0.0207, 0.0, 0.2265), (8.925e-3, 8.937e-3, 9.36e-4)),
        shapes=LINKS["shoulder"],
    ),
    Joint(
        name="elbow",
        offset=(0.05955, 0.0, 0.3),
        axis=(0.0, 1.0, 0.0),
        limits=(radians(-101), radians(92)),
        velocity=SPEED,
        servo=Servo(torque=15, kp=220, kv=12, armature=0.1, damping=1.0, friction=0.1),
        inertia=Inertia(0.3222, (0.1057, 0.0, 0.0), (1.52e-4, 1.342e-3, 1.441e-3)),
        shapes=LINKS["elbow"],
    ),
    # The URDF's efforts for forearm_roll (2) and wrist_rotate (1) are nominal figures, below
    # the servos' stall torque; a position servo needs more to follow, hence 5 and 4.
    Joint(
        name="forearm_roll",
        offset=(0.2, 0.0, 0.0),
        axis=(1.0, 0.0, 0.0),
        limits=(-pi, pi),
        velocity=SPEED,
        servo=Servo(torque=5, kp=60, kv=3, armature=0.05, damping=0.4, friction=0.1),
        inertia=Inertia(0.4148, (0.0513, 0.0068, 0.0), (1.75e-4, 5.27e-4, 5.91e-4)),
        shapes=LINKS["forearm_roll"],
    ),
    Joint(
        name="wrist_angle",
        offset=(0.1, 0.0, 0.0),
        axis=(0.0, 1.0, 0.0),
        limits=(radians(-107), radians(128)),
        velocity=SPEED,
        servo=Servo(torque=5, kp=60, kv=3, armature=0.03, damping=0.4, friction=0.1),
        inertia=Inertia(0.1154, (0.0467, 0.0, 0.0106), (4.63e-5, 4.51e-5, 5.27e-5)),
        shapes=LINKS["wrist_angle"],
    ),
    Joint(
        name="wrist_rotate",
        offset=(0.069744, 0.0, 0.0),
        axis=(1.0, 0.0, 0.0),
        limits=(-pi, pi),
        velocity=SPEED,
        servo=Servo(torque=4, kp=30, kv=1.5, armature=0.02, damping=0.2, friction=0.05),
        inertia=Inertia(0.2517, (0.0396, 0.0, 0.0040), (6.6e-4, 4.7e-4, 6.8e-4)),
        shapes=LINKS["wrist_rotate"],
    ),
)


def _finger(name: str, side: float) -> Finger:
    """Return the finger that moves to ``side`` (+1 left, -1 right) of the gripper's centre."""
    return Finger(
        name=name,
        axis=(0.0, side, 0.0),
        inertia=Inertia(0.0348, (0.05, side * 0.012, 0.0), (1.5e-5, 3e-5, 3e-5)),
        shapes=finger_shapes(side),
        pad=finger_pad(side),
    )


# Travel and command: the Menagerie's measured .002-.037 m of ctrl in .000-.041 m of rail.
# Force: enough to hold .2 kg at friction .4. Rate: an XM430-W350 (46 rpm) on a crank of
# 22 mm moves a finger at .1 m/s.
GRIPPER = Gripper(
    kind="slide",
    offset=(0.0687, 0.0, 0.0),
    travel=(0.0, 0.041),
    command=(0.002, 0.037),
    velocity=2.8,
    servo=Servo(torque=35, kp=2000, kv=60, armature=0.08, damping=8, friction=0.2),
    fingers=(_finger("left_finger", 1.0), _finger("right_finger", -1.0)),
)

VIPERX = RobotModel(
    name="viperx",
    title="ViperX-300 S2",
    base=Inertia(0.969, (-0.0535, 0.0, 0.0206), (1.7e-3, 6.0e-3, 7.2e-3)),
    base_shapes=LINKS["base"],
    joints=JOINTS,
    gripper=GRIPPER,
    tcp=(0.150, 0.0, 0.0),
    # D405: 82 mm above the gripper, pitched 25 degrees towards the fingers.
    wrist_camera=WristCamera((0.025, 0.0, 0.0825), (0.150, 0.0, 0.0242), (0, 0, 1), 58.0),
    # The gripper 24 cm above the table, 20 cm before the base, pointing down: from a level gripper
    # (ALOHA starts at (0, -.96, 1.16, 0, -.3, 0)) a grasp from above passes the wrist's
    # singularity at wrist_angle 0, where the forearm spins.
    home=(0.0, -0.52, 0.38, 0.0, 1.71, 0.0),
    sleep=(0.0, -1.85, 1.55, 0.0, 0.8, 0.0),
)
