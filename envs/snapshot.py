"""The state that observations are made of: as it is, or as it was when a frame was taken."""

from envs.arm import Array
from envs.world import World


class Snapshot:
    """State of N simulations, and views of the parts that are observed.

    Made once; the views follow the arrays, so an observation has nothing to look up.

    Attributes:
        qpos, qvel, force, zones: MuJoCo's ``qpos``, ``qvel``, ``actuator_force`` and
            ``mocap_pos``, (N, ...).
        efforts: of the actuated joints in MuJoCo's units, (N, n).
        poses: of the task's movable objects by key of the observation, (N, 7).
    """

    def __init__(self, world: World, qpos: Array, qvel: Array, force: Array, zones: Array) -> None:
        """Look at the arrays of N simulations of ``world``."""
        self.world, self.qpos, self.qvel, self.force = world, qpos, qvel, force
        self.zones = zones
        self.efforts = force[:, world.ctrl]
        self.poses = {
            f"objects/{name}": qpos[:, at : at + 7]
            for name, at in world.objects.items()
            if name in world.task.objects
        }

    @property
    def joints(self) -> Array:
        """Positions of the actuated joints in MuJoCo's units, (N, n)."""
        positions: Array = self.qpos[:, self.world.qpos]
        return positions

    @property
    def speeds(self) -> Array:
        """Velocities of the actuated joints in MuJoCo's units, (N, n)."""
        velocities: Array = self.qvel[:, self.world.qvel]
        return velocities

    def copy(self) -> "Snapshot":
        """Return one of its own arrays, which keeps what is now."""
        arrays = (self.qpos, self.qvel, self.force, self.zones)
        return Snapshot(self.world, *(array.copy() for array in arrays))

    def update(self, other: "Snapshot", rows: Array) -> None:
        """Take the state of the simulations ``rows`` (N,) bool from ``other``."""
        self.qpos[rows] = other.qpos[rows]
        self.qvel[rows] = other.qvel[rows]
        self.force[rows] = other.force[rows]
        self.zones[rows] = other.zones[rows]
