"""The tabletop: table, floor, light, cameras, an arm, and the things a task puts on the table.

Units: m, rad, kg. The table's top is z = 0, the arm's base the origin, x points forward.
"""

from collections.abc import Callable, Sequence

import mujoco

from envs.looks import add_cameras, add_table_legs, set_looks
from envs.robot_builder import PHYSICS_DT, add_arm
from envs.robot_model import Robot, Table
from envs.sensors import add_arm_sensors, add_arms_sensor, add_object_sensors, add_zone_sensors

Props = Callable[[mujoco.MjSpec], None]

TABLE_HALF = Table().half
FLOOR_Z = -0.75
RED = (0.85, 0.10, 0.10, 1.0)
GREEN = (0.10, 0.65, 0.25, 1.0)


def build_scene(robot: Robot, props: Props | None = None, distractors: int = 0) -> mujoco.MjSpec:
    """Return the scene with one arm, or with all arms of a robot.

    Bodies come in the order arms, props, distractors, so the arm's coordinates are the first.
    What a variation changes in place has a name: geoms ``table`` and ``floor``, materials
    ``table``, ``table_plain`` and ``table_checker``, light ``key``, cameras ``overhead``,
    ``wrist`` and ``view``.

    Args:
        robot: the arm, whose names have no prefix, or arms, whose names have theirs.
        props: adds the task's objects with ``add_block`` and ``add_zone``; every body with a free
            joint and every mocap body gets its sensors.
        distractors: how many bodies ``distractor0``.. to add, with the sensors of an object.
    """
    spec = mujoco.MjSpec()
    spec.modelname = f"tabletop_{robot.name}"
    _set_physics(spec)
    set_looks(spec, robot.table)
    _add_surroundings(spec, robot.table)
    add_cameras(spec, robot.overhead, robot.view)
    for mount in robot.mounts:
        add_arm(spec, mount.arm, mount.prefix, mount.pos, mount.yaw)
        add_arm_sensors(spec, mount.prefix)
    if len(robot.mounts) == 2:
        add_arms_sensor(spec, robot.mounts[0].prefix, robot.mounts[1].prefix)
    if props is not None:
        props(spec)
    for body in spec.worldbody.bodies:
        if body.mocap:
            add_zone_sensors(spec, body.name)
        elif any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in body.joints):
            add_object_sensors(spec, robot.mounts, body.name)
    for index in range(distractors):
        _add_distractor(spec, index, robot.table.aside)
        add_object_sensors(spec, robot.mounts, f"distractor{index}")
    return spec


def add_block(
    spec: mujoco.MjSpec,
    name: str,
    half: Sequence[float],
    rgba: Sequence[float] = RED,
    mass: float = 0.05,
    friction: float = 1.0,
) -> mujoco.MjsBody:
    """Add a box that can be grasped; body, free joint and geom are all called ``name``.

    Args:
        spec: the scene.
        name: name of the body, its joint and its geom.
        half: half extents (3,).
        rgba: colour.
        mass: mass of the box.
        friction: sliding friction against the table (the pads bring their own).
    """
    body, geom = _add_free(spec, name, mujoco.mjtGeom.mjGEOM_BOX, half)
    geom.rgba, geom.mass = list(rgba), mass
    geom.friction = [friction, 0.005, 0.0001]
    return body


def add_zone(
    spec: mujoco.MjSpec, name: str, radius: float, rgba: Sequence[float] = GREEN
) -> mujoco.MjsBody:
    """Add a flat disc to look at: a mocap body, placed for each episode, that touches nothing."""
    body = spec.worldbody.add_body(name=name, mocap=True, pos=[0.35, 0.2, 0.0])
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[radius, 0.0006, 0.0],
        pos=[0.0, 0.0, 0.0006],
        rgba=list(rgba),
        contype=0,
        conaffinity=0,
        mass=0.0,
    )
    return body


def _add_free(
    spec: mujoco.MjSpec, name: str, kind: mujoco.mjtGeom, size: Sequence[float]
) -> tuple[mujoco.MjsBody, mujoco.MjsGeom]:
    """Add a free body of one geom, standing on the table."""
    body = spec.worldbody.add_body(name=name, pos=[0.35, 0.0, float(size[-1])])
    body.add_freejoint(name=name)
    geom = body.add_geom(
        name=name, type=kind, size=[*size, 0.0, 0.0][:3], condim=4, solref=[0.01, 1.0]
    )
    return body, geom


DISTRACTORS = (
    (mujoco.mjtGeom.mjGEOM_CYLINDER, (0.018, 0.030), (0.15, 0.35, 0.80, 1.0)),
    (mujoco.mjtGeom.mjGEOM_BOX, (0.035, 0.015, 0.012), (0.95, 0.75, 0.10, 1.0)),
    (mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.026, 0.018, 0.014), (0.55, 0.25, 0.65, 1.0)),
    (mujoco.mjtGeom.mjGEOM_BOX, (0.012, 0.012, 0.030), (0.10, 0.60, 0.65, 1.0)),
    # The fifth has the colour of the object to grasp: a policy that follows red alone errs.
    (mujoco.mjtGeom.mjGEOM_CYLINDER, (0.024, 0.012), RED),
    (mujoco.mjtGeom.mjGEOM_BOX, (0.020, 0.020, 0.008), (0.90, 0.90, 0.88, 1.0)),
)
"""Kind, size and colour of each distractor: no two alike."""


def _add_distractor(spec: mujoco.MjSpec, index: int, aside: float) -> None:
    """Add ``distractor<index>``, resting on the floor beside the table, out of all cameras."""
    if index >= len(DISTRACTORS):
        raise ValueError(f"distractors must be at most {len(DISTRACTORS)}, got {index + 1}")
    kind, size, rgba = DISTRACTORS[index]
    body, geom = _add_free(spec, f"distractor{index}", kind, size)
    geom.rgba, geom.mass = list(rgba), 0.04
    body.pos = [-0.6 - 0.15 * index, aside, FLOOR_Z + size[-1]]


def _set_physics(spec: mujoco.MjSpec) -> None:
    option = spec.option
    option.timestep = PHYSICS_DT
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0
    option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE


def _add_surroundings(spec: mujoco.MjSpec, table: Table) -> None:
    """Add the table and a floor below it, so that what falls off the table comes to rest."""
    world = spec.worldbody
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[4.0, 4.0, 0.1],
        pos=[0.0, 0.0, FLOOR_Z],
        rgba=[0.60, 0.61, 0.63, 1.0],
    )
    world.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=list(table.half),
        pos=[*table.centre, -table.half[2]],
        friction=[1.0, 0.005, 0.0001],
        material="table",
    )
    add_table_legs(spec, table.half, table.centre, FLOOR_Z)
