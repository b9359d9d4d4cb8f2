"""The hand of a person who moves a leader, as mechanics behind emulated servos."""

from collections.abc import Sequence
from math import cos, pi, sin

from envs.robots import ROBOTS
from real.dynamixel_arms import PER_RADIAN, WIRINGS
from real.emulators.dynamixel_plant import Drive, Motion
from real.emulators.dynamixel_servo import Setup

SWAY = 0.25
"""How far the first joint is turned to either side [rad]."""

PERIOD_S = 6.0
"""From one side and back."""


class Hand:
    """Turns a leader about the pose in which tasks begin, and opens and closes it; a ``Plant``.

    Whatever its motors want does not matter: a leader has no torque.
    """

    def __init__(self, robot: str, made: Sequence[Setup]) -> None:
        """Take the leader ``robot`` with the servos ``made`` into the hand."""
        self._motors, self._made = WIRINGS[robot].motors, tuple(made)
        self._home = ROBOTS[robot.removesuffix("_leader")].spec().home
        self._time = 0.0
        self._angles = self._pose()

    def step(self, drives: Sequence[Drive], dt: float) -> list[Motion]:
        """Let ``dt`` [s] pass; see ``Plant``."""
        self._time += dt
        before, self._angles = self._angles, self._pose()
        return [
            Motion(now, (now - then) / dt) for then, now in zip(before, self._angles, strict=True)
        ]

    def _pose(self) -> list[float]:
        """Return the angles of all shafts [rad]."""
        phase = 2 * pi * self._time / PERIOD_S
        joints = list(self._home)
        joints[0] += SWAY * sin(phase)
        joints[-1] = 0.5 + 0.5 * cos(phase)
        return [
            (-1 if one.mirrored else 1)
            * (self._motors[one.axis].ticks(joints[one.axis]) - 2048)
            / PER_RADIAN
            for one in self._made
        ]
