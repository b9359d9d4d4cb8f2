"""Bounds with which ``mj_multiRay`` misses nothing that is drawn."""

import copy
import itertools

import mujoco
import numpy as np

from envs.arm import Array

VISIBLE = np.array([1, 1, 1, 0, 0, 0], np.uint8)
"""Groups of geoms that are drawn (MuJoCo's default)."""
GROWTH = 1.3  # of a body at most, when a variation makes it larger


def widen_bounds(model: mujoco.MjModel) -> mujoco.MjModel:
    """Return a copy of ``model`` with bounds inside which rays find everything.

    ``mj_multiRay`` skips a body if the ray misses the sphere about the root of its bounding
    volumes; in 3.17 that sphere's centre is not turned with the body, and it leaves out geoms
    that do not collide. Here it is centred on the body's inertial frame and covers what is drawn.
    """
    wide = copy.copy(model)
    radius = np.zeros(model.nbody)
    for geom in np.flatnonzero(VISIBLE[model.geom_group]):
        body = model.geom_bodyid[geom]
        reach = _corners(model, int(geom)) - model.body_ipos[body]
        radius[body] = max(radius[body], np.linalg.norm(reach, axis=1).max())
    tested = model.body_bvhadr >= 0
    wide.bvh_aabb[model.body_bvhadr[tested]] = 0.0
    wide.bvh_aabb[model.body_bvhadr[tested], 3] = GROWTH * radius[tested] + 1e-6
    return wide


def _corners(model: mujoco.MjModel, geom: int) -> Array:
    """Return the corners (8, 3) of a geom's box in its body's frame, m."""
    centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
    corners: Array = (centre + signs * half) @ turn.reshape(3, 3).T + model.geom_pos[geom]
    return corners
