"""Two arms: a peg in one gripper and a socket in the other are put together in the air."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, InitialCondition
from envs.grasp import holds
from envs.parts import Box, add_part, lying, socket, standing
from envs.readings import Flag, Readings, distance2, point_of, seen_from
from envs.robot_pair import LEFT, RIGHT, VIPERX_PAIR
from envs.task import Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.world import World

PEG = (0.012, 0.050, 0.012)  # half sizes of the peg, which lies along y, its tip to +y [m]
HANDLE = 0.040  # of its length, to be held [m]
DEPTH = 0.040  # of the hole, the slopes included; its bottom is the socket's origin [m]
WALL = 0.010  # thickness of the socket's walls [m]
LEAD = 0.004  # of the slopes around the hole's mouth [m]
STOP = 0.015  # thickness of the hole's bottom [m]
TIP = (0.0, PEG[1], 0.0)  # of the peg, in its frame [m]
REACHED = 0.06  # between the left tool centre point and the peg's centre [m]
# Height of both parts' origins from which neither can touch the table, however it hangs: more than
# the distance of their farthest corners (.053 m).
AIRBORNE = 0.065
ALIGNED = 0.005  # of the peg's tip and the hole's axis [m]
BEFORE = 0.04  # the tip is at most this far before the mouth when it is aligned [m]
INSIDE = 0.003  # of the tip and the axis, below the slopes: more than the play, less than a wall
ENTERED = DEPTH - LEAD - 0.005  # of the tip above the bottom, 5 mm past the slopes [m]
HOME = 0.003  # the same, when the peg is in [m]
STILL = 0.02  # speed below which the parts are at rest [m/s]
APART = 0.17  # of the parts along the arms' line at the start, so that both hands have room [m]
JITTER = 0.01  # of the arms' start pose [rad]
JAMMED_S = 2.0  # so long in the hole without going home [s]

PEG_COLOUR, HANDLE_COLOUR = (0.85, 0.10, 0.10, 1.0), (0.25, 0.26, 0.28, 1.0)
SOCKET_COLOUR, SLOPE_COLOUR = (0.13, 0.33, 0.66, 1.0), (0.93, 0.78, 0.20, 1.0)


@dataclass(frozen=True)
class InsertionPair(Task):
    """A peg and a socket, each lying before its arm; neither has anything to lean on but a gripper.

    Both are grasped, lifted and put together in the air; then the peg is let go. It is a success
    when the peg stays at the bottom of the hole while the right arm alone holds both in the air.

    Attributes:
        clearance: width of the hole less width of the peg [m].
    """

    name: ClassVar[str] = "insertion_pair"
    instruction: ClassVar[str] = (
        "lift the red peg with the left arm and the blue socket with the right one, and put the "
        "peg into the socket"
    )
    stages: ClassVar[tuple[str, ...]] = (
        "reach", "grasp", "grasp_both", "lift", "align", "enter", "insert", "rest",
    )  # fmt: skip
    objects: ClassVar[tuple[str, ...]] = ("peg", "socket")
    manipulated: ClassVar[str] = "peg"
    inapplicable: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"object_size": "parts of another size would not fit"}
    )
    horizon: ClassVar[int] = 600
    region: ClassVar[Region] = Region((0.27, 0.41), (-0.16, 0.16), (-0.44, 0.44))
    arms: ClassVar[int] = 2
    robot: ClassVar[str] = VIPERX_PAIR.name

    clearance: float = 0.001

    def __post_init__(self) -> None:
        """Refuse a hole that the peg does not fit, or falls into."""
        if not 0.0002 <= self.clearance <= 0.004:
            raise ValueError(f"clearance must be .0002..0.004 m, got {self.clearance}")

    @property
    def side(self) -> float:
        """Half the width of the socket [m]."""
        return PEG[0] + self.clearance / 2 + WALL

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the socket, its mouth to -y, and the peg."""
        hole = PEG[0] + self.clearance / 2
        bottom = Box((self.side, self.side, STOP / 2), (0.0, 0.0, -STOP / 2))
        hollow = [bottom, *socket(hole, WALL, DEPTH, LEAD, SLOPE_COLOUR)]
        add_part(spec, "socket", lying(hollow), SOCKET_COLOUR, mass=0.08)
        shaft = PEG[1] - HANDLE / 2
        peg = (
            Box((PEG[0], shaft, PEG[2]), (0.0, PEG[1] - shaft, 0.0)),
            Box((PEG[0], HANDLE / 2, PEG[2]), (0.0, HANDLE / 2 - PEG[1], 0.0), rgba=HANDLE_COLOUR),
        )
        add_part(spec, "peg", peg, PEG_COLOUR, mass=0.06)

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw the peg before the left arm, the socket before the right one, the arms near home."""
        region = self.region_on(arm)
        peg = standing(*region.sample(rng), PEG[2])
        away, y, yaw = region.sample(rng)
        hole = standing(VIPERX_PAIR.apart - away, -y, yaw, self.side)
        qpos = np.array(arm.home)
        qpos[arm.hinges] += rng.uniform(-JITTER, JITTER, len(arm.hinges))
        objects = self.separate({"peg": peg, "socket": hole})
        return InitialCondition(tuple(map(float, qpos)), objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Move the socket towards the right arm if it is too close to the peg."""
        x, *rest = objects["socket"]
        return {**objects, "socket": (max(x, objects["peg"][0] + APART), *rest)}

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach, grasp (left), grasp both, lift both, align (tip before the mouth), enter, insert.

        From ``lift`` on the right arm holds the socket in the air.
        """
        left, right = holds(r, LEFT, "peg", PEG), self._holds_socket(r)
        aloft = right & (r["socket_pos"][2] > AIRBORNE)
        x, above, z = self._tip(r)
        off = x * x + z * z
        return (
            distance2(r[f"{LEFT}tcp_pos"], r["peg_pos"]) < REACHED**2,
            left,
            left & right,
            left & aloft & (r["peg_pos"][2] > AIRBORNE),
            left & aloft & (off < ALIGNED**2) & (above < DEPTH + BEFORE),
            aloft & (off < INSIDE**2) & (above < ENTERED),
            aloft & self._inserted(r),
        )

    @staticmethod
    def _tip(r: Readings) -> tuple[Flag, Flag, Flag]:
        """Return the peg's tip seen from the socket: across, above the bottom, across [m]."""
        tip = point_of(TIP, r["peg_pos"], r["peg_quat"])
        x, y, z = seen_from(tip, r["socket_pos"], r["socket_quat"])
        return x, -y, z

    def _inserted(self, r: Readings) -> Flag:
        """Tell whether the peg's tip is at the bottom of the hole."""
        x, above, z = self._tip(r)
        return (x * x + z * z < INSIDE**2) & (above * above < HOME**2)

    def _holds_socket(self, r: Readings) -> Flag:
        half = (self.side, (DEPTH + STOP) / 2, self.side)
        return holds(r, RIGHT, "socket", half, (0.0, (STOP - DEPTH) / 2, 0.0))

    def goal(self, r: Readings) -> Flag:
        """Put together and at rest, in the air, in the right hand alone."""
        done = self._inserted(r) & self._holds_socket(r) & (r["socket_pos"][2] > AIRBORNE)
        for name in self.objects:
            vx, vy, vz = r[f"{name}_vel"]
            still = vx * vx + vy * vy + vz * vz < STILL**2
            done = done & still & (r.scalar(f"{LEFT}arm_{name}") <= 0)
        return done

    def placed(self, r: Readings) -> Mapping[str, Flag]:
        """Tell for each part whether it is where it belongs: peg in socket, socket in the hand."""
        inserted = self._inserted(r)
        return {"peg": inserted, "socket": inserted & self._holds_socket(r)}

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """Jammed: the peg has been in the hole for ``JAMMED_S`` and has not gone home."""
        entered, inserted = (np.asarray(flag) for flag in self.milestones(r)[-2:])
        since = np.cumsum(entered & ~inserted, axis=0)
        return {"jammed": (since >= JAMMED_S * 50) & ~np.maximum.accumulate(inserted, axis=0)}

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator of both arms."""
        from envs.expert_joining import Grip, Joiner, Joint

        peg = Grip("peg", -PEG[1] + HANDLE / 2, 0.005, PEG[0], -np.pi / 2)
        hole = Grip("socket", -0.005, 0.0, self.side, np.pi / 2)
        return Joiner(world, operator, (peg, hole), Joint(-PEG[1], DEPTH))
