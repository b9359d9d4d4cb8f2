"""Put a square peg into a square hole: the tighter, the more the contact has to be felt."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, InitialCondition
from envs.parts import Box, add_part, socket, standing
from envs.readings import Flag, Readings, distance2, distance2_xy
from envs.task import Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.expert_fitting import Fit
    from envs.relabel import Labeller
    from envs.world import World

PEG = (0.012, 0.012, 0.040)  # half sizes of the peg [m]
DEPTH = 0.035  # of the hole, which goes through to the table [m]
WALL = 0.016  # thickness of the socket's walls at the table [m]
LEAD = 0.006  # of the slopes around the hole's mouth [m]
REACHED = 0.06  # between the tool centre point and the peg's centre [m]
LIFTED = PEG[2] + 0.03  # height of the peg's centre [m]
ALIGNED = 0.005  # of the peg's axis and the hole's [m]
INSIDE = 0.003  # the same, below the slopes: wider than the play, narrower than the wall [m]
ENTERED = PEG[2] + DEPTH - LEAD - 0.005  # height of the peg's centre, 5 mm past the slopes [m]
HOME = PEG[2] + 0.003  # height of the peg's centre at the bottom of the hole [m]
STILL = 0.02  # speed below which the peg is at rest [m/s]
APART = 0.12  # least distance of peg and socket at the start [m]
JITTER = 0.01  # of the arm's start pose [rad]
JAMMED_S = 2.0  # so long in the hole without going home [s]

PEG_COLOUR = (0.85, 0.10, 0.10, 1.0)
SOCKET_COLOUR = (0.13, 0.33, 0.66, 1.0)
SLOPE_COLOUR = (0.93, 0.78, 0.20, 1.0)


@dataclass(frozen=True)
class Insertion(Task):
    """A standing peg, taken from above and pushed down into a hole with ``clearance``.

    Attributes:
        clearance: width of the hole less width of the peg [m].
    """

    name: ClassVar[str] = "insertion"
    instruction: ClassVar[str] = "put the red peg into the hole of the blue socket"
    stages: ClassVar[tuple[str, ...]] = (
        "reach", "grasp", "lift", "align", "enter", "insert", "rest",
    )  # fmt: skip
    objects: ClassVar[tuple[str, ...]] = ("peg", "socket")
    manipulated: ClassVar[str] = "peg"
    inapplicable: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"object_size": "parts of another size would not fit"}
    )
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"koch": "its gripper points straight down only up to 6 cm above the table, not 11"}
    )
    region: ClassVar[Region] = Region((0.27, 0.40), (-0.15, 0.15), (-0.44, 0.44))

    clearance: float = 0.001

    def __post_init__(self) -> None:
        """Refuse a hole that the peg does not fit, or falls into."""
        if not 0.0002 <= self.clearance <= 0.004:
            raise ValueError(f"clearance must be .0002..0.004 m, got {self.clearance}")

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the socket, which does not move, and the peg."""
        hole = PEG[0] + self.clearance / 2
        add_part(spec, "socket", socket(hole, WALL, DEPTH, LEAD, SLOPE_COLOUR), SOCKET_COLOUR)
        add_part(spec, "peg", [Box(PEG)], PEG_COLOUR, mass=0.06)

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw peg and socket in the region, ``APART`` from each other, and the arm near home."""
        region = self.region_on(arm)
        peg = standing(*region.sample(rng), PEG[2])
        for _ in range(100):  # two draws in five are too close; at last ``separate`` decides
            socket = standing(*region.sample(rng), 0.0)
            if np.hypot(socket[0] - peg[0], socket[1] - peg[1]) >= APART:
                break
        jitter = rng.uniform(-JITTER, JITTER, arm.n - 1)
        qpos = (*map(float, np.asarray(arm.home[:-1]) + jitter), arm.home[-1])
        objects = self.separate({"peg": peg, "socket": socket})
        return InitialCondition(qpos, objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Move the socket towards the middle of the table, away from the peg, if too close."""
        moved = dict(objects)
        peg, socket = moved["peg"], moved["socket"]
        if np.hypot(socket[0] - peg[0], socket[1] - peg[1]) < APART:
            y = peg[1] + (APART if peg[1] < 0 else -APART)
            moved["socket"] = (socket[0], y, *socket[2:])
        return moved

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach, grasp (both fingers), lift, align (held over the hole), enter, insert."""
        peg, socket = r["peg_pos"], r["socket_pos"]
        held = (r.scalar("left_peg") > 0) & (r.scalar("right_peg") > 0)
        off = distance2_xy(peg, socket)
        return (
            distance2(r["tcp_pos"], peg) < REACHED**2,
            held,
            held & (peg[2] > LIFTED),
            held & (off < ALIGNED**2),
            (off < INSIDE**2) & (peg[2] < ENTERED),
            self._inserted(r),
        )

    @staticmethod
    def _inserted(r: Readings) -> Flag:
        """Tell whether the peg stands in the hole: only there it can be so near the axis."""
        peg = r["peg_pos"]
        return (distance2_xy(peg, r["socket_pos"]) < INSIDE**2) & (peg[2] < HOME)

    def goal(self, r: Readings) -> Flag:
        """At the bottom of the hole, at rest, and the robot has let go."""
        vx, vy, vz = r["peg_vel"]
        still = vx * vx + vy * vy + vz * vz < STILL**2
        return self._inserted(r) & still & (r.scalar("arm_peg") <= 0)

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """Jammed: the peg has been in the hole for ``JAMMED_S`` and has not gone home."""
        entered, inserted = (np.asarray(flag) for flag in self.milestones(r)[-2:])
        since = np.cumsum(entered & ~inserted, axis=0)
        return {"jammed": (since >= JAMMED_S * 50) & ~np.maximum.accumulate(inserted, axis=0)}

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator: a grasp from above, alignment by what is seen, a slow push."""
        from envs.expert_fitting import Fitter

        return Fitter(world, operator, (self._fit(),))

    def labeller(self, world: "World") -> "Labeller":
        """Make the expert that knows what to do anywhere."""
        from envs.expert import OPERATORS
        from envs.relabel_fitting import FitRule

        return FitRule(world, OPERATORS["clean"], self._fit())

    @staticmethod
    def _fit() -> "Fit":
        from envs.expert_fitting import Fit

        return Fit("peg", "socket", height=PEG[2], mouth=PEG[2] + DEPTH, grip=0.022, width=PEG[1])


@dataclass(frozen=True)
class LooseInsertion(Insertion):
    """Two millimetres of clearance."""

    name: ClassVar[str] = "insertion_2mm"
    clearance: float = 0.002


@dataclass(frozen=True)
class TightInsertion(Insertion):
    """Half a millimetre of clearance."""

    name: ClassVar[str] = "insertion_05mm"
    clearance: float = 0.0005
