"""How large the things of a task are: for tags on them, and for outlines of where they must be."""

from dataclasses import dataclass

import mujoco
import numpy as np

from envs.arm import Array
from envs.world import World

BOX, DISC, OTHER = "box", "disc", "other"


@dataclass(frozen=True)
class Extent:
    """One thing.

    Attributes:
        kind: ``box`` or ``disc`` (upright, round about z) where it is just that, else ``other``.
        half: half extents (3,) [m] in its own frame, of ``other`` those of a box around it.
    """

    kind: str
    half: tuple[float, float, float]

    @property
    def turns(self) -> int:
        """By so many equal turns about z it looks the same; 0: by any."""
        if self.kind == OTHER:
            return 1
        if self.kind == DISC:
            return 0
        return 4 if abs(self.half[0] - self.half[1]) < 1e-6 else 2


def extents(world: World) -> dict[str, Extent]:
    """Return the extent of everything that the task of ``world`` observes, by name."""
    return {name: _extent(world.model, name) for name in world.task.objects}


def _extent(model: mujoco.MjModel, name: str) -> Extent:
    body = model.body(name)
    first, count = int(body.geomadr[0]), int(body.geomnum[0])
    sizes = [_half(model, geom) for geom in range(first, first + count)]
    reach = [np.abs(model.geom_pos[first + k]) + half for k, half in enumerate(sizes)]
    x, y, z = np.max(reach, axis=0).tolist() if reach else (0.01, 0.01, 0.01)
    kinds = {mujoco.mjtGeom.mjGEOM_BOX: BOX, mujoco.mjtGeom.mjGEOM_CYLINDER: DISC}
    kind = kinds.get(int(model.geom_type[first]), OTHER) if count == 1 else OTHER
    straight = bool(count) and np.allclose(model.geom_quat[first], (1, 0, 0, 0))
    return Extent(kind if straight else OTHER, (x, y, z))


def _half(model: mujoco.MjModel, geom: int) -> Array:
    """Return half extents (3,) of a box around a geom, in the frame of its body [m]."""
    size, kind = model.geom_size[geom], int(model.geom_type[geom])
    half = {
        int(mujoco.mjtGeom.mjGEOM_BOX): size,
        int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): size,
        int(mujoco.mjtGeom.mjGEOM_CYLINDER): size[[0, 0, 1]],
        int(mujoco.mjtGeom.mjGEOM_CAPSULE): np.array([size[0], size[0], size[0] + size[1]]),
    }.get(kind, np.full(3, model.geom_rbound[geom]))
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
    turned: Array = np.abs(matrix.reshape(3, 3)) @ half
    return turned
