"""Parts that fit together: bodies of several shapes, square holes with slopes, posts.

MuJoCo collides convex shapes, so a hole is what its walls leave free. A peg and a socket are lists
of shapes: a task makes a body of them that stands still, lies free or is held by a second arm.
Units: m, rad, kg.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin, sqrt

import mujoco

from envs.task import Pose

Vec3 = tuple[float, float, float]
Rgba = tuple[float, float, float, float]

SNUG = (0.004, 1.0)
"""Contact of parts in each other: two time steps, or they would sink in by a tenth of the play."""
SLIPPERY = 0.3  # sliding friction of parts on each other, as of smooth plastic


@dataclass(frozen=True)
class Box:
    """One box of a part: half sizes and centre (3,), turned by ``pitch`` about ``axis``."""

    half: Vec3
    at: Vec3 = (0.0, 0.0, 0.0)
    axis: Vec3 = (1.0, 0.0, 0.0)
    pitch: float = 0.0
    rgba: Rgba | None = None

    @property
    def volume(self) -> float:
        """Volume [m^3]."""
        return 8 * self.half[0] * self.half[1] * self.half[2]


@dataclass(frozen=True)
class Post:
    """An upright round post with a ball for a tip, from ``low`` to ``high``."""

    radius: float
    low: float
    high: float
    rgba: Rgba | None = None

    @property
    def volume(self) -> float:
        """Volume [m^3], as if the ends were flat."""
        return pi * self.radius**2 * (self.high - self.low)


def add_part(
    spec: mujoco.MjSpec,
    name: str,
    shapes: Sequence[Box | Post],
    rgba: Rgba,
    mass: float | None = None,
    friction: float = SLIPPERY,
) -> mujoco.MjsBody:
    """Add a body called ``name``; the first geom has that name, too.

    Args:
        spec: the scene.
        name: name of the body, its joint and its first geom.
        shapes: in the body's frame.
        rgba: colour of those that bring none.
        mass: spread over the shapes by volume; None for a mocap body, which is placed like a zone
            for each episode and stays where it is.
        friction: against other parts; the table and the pads bring their own.
    """
    body = spec.worldbody.add_body(name=name, pos=[0.35, 0.0, 0.1], mocap=mass is None)
    if mass is not None:
        body.add_freejoint(name=name)
    total = sum(shape.volume for shape in shapes)
    for k, shape in enumerate(shapes):
        geom = _add_shape(body, shape)
        geom.rgba = list(shape.rgba or rgba)
        geom.mass = (mass or 0.0) * shape.volume / total
        geom.condim, geom.friction, geom.solref = 4, [friction, 0.005, 0.0001], list(SNUG)
        if k == 0:
            geom.name = name
    return body


def _add_shape(body: mujoco.MjsBody, shape: Box | Post) -> mujoco.MjsGeom:
    if isinstance(shape, Box):
        turn = [sin(shape.pitch / 2) * part for part in shape.axis]
        return body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=list(shape.half),
            pos=list(shape.at),
            quat=[cos(shape.pitch / 2), *turn],
        )
    half = (shape.high - shape.low) / 2
    return body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        size=[shape.radius, half - shape.radius, 0.0],
        pos=[0.0, 0.0, shape.low + half],
    )


def walls(hole: float, wall: float, low: float, high: float, step: float = 0.0) -> list[Box]:
    """Return four walls around a square hole.

    Args:
        hole: half the width of the hole.
        wall: thickness of the walls.
        low: height of their lower edge.
        high: height of their upper edge.
        step: the walls across y are this much less high at both edges, so that parts lie on each
            other with two walls each: a third of the contacts.
    """
    half, z = (high - low) / 2, (high + low) / 2
    off = hole + wall / 2
    return [
        *(Box((wall / 2, hole + wall, half), (s * off, 0.0, z)) for s in (1, -1)),
        *(Box((hole, wall / 2, half - step), (0.0, s * off, z)) for s in (1, -1)),
    ]


def funnel(hole: float, lead: float, top: float, rgba: Rgba | None = None) -> list[Box]:
    """Return four slopes of 45 degrees that lead into a square hole.

    The slopes are the faces of boxes as thick as ``lead``: what presses a corner out of a thin one
    may find the wrong side.

    Args:
        hole: half the width of the hole.
        lead: width and height of each slope; the walls must be 2.5 times as thick.
        top: height of the slopes' upper edge.
        rgba: colour.
    """
    deep = lead / sqrt(2)  # from the face to the middle of the box, across and down
    off, z = hole + lead / 2 + deep, top - lead / 2 - deep
    turn, long = pi / 4, hole + lead
    along_y, along_x = (deep, long, lead), (long, deep, lead)
    return [
        *(Box(along_y, (s * off, 0.0, z), (0.0, 1.0, 0.0), -s * turn, rgba) for s in (1, -1)),
        *(Box(along_x, (0.0, s * off, z), (1.0, 0.0, 0.0), s * turn, rgba) for s in (1, -1)),
    ]


def socket(
    hole: float, wall: float, depth: float, lead: float, slopes: Rgba | None = None
) -> list[Box]:
    """Return a square hole that goes through, with a funnel for a mouth; z = 0 is its lower side.

    Args:
        hole: half the width of the hole.
        wall: thickness of the walls, at least 2.5 times ``lead``.
        depth: of the hole, funnel included.
        lead: width and height of the funnel's slopes.
        slopes: colour of the funnel.
    """
    if wall < 2.5 * lead or depth <= lead:
        raise ValueError(
            f"a lead must be less than the depth and 0.4 of the wall, got {lead} in {depth}, {wall}"
        )
    return [
        *walls(hole, wall, 0.0, depth - lead),
        *walls(hole + lead, wall - lead, depth - lead, depth),
        *funnel(hole, lead, depth, slopes),
    ]


def lying(shapes: Sequence[Box]) -> list[Box]:
    """Return boxes tipped over about x: what pointed up points to -y."""

    def tip(v: Vec3) -> Vec3:
        return (v[0], -v[2], v[1])

    def half(v: Vec3) -> Vec3:
        return (v[0], v[2], v[1])

    return [replace(box, half=half(box.half), at=tip(box.at), axis=tip(box.axis)) for box in shapes]


def standing(x: float, y: float, yaw: float, z: float) -> Pose:
    """Return the pose of something upright at x, y, z [m], turned by ``yaw`` [rad]."""
    return (x, y, z, cos(yaw / 2), 0.0, 0.0, sin(yaw / 2))
