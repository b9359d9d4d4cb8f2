"""A demonstrator that puts parts on, over or into others, by what it sees and by compliance.

It does what a careful person does: takes the part from above, brings it over its place, looks how
it hangs between the fingers, corrects that, and lowers it slowly while correcting on. If the part
does not go down it is lifted a little and tried again, a little to the side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import OPEN, Operator, Waypoint, WaypointFollower
from envs.kinematics import nearest_quarter, yaw_of
from envs.readings import Readings
from envs.world import World

SQUEEZE = 0.0075  # the fingers are told to close this much further than the part's side [m]
HOVER = 0.05  # height above the mouth, or above the part before the grasp [m]
CARRY = 0.02  # height of the part above the mouth on the way [m]
FINE_SPEED = 0.10  # largest speed of lowering [m/s]
STEADY = 0.15  # share of the hand's wander that is left while it fits a part
ALIGNED = 0.0015  # of part and place before it is lowered [m]
ALIGNED_YAW = 0.03  # [rad]
WATCH = 0.2  # share of what is seen anew in each control period in the estimate of the offset
DONE = 0.0015  # above its place, at which the part is let go [m]
PRESS = 0.008  # the hand aims this far below the place, so that friction does not hold the part [m]
TIME_TO_ALIGN, TIME_TO_FIT = 1.5, 1.5  # [s]
BACK_OFF = 0.006  # the part is lifted this far above the mouth before it is tried again [m]
SEARCH = 0.0006  # radius that the search grows by in every trial [m]
TRIALS = 6


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
        turn: the part must be turned as its place is (up to quarter turns).
    """

    part: str
    place: str
    height: float
    mouth: float
    grip: float
    width: float
    turn: bool = True


class Fitter:
    """Fits parts one after another."""

    def __init__(self, world: World, operator: Operator, fits: Sequence[Fit]) -> None:
        """Demonstrate ``fits`` in order on ``world``."""
        self.follower = WaypointFollower(world, operator)
        self.operator, self.fits = operator, fits
        self.fine = replace(
            operator,
            speed=min(operator.speed, FINE_SPEED),
            tremor=operator.tremor * STEADY,
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
            self.offset = np.zeros(3)
            yield from self._take(fit)
            yield from self._bring(fit)
            for trial in range(TRIALS):
                yield from self._align(fit, trial)
                home = yield from self._lower(fit)
                if home:
                    break
            yield from self._leave(fit)
        while True:
            yield self._command(Waypoint(self.last, self.yaw, OPEN, np.inf))[0]

    # ---- the steps: each yields commands until it is done --------------------------------------

    def _take(self, fit: Fit) -> Iterator[Array]:
        part, quat = self._pose(fit.part)
        self.yaw = nearest_quarter(yaw_of(quat), 0.0)
        self.shut = float(np.clip((fit.width - SQUEEZE - self.low) / (self.high - self.low), 0, 1))
        grasp = part + [0, 0, fit.grip]
        above = grasp + [0, 0, HOVER]
        yield from self._go(above, OPEN)
        yield from self._go(grasp, OPEN)
        yield from self._go(grasp, self.shut, 0.2)
        yield from self._go(above, self.shut)

    def _bring(self, fit: Fit) -> Iterator[Array]:
        """Carry the part over its place, turned as it must be."""
        place, quat = self._pose(fit.place)
        if fit.turn:
            self.yaw += self._turn(fit, quat)
        else:
            part, _ = self._pose(fit.part)
            self.yaw += float(np.arctan2(place[1], place[0]) - np.arctan2(part[1], part[0]))
        self.offset = self._hang(fit)
        yield from self._go(place + [0, 0, fit.mouth + CARRY] - self.offset, self.shut)

    def _align(self, fit: Fit, trial: int) -> Iterator[Array]:
        """Correct how the part hangs; from the second trial on, search around the place."""
        self.follower.operator = self.fine
        aside = SEARCH * trial * np.array([np.cos(2.4 * trial), np.sin(2.4 * trial), 0.0])
        up = fit.mouth + (CARRY / 2 if trial == 0 else BACK_OFF)
        for _ in range(self._periods(TIME_TO_ALIGN)):
            place, quat = self._pose(fit.place)
            self._watch(fit)
            if fit.turn:
                self.yaw += WATCH * self._turn(fit, quat)
            goal = place + aside + [0, 0, up]
            command, _ = self._command(Waypoint(goal - self.offset, self.yaw, self.shut))
            yield command
            part, _ = self._pose(fit.part)
            off = float(np.linalg.norm((part - goal)[:2]))
            turned = not fit.turn or abs(self._turn(fit, quat)) < ALIGNED_YAW
            if off < ALIGNED + self.fine.tremor and turned and part[2] < goal[2] + 0.004:
                break

    def _lower(self, fit: Fit) -> Iterator[Array]:
        """Push the part down; return whether it went home."""
        for _ in range(self._periods(TIME_TO_FIT)):
            place, _ = self._pose(fit.place)
            self._watch(fit)
            goal = place + [0, 0, fit.height - PRESS]
            command, _ = self._command(Waypoint(goal - self.offset, self.yaw, self.shut))
            yield command
            part, _ = self._pose(fit.part)
            if part[2] < place[2] + fit.height + DONE:
                return True
        return False

    def _leave(self, fit: Fit) -> Iterator[Array]:
        self.follower.operator = self.operator
        here = np.array(self.r["tcp_pos"])
        yield from self._go(here, OPEN, 0.2)
        yield from self._go(here + [0, 0, HOVER + CARRY], OPEN)

    # ---- seeing and moving ----------------------------------------------------------------------

    def _go(self, goal: Array, opening: float, wait: float = 0.0) -> Iterator[Array]:
        """Move to ``goal`` with the operator's pauses and late grasps."""
        if self.rng.random() < self.operator.pause:
            wait += float(self.rng.uniform(0.2, 0.8))
        if wait > 0.0:
            wait += float(self.rng.uniform(0.0, self.operator.late))
        reached = False
        while not reached:
            command, reached = self._command(Waypoint(goal, self.yaw, opening, wait))
            yield command

    def _command(self, waypoint: Waypoint) -> tuple[Array, bool]:
        self.last = waypoint.pos
        return self.follower.follow(waypoint, np.array(self.r["tcp_pos"]))

    def _pose(self, name: str) -> tuple[Array, Array]:
        return np.array(self.r[f"{name}_pos"]), np.array(self.r[f"{name}_quat"])

    def _turn(self, fit: Fit, place: Array) -> float:
        """Return by how much the part must turn to be as its place is [rad]."""
        part = yaw_of(self._pose(fit.part)[1])
        return nearest_quarter(yaw_of(place), part) - part

    def _hang(self, fit: Fit) -> Array:
        """Return where the part is seen from the tool centre point, world frame."""
        return np.array(self._pose(fit.part)[0] - np.array(self.r["tcp_pos"]))

    def _watch(self, fit: Fit) -> None:
        self.offset += WATCH * (self._hang(fit) - self.offset)

    def _periods(self, seconds: float) -> int:
        return round(seconds / self.follower.dt)
