"""Build a small tower: a stand into its fixture, then ring, collar and cap onto its post."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, Array, InitialCondition
from envs.parts import Box, Post, add_part, socket, standing, walls
from envs.readings import Flag, Readings, distance2, distance2_xy
from envs.task import Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.expert_fitting import Fit
    from envs.world import World

PLATE = (0.022, 0.022, 0.015)  # half sizes of the stand's foot [m]
POST = 0.008  # radius of the stand's post [m]
POST_TOP = 0.059  # height of its round tip above the foot's centre [m]
HOLE = 0.009  # half the width of the holes that go over the post [m]
RING = (0.020, 0.008)  # half the width and half the height of each part [m]
COLLAR = (0.016, 0.008)
CAP = (0.014, 0.011)
STEP = 0.0005  # of the walls that carry nothing [m]
LID = 0.003  # half the thickness of the cap's top [m]
PLAY = 0.001  # of the stand on each side in its fixture [m]
FIXTURE = (0.016, 0.014, 0.006)  # thickness of its walls, depth, slopes [m]

HALF = {"stand": PLATE[2], "ring": RING[1], "collar": COLLAR[1], "cap": CAP[1]}
"""Half the height of each part [m]; the stand's without its post."""
ORDER = tuple(HALF)
SEAT = {
    "ring": PLATE[2] + RING[1],
    "collar": PLATE[2] + 2 * RING[1] + COLLAR[1],
    "cap": PLATE[2] + 2 * RING[1] + 2 * COLLAR[1] + CAP[1],
}
"""Height of each part's centre above the stand's where it belongs [m]."""

REACHED = 0.06  # between the tool centre point and the stand [m]
LIFTED = 0.02  # of a part above its rest on the table [m]
ON_AXIS = 0.004  # of a part that is in or on its place: more than the play, less than a wall [m]
SEATED = 0.0025  # of a part's height in its place [m]
THREADED = 0.004  # a part is on the post when it is this far below the tip [m]
STILL = 0.02  # speed below which a part is at rest [m/s]
TRAVEL = 0.10  # of the demonstrator's hand, open or with a part, over the post [m]
JITTER = 0.01  # of the arm's start pose [rad]

TURN = (-0.3, 0.3)
REGIONS = {
    "stand": Region((0.37, 0.40), (0.0, 0.03), TURN),
    "ring": Region((0.27, 0.30), (0.0, 0.03), TURN),
    "collar": Region((0.27, 0.30), (0.115, 0.145), TURN),
    "cap": Region((0.37, 0.40), (0.115, 0.145), TURN),
    "fixture": Region((0.31, 0.35), (-0.13, -0.10), (-0.25, 0.25)),
}
APART = {"ring": 0.07, "collar": 0.08, "cap": 0.08, "fixture": 0.09}  # from the stand [m]

STEEL = (0.62, 0.64, 0.67, 1.0)
BLUE, YELLOW = (0.13, 0.33, 0.66, 1.0), (0.93, 0.78, 0.20, 1.0)
COLOURS = {
    "ring": (0.85, 0.10, 0.10, 1.0),
    "collar": (0.95, 0.55, 0.10, 1.0),
    "cap": (0.10, 0.60, 0.30, 1.0),
}


