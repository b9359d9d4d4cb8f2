"""A demonstrator with two hands: each takes a part, they meet in the air and join the parts.

The right hand holds its part still; the left one brings the other in line with it, by what is seen,
and pushes. Slopes and the arms' compliance guide the rest.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import OPEN, Operator, Waypoint
from envs.expert_hand import Hand, PreciseFollower
from envs.kinematics import rotated, rotation, yaw_of
from envs.readings import Readings, point_of, seen_from
from envs.world import World

MEET = (0.469, 0.028, 0.15)  # of the part that is held still: midway between the bases [m]
ASIDE = 0.09  # of both on their own sides first: the hands must not pass each other [m]
GAP = 0.015  # between the parts before they are joined [m]
ALIGNED, ALIGNED_TURN = 0.002, 0.02  # of the moved part before it is pushed [m], [rad]
WATCH = 0.2  # share of what is seen anew in each control period in the estimate of the offset
WIDE = 0.95  # opening on approach: the socket is nearly as wide as the hand
BESIDE = 0.015  # a part that is held further than this from where it should be is not held [m]
DONE = 0.0015  # short of its place, at which the part is let go [m]
LEVEL = 2.5  # of the integral that removes how a part is tilted [1/s]
TILTED = 0.15  # largest correction of it [rad]
PRESS = 0.008  # the hand aims this far beyond, so that friction does not hold the part [m]
TIME_TO_ALIGN, TIME_TO_JOIN = 1.0, 2.0  # [s]
TRIALS = 4  # a part that has not gone home is drawn back and pushed again
BACK = (0.30, -0.10, 0.22)  # where the left hand goes when it has let go [m]
UP = 0.08  # above the grasp, to get clear of what was held [m]
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])  # the still part is held like this


@dataclass(frozen=True)
class Grip:
    """How a hand takes its part, which lies along its y.

    Attributes:
        part: the object.
        along: of the grip from the part's origin, along y [m].
        height: of the tool centre point above the part's origin [m].
        width: half the distance of the sides that the fingers close on [m].
        turn: of the gripper from the part [rad].
    """

    part: str
    along: float
    height: float
    width: float
    turn: float


@dataclass(frozen=True)
class Joint:
    """Where the moved part's origin is, seen from the still one's, along its y [m].

    Attributes:
        home: when they are joined.
        depth: how far it is pushed until then.
    """

    home: float
    depth: float


class LevelFollower(PreciseFollower):
    """Leans the hand by ``tilt``, a rotation vector (3,) in the world's axes [rad]."""

    tilt: Array

    def _aim(self) -> Array:
        return rotated(self.quat, self.tilt)


