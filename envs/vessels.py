"""Cups and the beads in them.

A cup is hollow: eight flat walls and a bottom hold the beads, and a round hull, which the beads
pass through, is what the fingers and the table touch. The beads are smooth: nothing rubs or spins
them, so that each has three degrees of freedom and its contacts one row of constraints, which makes
dozens of them affordable. Units: m, kg.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.arm import Array
from envs.readings import Flag, Value
from envs.task import Pose

Rgba = tuple[float, float, float, float]

SIDES = 8
WALL = 0.003  # thickness of the walls [m]
BOTTOM = 0.005  # thickness of the bottom [m]

# Bits of what meets what: (contype, conaffinity); all else in the scene has (1, 1).
_HULL, _WALL, _BEAD = (9, 8), (0, 4), (7, 2)

_SOLREF = [0.01, 1.0]  # five time steps, as of other objects
DRAG = 0.003  # viscous drag on a bead [N s/m]: what is spilled comes to rest
SPACING = 1.08  # of the beads when they are put into a cup, in diameters


@dataclass(frozen=True)
class Cup:
    """A cup: radius of the opening between two flat walls, and height, both of the inside [m]."""

    radius: float
    height: float
    mass: float

    @property
    def outer(self) -> float:
        """Radius of the hull: between that of the walls' faces and of their edges."""
        return float(self.radius + WALL) * (1 + 1 / float(np.cos(np.pi / SIDES))) / 2

    @property
    def tall(self) -> float:
        """Height from the table to the rim."""
        return BOTTOM + self.height

    def holds(self, pose: tuple[Sequence[Value], Sequence[Value]], points: Array) -> Flag:
        """Tell which points are inside.

        Args:
            pose: position (3, ...) and quaternion (4, ...) of the cup.
            points: x, y, z of k points, (k, 3, ...).

        Returns:
            Flags (k, ...).
        """
        (x, y, z), (w, i, j, k) = pose
        ux, uy, uz = 2 * (i * k + w * j), 2 * (j * k - w * i), 1 - 2 * (i * i + j * j)
        dx, dy, dz = points[:, 0] - x, points[:, 1] - y, points[:, 2] - z
        up = dx * ux + dy * uy + dz * uz
        aside = dx * dx + dy * dy + dz * dz - up * up
        return (up > 0) & (up < self.tall) & (aside < (self.radius + WALL) ** 2)


def add_cup(spec: mujoco.MjSpec, name: str, cup: Cup, rgba: Rgba) -> mujoco.MjsBody:
    """Add a free cup called ``name``; its frame is in the middle of its underside."""
    body = spec.worldbody.add_body(name=name, pos=[0.35, 0.0, 0.0])
    body.add_freejoint(name=name)
    half, middle = cup.height / 2, BOTTOM + cup.height / 2
    off, width = cup.radius + WALL / 2, (cup.radius + WALL) * np.tan(np.pi / SIDES)
    bottom = 0.25 * cup.mass
    hollow = {
        "rgba": list(rgba), "contype": _WALL[0], "conaffinity": _WALL[1],
        "condim": 1, "solref": _SOLREF,
    }  # fmt: skip
    for angle in np.arange(SIDES) * 2 * np.pi / SIDES:
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[WALL / 2, width, half],
            pos=[off * np.cos(angle), off * np.sin(angle), middle],
            quat=[np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)],
            mass=(cup.mass - bottom) / SIDES,
            **hollow,
        )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[cup.radius + WALL, BOTTOM / 2, 0.0],
        pos=[0.0, 0.0, BOTTOM / 2],
        mass=bottom,
        **hollow,
    )
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[cup.outer, cup.tall / 2, 0.0],
        pos=[0.0, 0.0, cup.tall / 2],
        contype=_HULL[0],
        conaffinity=_HULL[1],
        condim=4,
        solref=_SOLREF,
        mass=0.0,
        group=3,
    )
    return body


def add_beads(
    spec: mujoco.MjSpec, name: str, count: int, radius: float, mass: float, rgba: Sequence[Rgba]
) -> None:
    """Add ``count`` beads, joints ``<name>0_x``, ``<name>0_y``..; their positions are read as one.

    The sensor group ``<name>`` has x, y, z of the first bead, then of the second, and so on.
    """
    for k in range(count):
        body = spec.worldbody.add_body(name=f"{name}{k}")
        for axis, unit in zip("xyz", np.eye(3), strict=True):
            body.add_joint(
                name=f"{name}{k}_{axis}",
                type=mujoco.mjtJoint.mjJNT_SLIDE,
                axis=unit.tolist(),
                damping=[DRAG, 0.0, 0.0],
            )
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[radius, 0.0, 0.0],
            rgba=list(rgba[k % len(rgba)]),
            mass=mass,
            contype=_BEAD[0],
            conaffinity=_BEAD[1],
            condim=1,
            solref=_SOLREF,
        )
        spec.add_sensor(
            name=f"{name}.{k}",
            type=mujoco.mjtSensor.mjSENS_FRAMEPOS,
            objtype=mujoco.mjtObj.mjOBJ_XBODY,
            objname=f"{name}{k}",
        )


def filled(cup: Cup, pose: Pose, count: int, radius: float, rng: np.random.Generator) -> Array:
    """Return positions (count, 3) of beads of ``radius`` in layers in a standing cup at ``pose``.

    They are a little apart and not quite in order, so that they settle as poured.
    """
    step = 2 * radius * SPACING
    ring = np.arange(6) * np.pi / 3
    layers = -(-count // 7)
    points = np.zeros((layers, 7, 3))
    turns = ring + np.pi / 6 * np.arange(layers)[:, None]
    points[:, 1:, 0], points[:, 1:, 1] = step * np.cos(turns), step * np.sin(turns)
    points[:, :, 2] = (BOTTOM + radius + step * np.arange(layers))[:, None]
    placed: Array = points.reshape(-1, 3)[:count]
    placed[:, :2] += rng.uniform(-0.05, 0.05, (count, 2)) * radius
    if count and placed[:, 2].max() > cup.tall:
        raise ValueError(f"the beads must fit into the cup, got {count} of {radius} m")
    placed += np.array(pose[:3])
    return placed
