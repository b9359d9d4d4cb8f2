"""Reach a goal behind a post that stands in the way: past it on the left, or on the right."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, Array, InitialCondition
from envs.readings import Flag, Readings, Value, distance2_xy
from envs.scene import add_zone
from envs.task import Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.relabel import Labeller
    from envs.world import World

RADIUS, HEIGHT = 0.04, 0.16  # of the post [m]
MASS = 0.10  # of the post [kg]
FOOT = 0.052  # radius of the disc that marks where the post stands [m]
ZONE = 0.03  # radius of the goal [m]
BEHIND = 0.12  # of the goal's centre behind the post's [m]
ASKEW = 0.01  # the post stands off the line to the goal by up to this [m]
TOLERANCE = 0.015  # the tool centre point comes this close to the goal's centre [m]
LOW = 0.045  # height of the tool centre point at the goal [m]
PAST = RADIUS + 0.02  # behind the post's centre by more than this: past it [m]
MOVED = 0.01  # the post was knocked if its middle is farther than this from its place [m]
JITTER, TURN = 0.01, 0.10  # of the arm's start pose, and of its first joint [rad]
WAYS = ("left", "right")


@dataclass(frozen=True)
class TwoWays(Task):
    """A post between the hand and the goal: both ways round it are as good, the middle is not.

    The scene does not tell which way to go, and demonstrations go either, whatever the start. What
    lies half-way between two good demonstrations knocks the post over. Left is the arm's left.
    """

    name: ClassVar[str] = "two_ways"
    instruction: ClassVar[str] = "touch the green disc behind the post, leave the post standing"
    stages: ClassVar[tuple[str, ...]] = ("lower", "beside", "past", "reach", "rest")
    objects: ClassVar[tuple[str, ...]] = ("post", "goal")
    hidden: ClassVar[tuple[str, ...]] = ("foot",)
    manipulated: ClassVar[str] = "goal"
    horizon: ClassVar[int] = 300
    region: ClassVar[Region] = Region((0.42, 0.46), (-0.05, 0.05))
    ways: ClassVar[tuple[str, ...]] = WAYS
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"koch": "it does not reach far enough to go round the post"}
    )

    def region_on(self, arm: ArmSpec) -> Region:
        """Return the same region for all arms: before the hand at home, not in their workspaces."""
        return self.region

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the goal, the disc under the post, and the post."""
        add_zone(spec, "goal", ZONE)
        add_zone(spec, "foot", FOOT, (0.25, 0.26, 0.29, 1.0))
        _add_post(spec)

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw the goal in the region, the post before it, and the arm near home."""
        x, y, _ = self.region_on(arm).sample(rng)
        objects = _with_post((x, y, 0.0, 1.0, 0.0, 0.0, 0.0), float(rng.uniform(-ASKEW, ASKEW)))
        jitter = rng.uniform(-JITTER, JITTER, arm.n - 1)
        jitter[0] = rng.uniform(-TURN, TURN)
        qpos = (*map(float, np.asarray(arm.home[:-1]) + jitter), 0.0)
        return InitialCondition(qpos, objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Put the post before the goal again, as far from the line to it as it was."""
        goal, post = np.array(objects["goal"][:2]), np.array(objects["post"][:2])
        ahead, left = _axes(goal)
        off = float((post - goal) @ left)
        if abs((goal - post) @ ahead - BEHIND) < 1e-9 and abs(off) <= ASKEW:
            return dict(objects)
        return {**objects, **_with_post(objects["goal"], float(np.clip(off, -ASKEW, ASKEW)))}

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Lower than the post's top, beside it, past it, at the goal; and the post stands."""
        standing, ahead = _standing(r), _ahead(r)
        low = standing & (r["tcp_pos"][2] < HEIGHT)
        return (low, low & (ahead > 0), low & (ahead > PAST), standing & _there(r))

    def goal(self, r: Readings) -> Flag:
        """The hand rests at the goal and the post stands where it stood."""
        return _standing(r) & _there(r)

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """See the post knocked over or pushed away."""
        return {"collision": ~np.asarray(_standing(r), bool)}

    def quality(self, r: Readings) -> Mapping[str, float | None]:
        """Return the way taken: 1 left, -1 right, None where the hand never came past the post."""
        low = np.asarray(r["tcp_pos"][2]) < HEIGHT
        rows = np.flatnonzero(low & np.asarray(_standing(r)) & (np.asarray(_ahead(r)) > 0))
        if not len(rows):
            return {"way": None}
        return {"way": 1.0 if np.asarray(_aside(r))[rows[0]] > 0 else -1.0}

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator: round the post on the side of the operator's choice."""
        from envs.expert_ways import AroundThePost

        return AroundThePost(world, operator, RADIUS)

    def labeller(self, world: "World") -> "Labeller":
        """Make the expert that knows what to do anywhere, on the side where the hand is."""
        from envs.expert import OPERATORS
        from envs.relabel_ways import AroundThePostRule

        return AroundThePostRule(world, OPERATORS["clean"], RADIUS)


