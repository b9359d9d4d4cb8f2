"""Pour beads from one cup into another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, Array, InitialCondition
from envs.readings import Flag, Readings, Value, distance2_xy
from envs.task import Pose, Region, Task
from envs.vessels import BOTTOM, Cup, add_beads, add_cup, filled

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.world import World

BEADS = 36
ENOUGH = 30  # beads to be poured
RADIUS = 0.005  # of a bead [m]
BEAD_MASS = 0.001  # [kg]
CUP = Cup(radius=0.0175, height=0.060, mass=0.03)  # that is tipped
BOWL = Cup(radius=0.032, height=0.040, mass=0.15)  # that is filled
GRIP = 0.040  # height above the table at which the cup is to be taken [m]
REACHED = 0.05  # between the tool centre point and the cup's middle [m]
LIFTED = 0.03  # of the cup's underside [m]
OVER = 0.10  # of the cups' axes when one is about to be poured into the other [m]
TIPPED = np.cos(np.deg2rad(60))  # upward component of the axis of a tipped cup
UPRIGHT = np.cos(np.deg2rad(30))  # the same of an upright one
APART = 0.13  # least distance of the cups at the start [m]
GAUGE = 0.001  # rise of the gauge for each bead [m]
JITTER = 0.01  # of the arm's start pose [rad]

GLASS = (0.62, 0.80, 0.92, 0.30)
CLAY = (0.20, 0.42, 0.62, 0.40)
MARK = (0.10, 0.65, 0.25, 1.0)
PALETTE = ((0.90, 0.30, 0.15, 1.0), (0.95, 0.55, 0.15, 1.0), (0.80, 0.20, 0.25, 1.0))


@dataclass(frozen=True)
class Pour(Task):
    """A cup of beads, taken from the side, carried to a wider one and tipped over it.

    The ring ``gauge`` around the wider cup rises with every bead that is in it: the state track
    and the cameras see how much is poured.
    """

    name: ClassVar[str] = "pour"
    instruction: ClassVar[str] = "pour the beads from the glass into the blue cup"
    stages: ClassVar[tuple[str, ...]] = ("reach", "grasp", "lift", "carry", "tip", "pour", "rest")
    moving: ClassVar[tuple[str, ...]] = ("gauge",)
    objects: ClassVar[tuple[str, ...]] = ("cup", "bowl", "gauge")
    manipulated: ClassVar[str] = "cup"
    horizon: ClassVar[int] = 680
    region: ClassVar[Region] = Region((0.36, 0.43), (0.06, 0.14), (-0.44, 0.44))
    inapplicable: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"object_size": "another cup would not hold as many beads"}
    )
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"openarm": "its wrist cannot hold the hand level just above the table"}
    )
    goals: ClassVar[Region] = Region((0.36, 0.43), (-0.14, -0.06))

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the cups, the gauge and the beads."""
        spec.option.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE
        _add_gauge(spec)
        add_cup(spec, "cup", CUP, GLASS)
        add_cup(spec, "bowl", BOWL, CLAY)
        add_beads(spec, "bead", BEADS, RADIUS, BEAD_MASS, PALETTE)

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw the full cup on the left, the empty one on the right, and the arm near home."""
        x, y, yaw = self.region_on(arm).sample(rng)
        bx, by, _ = self.goals.within(arm.workspace).sample(rng)
        cup = (x, y, 0.0, float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))
        bowl = (bx, by, 0.0, 1.0, 0.0, 0.0, 0.0)
        objects = self.separate({"cup": cup, "bowl": bowl, "gauge": bowl})
        jitter = rng.uniform(-JITTER, JITTER, arm.n - 1)
        qpos = (*map(float, np.asarray(arm.home[:-1]) + jitter), arm.home[-1])
        return InitialCondition(qpos, objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Push the empty cup straight away from the full one if they are too close."""
        moved = dict(objects)
        cup, bowl = np.array(moved["cup"][:2]), np.array(moved["bowl"][:2])
        way = bowl - cup
        gap = float(np.linalg.norm(way))
        if gap < APART - 1e-9:
            bowl = cup + way * (APART / gap)
        moved["bowl"] = (*map(float, bowl), *moved["bowl"][2:])
        moved["gauge"] = (*map(float, bowl), BOTTOM, *moved["gauge"][3:])
        return moved

    def arrange(self, start: InitialCondition) -> Mapping[str, Array]:
        """Put the beads into the full cup, wherever it is."""
        rng = np.random.default_rng(start.seed)
        return {"bead0_x": filled(CUP, start.objects["cup"], BEADS, RADIUS, rng).ravel()}

    def move(self, r: Readings) -> Sequence[Sequence[Value]]:
        """Raise the gauge with the beads in the cup that it is around."""
        x, y, z = r["bowl_pos"]
        return ((x, y, z + BOTTOM + GAUGE * self.count(r)[0]),)

    def count(self, r: Readings) -> tuple[Value, Value]:
        """Count the beads that are in the wide cup, and those that are still in the other."""
        values = np.asarray(r["bead"])
        points = values.reshape(BEADS, 3, *values.shape[1:])
        poured = BOWL.holds((r["bowl_pos"], r["bowl_quat"]), points).sum(axis=0)
        kept = CUP.holds((r["cup_pos"], r["cup_quat"]), points).sum(axis=0)
        return poured, kept

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach, grasp (both fingers), lift, carry (to the wide cup), tip, pour (enough)."""
        x, y, z = r["cup_pos"]
        held = _held(r)
        near = held & (z > LIFTED) & (distance2_xy(r["cup_pos"], r["bowl_pos"]) < OVER**2)
        tx, ty, tz = r["tcp_pos"]
        dx, dy, dz = tx - x, ty - y, tz - z - GRIP
        return (
            dx * dx + dy * dy + dz * dz < REACHED**2,
            held,
            held & (z > LIFTED),
            near,
            near & (_upward(r) < TIPPED),
            self.count(r)[0] >= ENOUGH,
        )

    def goal(self, r: Readings) -> Flag:
        """Enough is poured, and the held cup is upright again."""
        return (self.count(r)[0] >= ENOUGH) & _held(r) & (_upward(r) > UPRIGHT)

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """See beads beside the cups, so many that enough cannot be poured any more."""
        heights = np.asarray(r["bead"])[2::3]
        poured, kept = self.count(r)
        landed = (heights < 2 * RADIUS).sum(axis=0)
        spilled = np.minimum(landed, BEADS - poured - kept)
        return {"spilled": spilled > BEADS - ENOUGH}

    def quality(self, r: Readings) -> Mapping[str, float | None]:
        """Return how many beads were poured, kept and spilled in the end."""
        poured, kept = (float(counts[-1]) for counts in self.count(r))
        return {
            "beads_poured": poured,
            "beads_kept": kept,
            "beads_spilled": BEADS - poured - kept,
        }

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator: takes the cup from the side and tips it over the other."""
        from envs.expert_pour import TakeAndPour

        return TakeAndPour(world, operator)


def _held(r: Readings) -> Flag:
    return (r.scalar("left_cup") > 0) & (r.scalar("right_cup") > 0)


def _upward(r: Readings) -> Value:
    """Return the upward component of the held cup's axis: 1 upright, 0 level."""
    _, i, j, _ = r["cup_quat"]
    return 1 - 2 * (i * i + j * j)


def _add_gauge(spec: mujoco.MjSpec) -> None:
    """Add the ring that shows how full the wide cup is; it touches nothing."""
    body = spec.worldbody.add_body(name="gauge", mocap=True, pos=[0.35, -0.1, BOTTOM])
    off = BOWL.outer + 0.003
    for angle in np.arange(16) * np.pi / 8:
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.001, off * np.tan(np.pi / 16), 0.0015],
            pos=[off * np.cos(angle), off * np.sin(angle), 0.0],
            quat=[np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)],
            rgba=list(MARK),
            contype=0,
            conaffinity=0,
            mass=0.0,
        )
