"""Scripted demonstrators: waypoints of the tool centre point, followed by inverse kinematics."""

from dataclasses import dataclass, replace
from typing import Protocol

import mujoco
import numpy as np

from envs.approach import Approach, outward
from envs.arm import REFERENCE, ArmSpec, Array, InitialCondition
from envs.kinematics import Kinematics, pointing_down, yaw_of
from envs.readings import Readings
from envs.registry import Registry
from envs.world import World


@dataclass(frozen=True)
class Operator:
    """How a demonstrator moves.

    Attributes:
        name: registered name.
        speed: of the tool centre point [m/s].
        acceleration: [m/s^2].
        tremor: standard deviation of the hand's wander [m].
        pause: chance of a pause of .2-.8 s before each waypoint.
        late: longest extra wait before closing or opening the gripper [s].
        left: chance of taking the left of two ways, where a task leaves the choice.
    """

    name: str
    speed: float = 0.40
    acceleration: float = 1.5
    tremor: float = 0.0
    pause: float = 0.0
    late: float = 0.0
    left: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be demonstrated."""
        if not 0.02 <= self.speed <= 1.0:
            raise ValueError(f"speed must be .02..1 m/s, got {self.speed}")
        if not 0 <= self.tremor <= 0.02:
            raise ValueError(f"tremor must be 0..0.02 m, got {self.tremor}")
        if not 0 <= self.left <= 1:
            raise ValueError(f"left must be 0..1, got {self.left}")

    def on(self, arm: ArmSpec) -> "Operator":
        """Return the same manner at the scale of ``arm``: a small one moves less fast and far."""
        scale = arm.workspace.hover / REFERENCE.hover
        return replace(
            self,
            speed=self.speed * scale,
            acceleration=self.acceleration * scale,
            tremor=self.tremor * scale,
        )


OPERATORS: Registry[Operator] = Registry("operator")
for _operator in (
    Operator("clean"),
    Operator("noisy", tremor=0.004, pause=0.25, late=0.4),
    Operator("slow", speed=0.26, acceleration=1.0),
    Operator("fast", speed=0.60, acceleration=3.0),
):
    OPERATORS.register(_operator.name, _operator)


class Expert(Protocol):
    """A demonstrator of one simulated arm."""

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Begin an episode; all randomness comes from ``rng``."""

    def act(self, r: Readings) -> Array:
        """Return the command (n,) for this control period, from what the sensors read."""


CLOSE_ENOUGH = 0.006  # measured distance at which a waypoint counts as reached [m]


@dataclass(frozen=True)
class Waypoint:
    """A pose of the tool centre point, the gripper's opening on the way, and a wait there [s].

    ``lean`` is how far the gripper, else pointing straight down, leans away from the base [rad],
    ``near`` how close the measured point must come [m].
    """

    pos: Array
    yaw: float
    opening: float
    wait: float = 0.0
    lean: float = 0.0
    near: float = CLOSE_ENOUGH


TREMOR_RATE = 0.1  # share of the hand's wander that is new in each control period
SPIN = 2.0  # largest rate of turn [rad/s]
TRIM_GAIN = 2.5  # of the integral that removes gravity sag [1/s]
TRIM_LIMIT = 0.03  # [m]
PATIENCE = 1.0  # wait at most this long for the arm to come close [s]


