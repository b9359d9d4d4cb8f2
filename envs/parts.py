"""Parts that fit together: bodies of several boxes, square holes, posts.

MuJoCo collides convex shapes, so a hole is what its walls leave free. Units: m, rad, kg.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.task import Pose

Vec3 = tuple[float, float, float]
Rgba = tuple[float, float, float, float]

SNUG = (0.004, 1.0)
"""Contact of parts in each other: two time steps, or they would sink in by a tenth of the play."""
SLIPPERY = 0.3  # sliding friction of parts on each other, as of smooth plastic


@dataclass(frozen=True)
class Box:
    """One box of a part: half sizes and centre (3,), ``pitch`` about the body's x or y axis."""

    half: Vec3
    at: Vec3
    axis: Vec3 = (1.0, 0.0, 0.0)
    pitch: float = 0.0
    rgba: Rgba | None = None


def add_part(
    spec: mujoco.MjSpec,
    name: str,
    boxes: Sequence[Box],
    rgba: Rgba,
    mass: float | None = None,
    friction: float = SLIPPERY,
) -> mujoco.MjsBody:
    """Add a body of boxes called ``name``; the first geom has that name, too.

    Args:
        spec: the scene.
        name: name of the body, its joint and its first geom.
        boxes: the boxes, in the body's frame.
        rgba: colour of those that bring none.
        mass: spread over the boxes by volume; None for a mocap body, which is placed like a zone
            for each episode and stays where it is.
        friction: against other parts; the table and the pads bring their own.
    """
    body = spec.worldbody.add_body(name=name, pos=[0.35, 0.0, 0.1], mocap=mass is None)
    if mass is not None:
        body.add_freejoint(name=name)
    volumes = np.array([float(np.prod(box.half)) for box in boxes])
    masses = volumes / volumes.sum() * (mass or 0.0)
    for k, box in enumerate(boxes):
        geom = body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=list(box.half),
            pos=list(box.at),
            quat=[np.cos(box.pitch / 2), *(np.sin(box.pitch / 2) * np.array(box.axis))],
            rgba=list(box.rgba or rgba),
            mass=float(masses[k]),
            condim=4,
            friction=[friction, 0.005, 0.0001],
            solref=list(SNUG),
        )
        if k == 0:
            geom.name = name
    return body


def walls(hole: float, wall: float, low: float, high: float) -> list[Box]:
    """Return four walls around a square hole.

    Args:
        hole: half the width of the hole.
        wall: thickness of the walls.
        low, high: between these heights.
    """
    half, z = (high - low) / 2, (high + low) / 2
    off = hole + wall / 2
    return [
        *(Box((wall / 2, hole + wall, half), (s * off, 0.0, z)) for s in (1, -1)),
        *(Box((hole, wall / 2, half), (0.0, s * off, z)) for s in (1, -1)),
    ]


def funnel(hole: float, lead: float, top: float, rgba: Rgba | None = None) -> list[Box]:
    """Return four slopes of 45 degrees that lead into a square hole.

    Args:
        hole: half the width of the hole.
        lead: width and height of each slope; the walls must be 2.5 times as thick.
        top: height of the slopes' upper edge.
        rgba: colour.
    """
    thick = lead  # thick boxes: what presses a corner out of a thin one may find the wrong side
    middle = hole + lead / 2 + thick / np.sqrt(2)
    z = top - lead / 2 - thick / np.sqrt(2)
    half = float(lead / np.sqrt(2))
    turn = np.pi / 4
    return [
        *(
            Box((half, hole + lead, thick), (s * middle, 0.0, z), (0.0, 1.0, 0.0), -s * turn, rgba)
            for s in (1, -1)
        ),
        *(
            Box((hole + lead, half, thick), (0.0, s * middle, z), (1.0, 0.0, 0.0), s * turn, rgba)
            for s in (1, -1)
        ),
    ]


def standing(x: float, y: float, yaw: float, z: float) -> Pose:
    """Return the pose of something upright at x, y, z [m], turned by ``yaw`` [rad]."""
    return (x, y, z, float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))
