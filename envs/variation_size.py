"""Variation of the object to move: smaller or larger, and at the harshest level another shape."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from envs.arm import InitialCondition
from envs.factor import BOTH, Bound, Draw, Variation, add_factor
from envs.task import Task
from envs.world import World

BOX, CYLINDER = int(mujoco.mjtGeom.mjGEOM_BOX), int(mujoco.mjtGeom.mjGEOM_CYLINDER)
ALIKE = 0.2  # a box whose sides differ by less than this share may become a cylinder


def _draw_size(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Scale the manipulated object about its frame, which then rests as much higher or lower."""
    name = task.subject(start)
    scale = 1.0 + d.signed(b["size"])
    new = b["shape"] > 0 and (d.at_bound or bool(d.rng.random() < 0.5))
    x, y, z, *turn = start.objects[name]
    objects = {**start.objects, name: (x, y, z * scale, *turn)}
    values = {"object": name, "scale": scale, "new_shape": bool(new) and not task.told_by_shape}
    return add_factor(replace(start, objects=objects), "object_size", values)


def _apply_size(m: mujoco.MjModel, world: World, v: Mapping[str, Any]) -> None:
    """Scale a body and all its geoms about its frame at equal density."""
    body, scale = m.body(v["object"]).id, v["scale"]
    first, count = int(m.body_geomadr[body]), int(m.body_geomnum[body])
    if v["new_shape"] and count == 1:
        _change_shape(m, body, first)
    geoms = slice(first, first + count)
    for lengths in (m.geom_pos, m.geom_size, m.geom_aabb, m.geom_rbound):
        lengths[geoms] *= scale
    boxes = int(m.body_bvhadr[body])
    m.bvh_aabb[boxes : boxes + int(m.body_bvhnum[body])] *= scale
    m.body_ipos[body] *= scale
    m.body_mass[body] *= scale**3
    m.body_inertia[body] *= scale**5


def reshaped(world: World, v: Mapping[str, Any]) -> bool:
    """Tell whether an object that was to get another shape has one: bars and crosses have none."""
    body = world.model.body(v["object"])
    a, b, _ = world.model.geom_size[int(body.geomadr[0])]
    kind = world.model.geom_type[int(body.geomadr[0])]
    square = kind == BOX and abs(a - b) < ALIKE * max(a, b)
    return bool(v["new_shape"] and int(body.geomnum[0]) == 1 and (square or kind == CYLINDER))


def _change_shape(m: mujoco.MjModel, body: int, geom: int) -> None:
    """Make a square box a cylinder of its width and height, and a cylinder a box.

    Mass and principal moments of inertia (solid bodies) are those of the new shape; the geom is
    the whole body, so its axes are the principal ones. Other shapes stay.
    """
    a, b, c = m.geom_size[geom]
    if m.geom_type[geom] == BOX and abs(a - b) < ALIKE * max(a, b):
        r = (a + b) / 2
        m.geom_type[geom], m.geom_size[geom] = CYLINDER, (r, c, 0.0)
        share = np.pi * r * r / (4 * a * b)
        per_mass = ((3 * r * r + 4 * c * c) / 12, (3 * r * r + 4 * c * c) / 12, r * r / 2)
        half = (r, r, c)
    elif m.geom_type[geom] == CYLINDER:
        m.geom_type[geom], m.geom_size[geom] = BOX, (a, a, b)
        share = 4 / np.pi
        per_mass = ((a * a + b * b) / 3, (a * a + b * b) / 3, 2 * a * a / 3)
        half = (a, a, b)
    else:
        return
    m.geom_aabb[geom, 3:] = half
    m.geom_rbound[geom] = np.linalg.norm(half)
    m.body_mass[body] *= share
    m.body_inertia[body] = m.body_mass[body] * np.array(per_mass)


SIZE = Variation(
    "object_size", "size of the object, at L3 its shape too",
    ({"size": 0.05, "shape": 0}, {"size": 0.15, "shape": 0}, {"size": 0.25, "shape": 1}),
    BOTH, _draw_size, _apply_size, moves=True,
)  # fmt: skip
