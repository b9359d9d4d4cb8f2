"""Two arms: the left one picks a bar up, hands it over in the air, the right one puts it down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, InitialCondition
from envs.grasp import holds
from envs.readings import Flag, Readings, distance2, distance2_xy
from envs.robot_pair import LEFT, RIGHT, VIPERX_PAIR
from envs.scene import add_block, add_zone
from envs.task import Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.relabel import Labeller
    from envs.world import World

HALF = (0.015, 0.065, 0.015)  # half extents of the bar, which lies across the arms' line [m]
ZONE = 0.05  # radius of the zone [m]
TOLERANCE = 0.03  # the bar's centre lies this close to the zone's [m]
REACHED = 0.07  # between the left tool centre point and the bar's centre [m]
# Height of the bar's centre from which no part of the bar can touch the table, however it hangs:
# more than half its diagonal (.068 m).
AIRBORNE = 0.075
RESTING = HALF[2] + 0.006  # height of the bar's centre when on the table [m]
STILL = 0.02  # speed below which the bar is at rest [m/s]
APART = 0.12  # least distance of bar and zone at the start [m]
JITTER = 0.01  # of the arms' start pose [rad]


@dataclass(frozen=True)
class Transfer(Task):
    """A bar from one arm to the other: both hold it by contact of both fingers, in the air.

    A touch is no grasp: see ``holds``. The bar has been handed over when it is too high to reach
    the table, the right arm has it in its grasp, and nothing of the left arm touches it. Only then
    does putting it down count.
    """

    name: ClassVar[str] = "transfer"
    instruction: ClassVar[str] = "hand the red bar to the right arm and put it on the green zone"
    stages: ClassVar[tuple[str, ...]] = (
        "reach", "grasp", "lift", "meet", "hand_over", "carry", "place", "rest",
    )  # fmt: skip
    objects: ClassVar[tuple[str, ...]] = ("bar", "target")
    manipulated: ClassVar[str] = "bar"
    horizon: ClassVar[int] = 700
    region: ClassVar[Region] = Region((0.27, 0.41), (-0.16, 0.16), (-0.44, 0.44))
    arms: ClassVar[int] = 2
    robot: ClassVar[str] = VIPERX_PAIR.name

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the bar and the zone."""
        add_zone(spec, "target", ZONE)
        add_block(spec, "bar", HALF)

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw the bar before the left arm, the zone before the right one, the arms near home."""
        region = self.region_on(arm)
        x, y, yaw = region.sample(rng)
        bar = (x, y, HALF[2], float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))
        away, zy, _ = region.sample(rng)
        zone = (VIPERX_PAIR.apart - away, -zy, 0.0, 1.0, 0.0, 0.0, 0.0)
        qpos = np.array(arm.home)
        qpos[arm.hinges] += rng.uniform(-JITTER, JITTER, len(arm.hinges))
        objects = self.separate({"bar": bar, "target": zone})
        return InitialCondition(tuple(map(float, qpos)), objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Move the zone towards the right arm if it is too close to the bar."""
        x, *rest = objects["target"]
        return {**objects, "target": (max(x, objects["bar"][0] + APART), *rest)}

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach, grasp and lift (left), meet (both hold it), hand over, carry (right), place."""
        bar, target = r["bar_pos"], r["target_pos"]
        left, right = holds(r, LEFT, "bar", HALF), holds(r, RIGHT, "bar", HALF)
        high = bar[2] > AIRBORNE
        taken = right & (r.scalar(f"{LEFT}arm_bar") <= 0)
        near = distance2_xy(bar, target)
        return (
            distance2(r[f"{LEFT}tcp_pos"], bar) < REACHED**2,
            left,
            left & high,
            left & right & high,
            taken & high,
            taken & (near < ZONE**2),
            (near < TOLERANCE**2) & (bar[2] < RESTING),
        )

    def goal(self, r: Readings) -> Flag:
        """On the zone, at rest, and both arms have let go."""
        bar = r["bar_pos"]
        vx, vy, vz = r["bar_vel"]
        return (
            (distance2_xy(bar, r["target_pos"]) < TOLERANCE**2)
            & (bar[2] < RESTING)
            & (vx * vx + vy * vy + vz * vz < STILL**2)
            & (r.scalar(f"{LEFT}arm_bar") <= 0)
            & (r.scalar(f"{RIGHT}arm_bar") <= 0)
        )

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator of both arms."""
        from envs.expert_transfer import Giver

        return Giver(world, operator)

    def labeller(self, world: "World") -> "Labeller":
        """Make the expert of both arms that knows what to do anywhere."""
        from envs.expert import OPERATORS
        from envs.relabel_transfer import HandOverRule

        return HandOverRule(world, OPERATORS["clean"], HALF)
