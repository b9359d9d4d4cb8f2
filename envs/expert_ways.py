"""A demonstrator who passes an obstacle on one side or on the other."""

import math
from typing import Protocol, runtime_checkable

import numpy as np

from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from envs.expert import Expert, Operator, Waypoint, WaypointFollower, hesitant
from envs.readings import Readings
from envs.world import World

MARGIN = 0.075  # of the tool centre point beside the obstacle, from its surface [m]
BEFORE = 0.065  # of the tool centre point before the obstacle, from its surface [m]
ENTRY, EXIT = 0.065, 0.045  # it is beside the obstacle from here to there along the way [m]
HEIGHTS = (0.10, 0.075, 0.055, 0.022)  # of it before and beside the obstacle, and at the goal [m]


STRATEGIES = {"mixed": 0.5, "left": 1.0, "right": 0.0}
"""Share of the demonstrations that go left, by the name of the strategy."""


def left_share(strategy: str) -> float:
    """Return the share of demonstrations that go left: of a named strategy, or as the text says.

    Raises:
        UsageError: neither a strategy nor a number 0..1.
    """
    if strategy in STRATEGIES:
        return STRATEGIES[strategy]
    try:
        share = float(strategy)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(
            f"strategy must be {', '.join(STRATEGIES)} or the share of left ways 0..1, "
            f"got {strategy!r}"
        )
    return share


def goes_left(strategy: str, index: int) -> bool:
    """Tell which way episode ``index`` goes: of the first n, the strategy's share of n go left."""
    share = left_share(strategy)
    return math.floor((index + 1) * share + 1e-9) > math.floor(index * share + 1e-9)


@runtime_checkable
class Chooser(Protocol):
    """A demonstrator who has chosen one of a task's ways."""

    way: str


def way_of(expert: Expert) -> str:
    """Return the way that a demonstrator has chosen, empty where there was none to choose."""
    return expert.way if isinstance(expert, Chooser) else ""


class AroundThePost:
    """Goes down before the post, round it, and to the goal behind it.

    Both ways part where the post is near: who goes on in their mean direction knocks it over.

    Attributes:
        way: ``left`` or ``right``, drawn at every reset, whatever the start.
    """

    way = ""

    def __init__(self, world: World, operator: Operator, radius: float) -> None:
        """Demonstrate on ``world``; ``radius`` of the post [m]."""
        self.follower = WaypointFollower(world, operator)
        self.operator, self.radius = operator, radius

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Choose the way and plan the waypoints."""
        self.way = "left" if rng.random() < self.operator.left else "right"
        goal, post = (np.array(start.objects[name][:2]) for name in ("goal", "post"))
        ahead = (goal - post) / np.linalg.norm(goal - post)
        side = np.array([-ahead[1], ahead[0]]) * (1 if self.way == "left" else -1)
        before = post - (self.radius + BEFORE) * ahead
        beside = post + (self.radius + MARGIN) * side
        spots = (before, beside - ENTRY * ahead, beside + EXIT * ahead, goal)
        points = [np.append(spot, height) for spot, height in zip(spots, HEIGHTS, strict=True)]
        yaws = [float(np.arctan2(spot[1], spot[0])) for spot in spots]
        waits = (0.0, 0.0, 0.0, np.inf)
        self.plan = [
            Waypoint(point, yaw, 0.0, hesitant(wait, self.operator, rng))
            for point, yaw, wait in zip(points, yaws, waits, strict=True)
        ]
        self.index = 0
        self.follower.begin(np.array(start.qpos), rng)

    def act(self, r: Readings) -> Array:
        """Follow the plan one control period further."""
        command, reached = self.follower.follow(self.plan[self.index], np.array(r["tcp_pos"]))
        self.index += reached
        return command