def _standing(r: Readings) -> Flag:
    """Tell whether the post is upright on its place."""
    post, foot = r["post_pos"], r["foot_pos"]
    tilt = post[2] - HEIGHT / 2
    return (distance2_xy(post, foot) < MOVED**2) & (tilt * tilt < MOVED**2)


def _there(r: Readings) -> Flag:
    return (distance2_xy(r["tcp_pos"], r["goal_pos"]) < TOLERANCE**2) & (r["tcp_pos"][2] < LOW)


def _ahead(r: Readings) -> Value:
    """Return how far the hand is beyond the post's place, along the line to the goal [m]."""
    (x, y, _), (fx, fy, _), (gx, gy, _) = r["tcp_pos"], r["foot_pos"], r["goal_pos"]
    dx, dy = gx - fx, gy - fy
    return ((x - fx) * dx + (y - fy) * dy) / (dx * dx + dy * dy) ** 0.5


def _aside(r: Readings) -> Value:
    """Return how far the hand is to the left of that line [m]."""
    (x, y, _), (fx, fy, _), (gx, gy, _) = r["tcp_pos"], r["foot_pos"], r["goal_pos"]
    dx, dy = gx - fx, gy - fy
    return ((y - fy) * dx - (x - fx) * dy) / (dx * dx + dy * dy) ** 0.5


def _axes(goal: Array) -> tuple[Array, Array]:
    """Return the directions (2,) from the arm's base to ``goal`` (2,), and to the left of it."""
    ahead = goal / np.linalg.norm(goal)
    return ahead, np.array([-ahead[1], ahead[0]])


def _with_post(goal: Pose, off: float) -> dict[str, Pose]:
    """Return the poses of the goal and of a post before it, ``off`` [m] to the left."""
    ahead, left = _axes(np.array(goal[:2]))
    x, y = map(float, np.array(goal[:2]) - BEHIND * ahead + off * left)
    upright = (1.0, 0.0, 0.0, 0.0)
    return {
        "post": (x, y, HEIGHT / 2, *upright),
        "goal": goal,
        "foot": (x, y, 0.0, *upright),
    }


def _add_post(spec: mujoco.MjSpec) -> None:
    """Add a light post with two bands: whoever touches it knocks it over."""
    body = spec.worldbody.add_body(name="post", pos=[0.3, 0.0, HEIGHT / 2])
    body.add_freejoint(name="post")
    body.add_geom(
        name="post",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[RADIUS, HEIGHT / 2, 0.0],
        rgba=[0.93, 0.42, 0.10, 1.0],
        mass=MASS,
        condim=4,
        solref=[0.01, 1.0],
        friction=[0.6, 0.005, 0.0001],
    )
    for z in (-0.02, 0.04):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            size=[RADIUS + 0.0005, 0.011, 0.0],
            pos=[0.0, 0.0, z],
            rgba=[0.95, 0.95, 0.94, 1.0],
            contype=0,
            conaffinity=0,
            mass=0.0,
        )
