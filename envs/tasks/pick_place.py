"""Pick up a cube and put it on a zone of the table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, InitialCondition
from envs.readings import Flag, Readings, distance2, distance2_xy
from envs.scene import add_block, add_zone
from envs.task import Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.relabel import Labeller
    from envs.world import World

HALF = 0.02  # half the edge of the cube [m]
ZONE = 0.05  # radius of the zone [m]
TOLERANCE = 0.03  # the cube's centre lies this close to the zone's [m]
REACHED = 0.05  # between the tool centre point and the cube [m]
LIFTED = HALF + 0.03  # height of the cube's centre [m]
RESTING = HALF + 0.006  # height of the cube's centre when on the table [m]
STILL = 0.02  # speed below which the cube is at rest [m/s]
APART = 0.12  # least distance of cube and zone at the start [m]
JITTER = 0.01  # of the arm's start pose [rad]


@dataclass(frozen=True)
class PickPlace(Task):
    """One cube to a zone: by contact and friction, nothing is attached or snapped."""

    name: ClassVar[str] = "pick_place"
    instruction: ClassVar[str] = "put the red cube on the green zone"
    stages: ClassVar[tuple[str, ...]] = ("reach", "grasp", "lift", "carry", "place", "rest")
    objects: ClassVar[tuple[str, ...]] = ("cube", "target")
    manipulated: ClassVar[str] = "cube"
    region: ClassVar[Region] = Region((0.27, 0.41), (-0.16, 0.16), (-0.44, 0.44))

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the cube and the zone."""
        add_zone(spec, "target", ZONE)
        add_block(spec, "cube", (HALF, HALF, HALF))

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw cube and zone in the region, ``APART`` from each other, and the arm near home."""
        region = self.region_on(arm)
        x, y, yaw = region.sample(rng)
        cube = (x, y, HALF, float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))
        for _ in range(1000):  # one draw in seven is too close, on a small arm four in five
            zx, zy, _ = region.sample(rng)
            if np.hypot(zx - x, zy - y) >= APART:
                break
        objects = self.separate({"cube": cube, "target": (zx, zy, 0.0, 1.0, 0.0, 0.0, 0.0)})
        jitter = rng.uniform(-JITTER, JITTER, arm.n - 1)
        qpos = (*map(float, np.asarray(arm.home[:-1]) + jitter), arm.home[-1])
        return InitialCondition(qpos, objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Mirror the zone to the other side of the table if it is too close to the cube."""
        moved = dict(objects)
        cube, target = np.array(moved["cube"][:2]), np.array(moved["target"])
        if np.linalg.norm(cube - target[:2]) < APART:
            target[1] += 2 * APART if cube[1] < 0 else -2 * APART
            moved["target"] = tuple(map(float, target))
        return moved

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach, grasp (both fingers), lift, carry (held over the zone), place (on the zone)."""
        cube, target = r["cube_pos"], r["target_pos"]
        held = (r.scalar("left_cube") > 0) & (r.scalar("right_cube") > 0)
        near = distance2_xy(cube, target)
        return (
            distance2(r["tcp_pos"], cube) < REACHED**2,
            held,
            held & (cube[2] > LIFTED),
            held & (near < ZONE**2),
            (near < TOLERANCE**2) & (cube[2] < RESTING),
        )

    def goal(self, r: Readings) -> Flag:
        """On the zone, at rest, and the robot has let go."""
        cube = r["cube_pos"]
        vx, vy, vz = r["cube_vel"]
        return (
            (distance2_xy(cube, r["target_pos"]) < TOLERANCE**2)
            & (cube[2] < RESTING)
            & (vx * vx + vy * vy + vz * vz < STILL**2)
            & (r.scalar("arm_cube") <= 0)
        )

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator: a top-down grasp, a lift, a carry, a release."""
        from envs.expert import GraspAndPlace

        return GraspAndPlace(world, operator, "cube", "target")

    def labeller(self, world: "World") -> "Labeller":
        """Make the expert that knows what to do anywhere."""
        from envs.expert import OPERATORS
        from envs.relabel import GraspAndPlaceRule

        return GraspAndPlaceRule(world, OPERATORS["clean"], lambda start: ("cube", "target"))
