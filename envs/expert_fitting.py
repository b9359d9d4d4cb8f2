"""A demonstrator that puts parts on, over or into others, by what it sees and by compliance.

It takes the part from above, brings it over its place and lowers it while correcting how it hangs
between the fingers; slopes and round tips guide the rest. What it does is a function of the poses
it sees: there is no search.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import OPEN, Operator, Waypoint
from envs.expert_hand import Hand
from envs.kinematics import nearest_quarter, yaw_of
from envs.readings import Readings
from envs.world import World

HOVER = 0.05  # height above the part before and after the grasp [m]
CARRY = 0.01  # least height of the part above the mouth on the way [m]
ALIGNED = 0.003  # of part and place before it is lowered [m]
ALIGNED_YAW = 0.05  # [rad]
WATCH = 0.2  # share of what is seen anew in each control period in the estimate of the offset
DONE = 0.0015  # above its place, at which the part is let go [m]
PRESS = 0.008  # the hand aims this far below the place, so that friction does not hold the part [m]
TIME_TO_ALIGN, TIME_TO_FIT = 0.6, 1.5  # [s]
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


class Fitter(Hand):
    """Fits parts one after another, each turned as its place is (up to quarter turns)."""

    def __init__(
        self, world: World, operator: Operator, fits: Sequence[Fit], travel: float = 0.0
    ) -> None:
        """Demonstrate ``fits`` in order on ``world``; travel ``travel`` [m] or more high."""
        super().__init__(world, operator)
        self.fits, self.travel = fits, travel

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Begin an episode; what is done follows from what is seen."""
        self.begin(start, rng)
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
            yield self.command(Waypoint(self.last, self.yaw, OPEN, np.inf))[0]

    # ---- the steps: each yields commands until it is done --------------------------------------

    def _take(self, fit: Fit) -> Iterator[Array]:
        part, quat = self.pose(fit.part)
        self.yaw = nearest_quarter(yaw_of(quat), 0.0)
        self.shut = self.closed_on(fit.width)
        grasp = _above(part, fit.grip)
        yield from self.go(self._clear(grasp), OPEN)
        yield from self.go(grasp, OPEN)
        yield from self.go(grasp, self.shut, 0.2)

    def _bring(self, fit: Fit) -> Iterator[Array]:
        """Lift the part and carry it over its place, turned as it must be."""
        self.offset, self.slip = self.hang(fit.part)
        place, quat = self.pose(fit.place)
        over = _above(place, fit.mouth + CARRY) - self.offset
        up = self._clear(self.tcp)
        up[2] = over[2] = max(over[2], up[2])
        yield from self.go(up, self.shut)
        self.yaw = nearest_quarter(yaw_of(quat), 0.0) - self.slip
        yield from self.go(over, self.shut)

    def _align(self, fit: Fit) -> Iterator[Array]:
        """Bring the part above the mouth and in line with it, as a rule at once."""
        self.follower.operator = self.fine
        for _ in range(self.periods(TIME_TO_ALIGN)):
            goal = self._watch(fit, fit.mouth + CARRY)
            part, quat = self.pose(fit.part)
            off = np.linalg.norm((part - goal)[:2])
            turn = nearest_quarter(yaw_of(quat) - self.yaw - self.slip, 0.0)
            near = off < ALIGNED + 2 * self.fine.tremor and abs(turn) < ALIGNED_YAW
            if near and part[2] > goal[2] - CARRY:
                break
            yield self.command(Waypoint(goal - self.offset, self.yaw, self.shut))[0]

    def _lower(self, fit: Fit) -> Generator[Array, None, bool]:
        """Push the part down; return whether it went home."""
        for _ in range(self.periods(TIME_TO_FIT)):
            goal = self._watch(fit, fit.height - PRESS)
            yield self.command(Waypoint(goal - self.offset, self.yaw, self.shut))[0]
            if self.pose(fit.part)[0][2] < goal[2] + PRESS + DONE:
                return True
        return False

    def _leave(self) -> Iterator[Array]:
        self.follower.operator = self.operator
        here = self.tcp
        yield from self.go(here, OPEN, 0.2)
        yield from self.go(self._clear(here), OPEN)

    # ---- seeing and moving ----------------------------------------------------------------------

    def _clear(self, pos: Array) -> Array:
        """Return the point above ``pos`` at which the hand may travel."""
        return np.array([pos[0], pos[1], max(pos[2] + HOVER, self.travel)])

    def _watch(self, fit: Fit, height: float) -> Array:
        """Correct how the part hangs; return the point at ``height`` above its place."""
        place, quat = self.pose(fit.place)
        offset, slip = self.hang(fit.part)
        self.offset += WATCH * (offset - self.offset)
        self.slip += WATCH * (slip - self.slip)
        self.yaw = nearest_quarter(yaw_of(quat), 0.0) - self.slip
        return _above(place, height)


def _above(pos: Array, height: float) -> Array:
    return np.array([pos[0], pos[1], pos[2] + height])
