"""A demonstrator that puts parts on, over or into others, by what it sees and by compliance.

It takes the part from above, brings it over its place and lowers it while correcting how it hangs
between the fingers; slopes and round tips guide the rest. What it does is a function of the poses
it sees: there is no search.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import OPEN, Operator, Waypoint, WaypointFollower, hesitant
from envs.kinematics import nearest_quarter, yaw_of
from envs.readings import Readings
from envs.world import World

SQUEEZE = 0.0075  # the fingers are told to close this much further than the part's side [m]
HOVER = 0.05  # height above the part before and after the grasp [m]
CARRY = 0.01  # least height of the part above the mouth on the way [m]
FINE_SPEED = 0.10  # largest speed of lowering [m/s]
STEADY = 0.15  # share of the hand's wander that is left while it fits a part
ALIGNED = 0.003  # of part and place before it is lowered [m]
ALIGNED_YAW = 0.05  # [rad]
WATCH = 0.2  # share of what is seen anew in each control period in the estimate of the offset
DONE = 0.0015  # above its place, at which the part is let go [m]
PRESS = 0.008  # the hand aims this far below the place, so that friction does not hold the part [m]
TIME_TO_ALIGN, TIME_TO_FIT = 0.6, 1.5  # [s]
LAG = 0.075  # the joints' damping over their stiffness [s]
TRIALS = 4  # a part that has not gone home is lifted and lowered again


@dataclass(frozen=True)
class Fit:
    """One part to be fitted.

    Attributes:
        part: the object.
        place: the object or zone that it is put on, over or into.
        height: of the part's centre above the place's, when it is home [m].
        mouth: the same, when the part begins to be guided [m].
        grip: height of the tool centre point above the part's centre in the grasp [m].
        width: half the distance of the sides that the fingers close on [m].
    """

    part: str
    place: str
    height: float
    mouth: float
    grip: float
    width: float


class PreciseFollower(WaypointFollower):
    """Does not overshoot: knows that the arm trails the commanded point by ``LAG``."""

    def begin(self, qpos: Array, rng: np.random.Generator) -> None:
        """Start from the joint targets ``qpos`` (n,)."""
        super().begin(qpos, rng)
        self.trailing = self.point.copy()

    def _expected(self) -> Array:
        self.trailing += (self.point - self.trailing) * self.dt / LAG
        return self.trailing


class Fitter:
    """Fits parts one after another, each turned as its place is (up to quarter turns)."""

    def __init__(
        self, world: World, operator: Operator, fits: Sequence[Fit], travel: float = 0.0
    ) -> None:
        """Demonstrate ``fits`` in order on ``world``; travel ``travel`` [m] or more high."""
        self.follower = PreciseFollower(world, operator)
        self.operator, self.fits, self.travel = self.follower.operator, fits, travel
        self.fine = replace(
            self.operator,
            speed=min(self.operator.speed, FINE_SPEED),
            tremor=self.operator.tremor * STEADY,
        )
        self.low, self.high = world.robot.gripper_range

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Begin an episode; what is done follows from what is seen."""
        self.rng = rng
        self.follower.operator = self.operator
        self.follower.begin(np.array(start.qpos), rng)
        self.script: Iterator[Array] = self._work()

    def act(self, r: Readings) -> Array:
        """Do the next control period of the work."""
        self.r = r
        return next(self.script)

    def _work(self) -> Iterator[Array]:
        for fit in self.fits:
            yield from self._take(fit)
            yield from self._bring(fit)
            for _ in range(TRIALS):
                yield from self._align(fit)
                if (yield from self._lower(fit)):
                    break
            yield from self._leave()
        while True:
            yield self._command(Waypoint(self.last, self.yaw, OPEN, np.inf))[0]

    # ---- the steps: each yields commands until it is done --------------------------------------

    def _take(self, fit: Fit) -> Iterator[Array]:
        part, quat = self._pose(fit.part)
        self.yaw = nearest_quarter(yaw_of(quat), 0.0)
        self.shut = float(np.clip((fit.width - SQUEEZE - self.low) / (self.high - self.low), 0, 1))
        grasp = _above(part, fit.grip)
        yield from self._go(self._clear(grasp), OPEN)
        yield from self._go(grasp, OPEN)
        yield from self._go(grasp, self.shut, 0.2)

    def _bring(self, fit: Fit) -> Iterator[Array]:
        """Lift the part and carry it over its place, turned as it must be."""
        self.offset, self.slip = self._hang(fit)
        place, quat = self._pose(fit.place)
        over = _above(place, fit.mouth + CARRY) - self.offset
        up = self._clear(np.array(self.r["tcp_pos"]))
        up[2] = over[2] = max(over[2], up[2])
        yield from self._go(up, self.shut)
        self.yaw = nearest_quarter(yaw_of(quat), 0.0) - self.slip
        yield from self._go(over, self.shut)

    def _align(self, fit: Fit) -> Iterator[Array]:
        """Bring the part above the mouth and in line with it, as a rule at once."""
        self.follower.operator = self.fine
        for _ in range(self._periods(TIME_TO_ALIGN)):
            goal = self._watch(fit, fit.mouth + CARRY)
            part, quat = self._pose(fit.part)
            off = np.linalg.norm((part - goal)[:2])
            turn = nearest_quarter(yaw_of(quat) - self.yaw - self.slip, 0.0)
            near = off < ALIGNED + 2 * self.fine.tremor and abs(turn) < ALIGNED_YAW
            if near and part[2] > goal[2] - CARRY:
                break
            yield self._command(Waypoint(goal - self.offset, self.yaw, self.shut))[0]

    def _lower(self, fit: Fit) -> Generator[Array, None, bool]:
        """Push the part down; return whether it went home."""
        for _ in range(self._periods(TIME_TO_FIT)):
            goal = self._watch(fit, fit.height - PRESS)
            yield self._command(Waypoint(goal - self.offset, self.yaw, self.shut))[0]
            if self._pose(fit.part)[0][2] < goal[2] + PRESS + DONE:
                return True
        return False

    def _leave(self) -> Iterator[Array]:
        self.follower.operator = self.operator
        here = np.array(self.r["tcp_pos"])
        yield from self._go(here, OPEN, 0.2)
        yield from self._go(self._clear(here), OPEN)

    # ---- seeing and moving ----------------------------------------------------------------------

    def _go(self, goal: Array, opening: float, wait: float = 0.0) -> Iterator[Array]:
        """Move to ``goal`` with the operator's pauses and late grasps."""
        waypoint = Waypoint(goal, self.yaw, opening, hesitant(wait, self.operator, self.rng))
        reached = False
        while not reached:
            command, reached = self._command(waypoint)
            yield command

    def _clear(self, pos: Array) -> Array:
        """Return the point above ``pos`` at which the hand may travel."""
        return np.array([pos[0], pos[1], max(pos[2] + HOVER, self.travel)])

    def _command(self, waypoint: Waypoint) -> tuple[Array, bool]:
        self.last = waypoint.pos
        return self.follower.follow(waypoint, np.array(self.r["tcp_pos"]))

    def _pose(self, name: str) -> tuple[Array, Array]:
        return np.array(self.r[f"{name}_pos"]), np.array(self.r[f"{name}_quat"])

    def _hang(self, fit: Fit) -> tuple[Array, float]:
        """Return where the part is seen from the hand, world frame, and how it is turned to it."""
        part, quat = self._pose(fit.part)
        w, x, y, z = self.r["tcp_quat"]
        hand = np.arctan2(2 * (w * z - x * y), 1 - 2 * (x * x + z * z))  # of the hand's y axis
        return part - np.array(self.r["tcp_pos"]), nearest_quarter(yaw_of(quat) - hand, 0.0)

    def _watch(self, fit: Fit, height: float) -> Array:
        """Correct how the part hangs; return the point at ``height`` above its place."""
        place, quat = self._pose(fit.place)
        offset, slip = self._hang(fit)
        self.offset += WATCH * (offset - self.offset)
        self.slip += WATCH * (slip - self.slip)
        self.yaw = nearest_quarter(yaw_of(quat), 0.0) - self.slip
        return _above(place, height)

    def _periods(self, seconds: float) -> int:
        return round(seconds / self.follower.dt)


def _above(pos: Array, height: float) -> Array:
    return np.array([pos[0], pos[1], pos[2] + height])
