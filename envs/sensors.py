"""What a task reads of the simulation: sensors, so that one array holds all of it.

Names and widths in ``sensordata`` (o is an object): ``tcp_pos`` (3) m, ``tcp_quat`` (4);
``arm_table`` (3) N, the sum of the contact forces between arm and table, world frame; for each
zone and object ``<o>_pos`` (3), ``<o>_quat`` (4); for each object ``<o>_vel`` (3) m/s and the
number of contacts ``left_<o>``, ``right_<o>`` (a finger touches it), ``arm_<o>`` (any part of the
arm touches it), each (1), 0 when it does not.

Of two arms, what belongs to one has its prefix: ``left_tcp_pos``, ``right_arm_table``,
``left_right_<o>`` (the right finger of the left arm touches it); ``arm_arm`` (3) N is the sum of
the contact forces between the arms.
"""

from collections.abc import Container, Sequence

import mujoco

from envs.robot_model import Mount, RobotModel

PREFIXES = ("", "left_", "right_")
"""What the names of an arm's sensors may begin with."""


def hands(index: Container[str]) -> tuple[str, ...]:
    """Return the prefix of every arm whose sensors are in ``index``, in order."""
    return tuple(prefix for prefix in PREFIXES if f"{prefix}tcp_pos" in index)


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


def add_arms_sensor(spec: mujoco.MjSpec, first: str, second: str) -> None:
    """Add ``arm_arm``: the contact force between the arms of these prefixes."""
    bodies = [(mujoco.mjtObj.mjOBJ_XBODY, f"{prefix}base") for prefix in (first, second)]
    _add_contact(spec, "arm_arm", bodies[0], bodies[1], (_FORCE, _NET_FORCE, 1))


def add_object_sensors(spec: mujoco.MjSpec, arms: Sequence[Mount], name: str) -> None:
    """Add pose and velocity of the object ``name``, and where each of the arms touches it."""
    body = (mujoco.mjtObj.mjOBJ_XBODY, name)
    _add_frame(spec, name, body)
    spec.add_sensor(
        name=f"{name}_vel",
        type=mujoco.mjtSensor.mjSENS_FRAMELINVEL,
        objtype=body[0],
        objname=name,
    )
    for mount in arms:
        _add_touch(spec, mount.arm, mount.prefix, name)


def _add_touch(spec: mujoco.MjSpec, robot: RobotModel, prefix: str, name: str) -> None:
    body = (mujoco.mjtObj.mjOBJ_XBODY, name)
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
