"""A demonstrator's hand that carries parts: it does not overshoot and sees how a part hangs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import Operator, Waypoint, WaypointFollower, hesitant
from envs.kinematics import nearest_quarter, yaw_of
from envs.readings import Readings
from envs.robot_model import RobotModel
from envs.world import World

SQUEEZE = 0.0075  # the fingers are told to close this much further than the part's side [m]
FINE_SPEED = 0.10  # largest speed of fitting [m/s]
STEADY = 0.15  # share of the hand's wander that is left while it fits a part
LAG = 0.075  # the joints' damping over their stiffness [s]


class PreciseFollower(WaypointFollower):
    """Does not overshoot: knows that the arm trails the commanded point by ``LAG``."""

    def begin(self, qpos: Array, rng: np.random.Generator) -> None:
        """Start from the joint targets ``qpos`` (n,)."""
        super().begin(qpos, rng)
        self.trailing = self.point.copy()

    def _expected(self) -> Array:
        self.trailing += (self.point - self.trailing) * self.dt / LAG
        return self.trailing


def closed_on(robot: RobotModel, width: float) -> float:
    """Return the opening that is commanded to hold a part of half the width ``width`` [m]."""
    low, high = robot.gripper_range
    return float(np.clip((width - SQUEEZE - low) / (high - low), 0, 1))


class Hand:
    """One arm of the robot; what it does is a function of what it is shown in ``r``.

    Attributes:
        r: what the sensors read now; set before every command.
        yaw: of the gripper on its way [rad].
        last: where the tool centre point was sent to last, (3,) m.
    """

    r: Readings
    yaw: float
    last: Array

    def __init__(self, world: World, operator: Operator, part: int = 0) -> None:
        """Demonstrate with one arm of ``world``, its ``part``, in the manner of ``operator``."""
        self.follower = PreciseFollower(world, operator, part)
        self.operator = self.follower.operator
        self.prefix = world.parts[part].prefix
        self.fine = replace(
            self.operator,
            speed=min(self.operator.speed, FINE_SPEED),
            tremor=self.operator.tremor * STEADY,
        )
        self.robot = world.parts[part].robot

    def begin(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Begin an episode at ``start``."""
        self.rng = rng
        self.follower.operator = self.operator
        self.follower.begin(np.array(start.qpos), rng)

    def closed_on(self, width: float) -> float:
        """Return the opening that is commanded to hold a part of half the width ``width`` [m]."""
        return closed_on(self.robot, width)

    @property
    def tcp(self) -> Array:
        """Where the tool centre point is seen, (3,) m."""
        return np.array(self.r[f"{self.prefix}tcp_pos"])

    def go(self, goal: Array, opening: float, wait: float = 0.0) -> Iterator[Array]:
        """Move to ``goal`` with the operator's pauses and late grasps: yield commands."""
        waypoint = Waypoint(goal, self.yaw, opening, hesitant(wait, self.operator, self.rng))
        reached = False
        while not reached:
            command, reached = self.command(waypoint)
            yield command

    def command(self, waypoint: Waypoint) -> tuple[Array, bool]:
        """Return the command (n,) towards ``waypoint`` and whether it is reached."""
        self.last = waypoint.pos
        return self.follower.follow(waypoint, self.tcp)

    def pose(self, name: str) -> tuple[Array, Array]:
        """Return position (3,) m and quaternion (4,) of an object or zone."""
        return np.array(self.r[f"{name}_pos"]), np.array(self.r[f"{name}_quat"])

    def hang(self, name: str) -> tuple[Array, float]:
        """Return where the part is seen from the hand, world frame, and how it is turned to it."""
        part, quat = self.pose(name)
        w, x, y, z = self.r[f"{self.prefix}tcp_quat"]
        hand = np.arctan2(2 * (w * z - x * y), 1 - 2 * (x * x + z * z))  # of the hand's y axis
        return part - self.tcp, nearest_quarter(yaw_of(quat) - hand, 0.0)

    def periods(self, seconds: float) -> int:
        """Return so many seconds as control periods."""
        return round(seconds / self.follower.dt)