class WaypointFollower:
    """Moves the tool centre point along waypoints with bounded speed and acceleration.

    The commanded point accelerates, cruises and brakes (v <= sqrt(2 a d)); an integral of the
    measured error removes the arm's gravity sag.
    """

    def __init__(self, world: World, operator: Operator, part: int = 0) -> None:
        """Follow with one arm of ``world``, its ``part``, in the manner of ``operator``."""
        self.world, self.operator = world, operator.on(world.arm)
        self.part = world.parts[part]
        self.kinematics = Kinematics(world, part=part)
        self.dt = 1.0 / world.arm.control_hz

    def begin(self, qpos: Array, rng: np.random.Generator) -> None:
        """Start from the joint targets ``qpos`` (n,) of the whole robot."""
        self.rng = rng
        self.q = np.array(qpos[self.part.hinges])
        self.opening = float(qpos[self.part.gripper])
        self.point, self.quat = self.kinematics.forward(self.q)
        self.velocity = 0.0
        self.trim, self.tremor = np.zeros(3), np.zeros(3)
        self.waited, self.patience = 0.0, 0.0

    def follow(self, waypoint: Waypoint, tcp: Array) -> tuple[Array, bool]:
        """Return the arm's command towards ``waypoint`` and whether it is reached."""
        travelled = self._move(waypoint.pos)
        turned = self._turn(waypoint)
        self._open(waypoint.opening)
        self.trim += TRIM_GAIN * self.dt * (self._expected() - tcp)
        self.trim = np.clip(self.trim, -TRIM_LIMIT, TRIM_LIMIT)
        self._wander()
        goal = self.point + self.trim + self.tremor
        self.q = self.kinematics.solve(self.q, goal, self._aim())
        there = travelled and turned and self.opening == waypoint.opening
        return np.append(self.q, self.opening), there and self._settled(waypoint, tcp)

    def _expected(self) -> Array:
        """Return where the tool centre point should be seen now, (3,) m."""
        return self.point

    def _aim(self) -> Array:
        """Return the orientation (4,) that is commanded now."""
        return self.quat

    def _settled(self, waypoint: Waypoint, tcp: Array) -> bool:
        self.patience += self.dt
        close = np.linalg.norm(waypoint.pos - tcp) < waypoint.near + 2 * self.operator.tremor
        if not close and self.patience < PATIENCE:
            return False
        self.waited += self.dt
        if self.waited < waypoint.wait:
            return False
        self.waited = self.patience = 0.0
        return True

    def _move(self, goal: Array) -> bool:
        """Advance the commanded point; braking keeps v^2 <= 2 a d."""
        way = goal - self.point
        d = float(np.linalg.norm(way))
        op = self.operator
        brake = float(np.sqrt(2 * op.acceleration * d))
        self.velocity = min(op.speed, self.velocity + op.acceleration * self.dt, brake)
        step = max(self.velocity * self.dt, 2e-4)
        if d <= step:
            self.point, self.velocity = goal.copy(), 0.0
            return True
        self.point = self.point + way * (step / d)
        return False

    def _turn(self, waypoint: Waypoint) -> bool:
        way = np.zeros(3)
        goal = pointing_down(waypoint.yaw, waypoint.lean, outward(self.point))
        mujoco.mju_subQuat(way, goal, self.quat)
        angle = float(np.linalg.norm(way))
        share = min(1.0, SPIN * self.dt / max(angle, 1e-9), max(0.15, 0.02 / max(angle, 1e-9)))
        mujoco.mju_quatIntegrate(self.quat, way, share)
        return angle < 0.05

    def _open(self, opening: float) -> None:
        rate = self.world.arm.velocity[self.part.gripper] * self.dt
        self.opening += float(np.clip(opening - self.opening, -rate, rate))

    def _wander(self) -> None:
        """Ornstein-Uhlenbeck wander of the hand with the operator's standard deviation."""
        if self.operator.tremor == 0.0:
            return
        kick = self.rng.normal(size=3) * self.operator.tremor
        share = TREMOR_RATE
        self.tremor = (1 - share) * self.tremor + np.sqrt(share * (2 - share)) * kick


def hesitant(wait: float, operator: Operator, rng: np.random.Generator) -> float:
    """Add the operator's pauses and late grasps to a wait [s]."""
    if rng.random() < operator.pause:
        wait += float(rng.uniform(0.2, 0.8))
    if 0.0 < wait < np.inf:
        wait += float(rng.uniform(0.0, operator.late))
    return wait


GRASP = 0.004  # height of the tool centre point above the object's centre when grasping [m]
SETDOWN = 0.003  # the object is let go this high above its rest [m]
OPEN, SHUT = 0.85, 0.30  # openings on approach and in the grasp


class GraspAndPlace:
    """Takes an object from above and puts it down on a zone."""

    def __init__(self, world: World, operator: Operator, thing: str, zone: str) -> None:
        """Demonstrate on ``world``: take ``thing`` to ``zone``."""
        self.follower = WaypointFollower(world, operator)
        self.approach = Approach(world)
        self.hover = world.arm.workspace.hover
        self.operator, self.thing, self.zone = operator, thing, zone

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Plan the waypoints from the start poses."""
        thing, zone = np.array(start.objects[self.thing]), np.array(start.objects[self.zone])
        goal = np.array([zone[0], zone[1], thing[2]])
        up, down = np.array([0, 0, self.hover]), np.array([0, 0, GRASP])
        above, at = thing[:3] + up, thing[:3] + down
        over, place = goal + up, goal + down + np.array([0, 0, SETDOWN])
        yaw, self.lean = self.approach.grasp(yaw_of(thing[3:]), (at, above, over, place))
        turned = yaw + outward(goal) - outward(thing)
        self.plan = [
            self._waypoint(above, yaw, OPEN, rng),
            self._waypoint(at, yaw, OPEN, rng),
            self._waypoint(at, yaw, SHUT, rng, 0.2),
            self._waypoint(above, yaw, SHUT, rng),
            self._waypoint(over, turned, SHUT, rng),
            self._waypoint(place, turned, SHUT, rng),
            self._waypoint(place, turned, OPEN, rng, 0.2),
            self._waypoint(over, turned, OPEN, rng, np.inf),
        ]
        self.index = 0
        self.follower.begin(np.array(start.qpos), rng)

    def _waypoint(
        self, pos: Array, yaw: float, opening: float, rng: np.random.Generator, wait: float = 0.0
    ) -> Waypoint:
        return Waypoint(pos, yaw, opening, hesitant(wait, self.operator, rng), self.lean)

    def act(self, r: Readings) -> Array:
        """Follow the plan one control period further."""
        command, reached = self.follower.follow(self.plan[self.index], np.array(r["tcp_pos"]))
        if reached:
            self.index += 1
        return command