@dataclass(frozen=True)
class Assembly(Task):
    """Four parts, each of which holds only when those before it are in place."""

    name: ClassVar[str] = "assembly"
    instruction: ClassVar[str] = (
        "put the stand into the fixture, then the red ring, the orange collar and the green cap on"
    )
    stages: ClassVar[tuple[str, ...]] = (
        "reach", "lift_stand", "seat_stand", "lift_ring", "fit_ring", "lift_collar", "fit_collar",
        "lift_cap", "fit_cap", "rest",
    )  # fmt: skip
    objects: ClassVar[tuple[str, ...]] = (*ORDER, "fixture")
    manipulated: ClassVar[str] = "stand"
    horizon: ClassVar[int] = 1500
    inapplicable: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"object_size": "parts of another size would not fit"}
    )
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"koch": "its gripper points straight down only up to 6 cm above the table, not 10"}
    )
    region: ClassVar[Region] = REGIONS["stand"]

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the fixture, which does not move, and the four parts."""
        wall, depth, lead = FIXTURE
        add_part(spec, "fixture", socket(PLATE[0] + PLAY, wall, depth, lead, YELLOW), BLUE)
        post = Post(POST, -PLATE[2] + 0.001, POST_TOP)
        add_part(spec, "stand", [Box(PLATE), post], STEEL, mass=0.12)
        for name, (width, half) in {"ring": RING, "collar": COLLAR, "cap": CAP}.items():
            shapes = walls(HOLE, width - HOLE, -half, half, STEP)
            if name == "cap":
                shapes.append(Box((HOLE, HOLE, LID), (0.0, 0.0, half - LID)))
            add_part(spec, name, shapes, COLOURS[name], mass=0.03)

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw every part in its own corner of the table, and the arm near home."""
        objects: dict[str, Pose] = {}
        for name, region in REGIONS.items():
            x, y, yaw = region.within(arm.workspace).sample(rng)
            objects[name] = standing(x, y, yaw, HALF.get(name, 0.0))
        jitter = rng.uniform(-JITTER, JITTER, arm.n - 1)
        qpos = (*map(float, np.asarray(arm.home[:-1]) + jitter), arm.home[-1])
        return InitialCondition(qpos, objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Push what is too close to the stand straight away from it."""
        moved = dict(objects)
        stand = np.array(moved["stand"][:2])
        for name, least in APART.items():
            way = np.array(moved[name][:2]) - stand
            gap = float(np.linalg.norm(way))
            if gap < least:
                x, y = stand + way * (least / max(gap, 1e-9))
                moved[name] = (float(x), float(y), *moved[name][2:])
        return moved

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach the stand, then lift and fit each part, all those before it being in place."""
        flags: list[Flag] = [distance2(r["tcp_pos"], r["stand_pos"]) < REACHED**2]
        so_far: Flag = True
        for name, fitted in self.placed(r).items():
            held = (r.scalar(f"left_{name}") > 0) & (r.scalar(f"right_{name}") > 0)
            lifted = held & (r[f"{name}_pos"][2] > HALF[name] + LIFTED)
            flags += [lifted & so_far, fitted & so_far]
            so_far = so_far & fitted
        return tuple(flags)

    def placed(self, r: Readings) -> Mapping[str, Flag]:
        """Tell for each part whether it is where it belongs: in the fixture, or on the stand."""
        stand, fixture = r["stand_pos"], r["fixture_pos"]
        in_fixture = distance2_xy(stand, fixture) < ON_AXIS**2
        placed = {"stand": in_fixture & (stand[2] < fixture[2] + PLATE[2] + SEATED)}
        for name, seat in SEAT.items():
            off = r[f"{name}_pos"][2] - stand[2] - seat
            placed[name] = _on_axis(r, name) & (off * off < SEATED**2)
        return placed

    def goal(self, r: Readings) -> Flag:
        """All is in place and at rest, and the robot has let go."""
        done: Flag = True
        for name, fitted in self.placed(r).items():
            vx, vy, vz = r[f"{name}_vel"]
            still = vx * vx + vy * vy + vz * vz < STILL**2
            done = done & fitted & still & (r.scalar(f"arm_{name}") <= 0)
        return done

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """Wrong order: a part was on the post before the one below it was in place."""
        placed = self.placed(r)
        wrong: Array = np.zeros_like(r["tcp_pos"][0], bool)
        for before, name in pairwise(ORDER):
            below = np.maximum.accumulate(np.asarray(placed[before]), axis=0)
            wrong |= np.asarray(_threaded(r, name)) & ~below
        return {"wrong_order": wrong}

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator: one part after another, each from above."""
        from envs.expert_fitting import Fitter

        return Fitter(world, operator, _fits(), TRAVEL)


def _on_axis(r: Readings, name: str) -> Flag:
    """Tell whether a part is around the post's axis; the stand is upright."""
    return distance2_xy(r[f"{name}_pos"], r["stand_pos"]) < ON_AXIS**2


def _threaded(r: Readings, name: str) -> Flag:
    """Tell whether the post is in the hole of a part."""
    above_foot = r[f"{name}_pos"][2] - r["stand_pos"][2] - HALF[name]
    return _on_axis(r, name) & (above_foot > 0) & (above_foot < POST_TOP - THREADED)


def _fits() -> Sequence["Fit"]:
    """Return how each part is taken and where it goes."""
    from envs.expert_fitting import Fit

    in_fixture = Fit("stand", "fixture", PLATE[2], PLATE[2] + FIXTURE[1], 0.015, PLATE[0])
    widths = {"ring": RING[0], "collar": COLLAR[0], "cap": CAP[0]}
    on_post = (
        Fit(name, "stand", SEAT[name], POST_TOP + HALF[name], 0.007, width)
        for name, width in widths.items()
    )
    return (in_fixture, *on_post)
