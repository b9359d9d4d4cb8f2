"""What a task reads of the simulation: sensors, so that one array holds all of it.

Names and widths in ``sensordata`` (o is an object): ``tcp_pos`` (3) m, ``tcp_quat`` (4);
``arm_table`` (3) N, the sum of the contact forces between arm and table, world frame; for each
zone and object ``<o>_pos`` (3), ``<o>_quat`` (4); for each object ``<o>_vel`` (3) m/s and the
number of contacts ``left_<o>``, ``right_<o>`` (a finger touches it), ``arm_<o>`` (any part of the
arm touches it), each (1), 0 when it does not.
"""

import mujoco

from envs.robot_model import RobotModel

_FOUND, _FORCE = 1 << 0, 1 << 1
"""Bits of the data of a contact sensor."""

_NO_REDUCTION, _NET_FORCE = 0, 3
"""How a contact sensor condenses many contacts."""


def add_arm_sensors(spec: mujoco.MjSpec, prefix: str = "") -> None:
    """Add ``tcp_pos``, ``tcp_quat`` and ``arm_table`` (names after ``prefix``)."""
    site = (mujoco.mjtObj.mjOBJ_SITE, f"{prefix}tcp")
    _add_frame(spec, f"{prefix}tcp", site)
    arm = (mujoco.mjtObj.mjOBJ_XBODY, f"{prefix}base")
    table = (mujoco.mjtObj.mjOBJ_GEOM, "table")
    _add_contact(spec, f"{prefix}arm_table", arm, table, (_FORCE, _NET_FORCE, 1))


def add_zone_sensors(spec: mujoco.MjSpec, name: str) -> None:
    """Add the pose of a zone: ``<name>_pos``, ``<name>_quat``."""
    _add_frame(spec, name, (mujoco.mjtObj.mjOBJ_XBODY, name))


def add_object_sensors(spec: mujoco.MjSpec, robot: RobotModel, name: str, prefix: str = "") -> None:
    """Add pose, velocity and touch of the object ``name``."""
    body = (mujoco.mjtObj.mjOBJ_XBODY, name)
    _add_frame(spec, name, body)
    spec.add_sensor(
        name=f"{name}_vel",
        type=mujoco.mjtSensor.mjSENS_FRAMELINVEL,
        objtype=body[0],
        objname=name,
    )
    left = (mujoco.mjtObj.mjOBJ_BODY, f"{prefix}left_finger")
    right = (mujoco.mjtObj.mjOBJ_BODY, f"{prefix}right_finger")
    if len(robot.gripper.fingers) == 1:
        right = (mujoco.mjtObj.mjOBJ_GEOM, f"{prefix}right_pad")
    arm = (mujoco.mjtObj.mjOBJ_XBODY, f"{prefix}base")
    for part, source in (("left", left), ("right", right), ("arm", arm)):
        _add_contact(spec, f"{prefix}{part}_{name}", source, body, (_FOUND, _NO_REDUCTION, 1))


def add_force_sensor(spec: mujoco.MjSpec, name: str, body: str, geom: str) -> None:
    """Add ``name`` (3) N: the sum of the contact forces between a body and a geom, world frame."""
    first, second = (mujoco.mjtObj.mjOBJ_XBODY, body), (mujoco.mjtObj.mjOBJ_GEOM, geom)
    _add_contact(spec, name, first, second, (_FORCE, _NET_FORCE, 1))


def _add_frame(spec: mujoco.MjSpec, name: str, of: tuple[mujoco.mjtObj, str]) -> None:
    for suffix, kind in (
        ("pos", mujoco.mjtSensor.mjSENS_FRAMEPOS),
        ("quat", mujoco.mjtSensor.mjSENS_FRAMEQUAT),
    ):
        spec.add_sensor(name=f"{name}_{suffix}", type=kind, objtype=of[0], objname=of[1])


def _add_contact(
    spec: mujoco.MjSpec,
    name: str,
    first: tuple[mujoco.mjtObj, str],
    second: tuple[mujoco.mjtObj, str],
    settings: tuple[int, int, int],
) -> None:
    """Add a contact sensor; ``settings`` are data bits, reduction and number of slots."""
    sensor = spec.add_sensor(
        name=name,
        type=mujoco.mjtSensor.mjSENS_CONTACT,
        objtype=first[0],
        objname=first[1],
        reftype=second[0],
        refname=second[1],
    )
    sensor.intprm[:3] = settings