class Holder(Hand):
    """A hand with one part: knows where in the hand it is, and brings it where it should be."""

    def __init__(self, world: World, operator: Operator, arm: int, grip: Grip) -> None:
        """Take the part as ``grip`` says with one ``arm`` of ``world``."""
        super().__init__(world, operator, arm)
        self.follower: LevelFollower = LevelFollower(world, operator, arm)
        self.grip = grip
        self.shut, self.hover = self.closed_on(grip.width), world.arm.workspace.hover
        self.opening = OPEN

    def begin(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Begin an episode at ``start``."""
        super().begin(start, rng)
        self.follower.tilt = np.zeros(3)

    def take(self) -> Iterator[Array]:
        """Grasp the part where it lies, again if the fingers have closed beside it."""
        for _ in range(TRIALS):
            at, yaw = self._lies()
            self.yaw, self.opening = yaw + self.grip.turn, WIDE
            yield from self.go(_above(at, self.hover), WIDE)
            yield from self.go(at, WIDE)
            self.opening = self.shut
            yield from self.go(at, self.shut, 0.2)
            if np.linalg.norm(self._lies()[0] - self.tcp) < BESIDE:
                return

    def _lies(self) -> tuple[Array, float]:
        """Return where the part is to be held, and how it is turned."""
        pos, quat = self.pose(self.grip.part)
        yaw = yaw_of(quat)
        return pos + _turned(np.array([0.0, self.grip.along, self.grip.height]), yaw), yaw

    def lift(self) -> Iterator[Array]:
        """Lift the part straight up."""
        self.offset, self.slip = self._hang()
        yield from self.go(_above(self.tcp, self.hover), self.shut)

    def bring(self, pos: Array) -> Iterator[Array]:
        """Bring the part to ``pos`` (3,) m, its y along the world's."""
        yield from self.go(self._hand_for(pos, 0.0), self.shut)

    def follow(self, pos: Array, quat: Array) -> Array:
        """Return the command that brings the part to ``pos`` and ``quat``, by what is seen."""
        self._level(quat)
        offset, slip = self._hang()
        self.offset += WATCH * (offset - self.offset)
        self.slip += WATCH * (slip - self.slip)
        return self.command(Waypoint(self._hand_for(pos, yaw_of(quat)), self.yaw, self.shut))[0]

    def _level(self, quat: Array) -> None:
        """Correct how the part is tilted against ``quat``: the arm sags, the part may slip."""
        turn = rotation(self.pose(self.grip.part)[1], quat)
        tilt = self.follower.tilt + LEVEL * self.follower.dt * turn * [1.0, 1.0, 0.0]
        self.follower.tilt = np.clip(tilt, -TILTED, TILTED)

    def hold(self) -> Array:
        """Return the command to stay."""
        return self.command(Waypoint(self.last, self.yaw, self.opening, np.inf))[0]

    def _hand_for(self, pos: Array, yaw: float) -> Array:
        """Turn the gripper so that the part is turned by ``yaw``; return where it must be."""
        self.yaw = yaw + self.grip.turn - self.slip
        return pos - _turned(self.offset, yaw)

    def _hang(self) -> tuple[Array, float]:
        """Return where the part is seen from the hand, in the part's frame, and its slip."""
        offset, slip = self.hang(self.grip.part)
        return _turned(offset, -yaw_of(self.pose(self.grip.part)[1])), slip


class Joiner:
    """Moves both hands: the left one's part is joined to the right one's."""

    def __init__(
        self, world: World, operator: Operator, grips: tuple[Grip, Grip], joint: Joint
    ) -> None:
        """Demonstrate on ``world``: take the parts as ``grips`` say, left and right."""
        self.hands = [Holder(world, operator, k, grip) for k, grip in enumerate(grips)]
        self.left, self.right = self.hands
        self.joint = joint

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Begin an episode; what is done follows from what is seen."""
        for hand in self.hands:
            hand.begin(start, rng)
        self.script: Iterator[Array] = self._work()

    def act(self, r: Readings) -> Array:
        """Do the next control period of the work."""
        for hand in self.hands:
            hand.r = r
        return next(self.script)

    def _work(self) -> Iterator[Array]:
        meet, aside = np.array(MEET), np.array([ASIDE, 0.0, 0.0])
        before = meet + np.array([0.0, self.joint.home - self.joint.depth - GAP, 0.0])
        left, right = self.hands
        yield from self._together(left.take(), right.take())
        yield from self._together(left.lift(), right.lift())
        yield from self._together(left.bring(before - aside), right.bring(meet + aside))
        yield from self._together(left.bring(before), right.bring(meet))
        for hand in self.hands:
            hand.follower.operator = hand.fine
        for _ in range(TRIALS):
            yield from self._align()
            if (yield from self._push()):
                break
        yield from self._together(self._leave(), iter(()))
        while True:
            yield np.concatenate([hand.hold() for hand in self.hands])

    def _together(self, *scripts: Iterator[Array]) -> Iterator[Array]:
        """Let both hands do their script; who is done first waits."""
        while True:
            commands = [next(script, None) for script in scripts]
            if all(command is None for command in commands):
                return
            pairs = zip(self.hands, commands, strict=True)
            yield np.concatenate([hand.hold() if c is None else c for hand, c in pairs])

    def _align(self) -> Iterator[Array]:
        """Bring the left part before the right one and in line with it."""
        for _ in range(self.left.periods(TIME_TO_ALIGN)):
            goal, quat = self._place(self.joint.depth + GAP)
            pos, turned = self.left.pose(self.left.grip.part)
            off = float(np.linalg.norm(pos - goal)) - 2 * self.left.fine.tremor
            if off < ALIGNED and np.linalg.norm(rotation(turned, quat)) < ALIGNED_TURN:
                break
            still = self.right.follow(np.array(MEET), UPRIGHT)
            yield np.concatenate([self.left.follow(goal, quat), still])

    def _push(self) -> Generator[Array, None, bool]:
        """Push the left part home; return whether it got there."""
        for _ in range(self.left.periods(TIME_TO_JOIN)):
            goal, quat = self._place(-PRESS)
            if self._short() < DONE:
                return True
            yield np.concatenate([self.left.follow(goal, quat), self.right.hold()])
        return False

    def _leave(self) -> Iterator[Array]:
        """Let the left part go and take the hand away."""
        hand = self.left
        hand.follower.operator, hand.opening = hand.operator, OPEN
        here = hand.tcp
        yield from hand.go(here, OPEN, 0.2)
        yield from hand.go(_above(here, UP), OPEN)
        yield from hand.go(np.array(BACK), OPEN)

    def _place(self, short: float) -> tuple[Array, Array]:
        """Return where the left part is ``short`` of its place [m], and its orientation there."""
        pos, quat = self.right.pose(self.right.grip.part)
        at = (0.0, self.joint.home - short, 0.0)
        return np.array(point_of(at, pos.tolist(), quat.tolist())), quat

    def _short(self) -> float:
        """Return how far the left part is from its place, along the right one's y [m]."""
        pos, _ = self.left.pose(self.left.grip.part)
        still, quat = self.right.pose(self.right.grip.part)
        return float(self.joint.home - seen_from(pos.tolist(), still.tolist(), quat.tolist())[1])


def _above(pos: Array, height: float) -> Array:
    return np.array([pos[0], pos[1], pos[2] + height])


def _turned(vector: Array, yaw: float) -> Array:
    """Return a vector (3,) turned about the vertical."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1], vector[2]])
