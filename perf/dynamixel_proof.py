"""Readings that prove themselves: mechanics that never repeat, a judge of what is said."""

from collections.abc import Sequence
from math import pi

import numpy as np

from real.dynamixel_arms import Wiring
from real.dynamixel_joints import JointState
from real.emulators.dynamixel_plant import Drive, Motion
from real.emulators.dynamixel_servo import Setup

UNIT = 0.0239691227
"""One unit of Present Velocity [rad/s], as the SDK's model files have it."""

FIRST = 4096
STRIDE = 16


def speed_of(position: int) -> int:
    """Return the value of Present Velocity that belongs to a position."""
    return position * 7919 % 199 - 99


class Counter:
    """Mechanics whose positions only grow, one stride a time step, with speeds that follow.

    A position tells its servo and when it was true; the speed beside it is its check sum.
    """

    def __init__(self, made: Sequence[Setup]) -> None:
        """Count for the servos ``made``; they must be in a mode of several turns."""
        self.made, self.count = tuple(made), 0

    def step(self, drives: Sequence[Drive], dt: float) -> list[Motion]:
        """Go one stride further, whatever the servos want."""
        self.count += 1
        return [self._motion(i) for i in range(len(drives))]

    def _motion(self, i: int) -> Motion:
        position = FIRST + STRIDE * self.count + i
        side = -1.0 if self.made[i].registers["Drive Mode"] else 1.0
        angle = (position - 2048) * 2 * pi / 4096
        return Motion(side * angle, side * speed_of(position) * UNIT)


class Judge:
    """Looks at every reading of an arm that stands on ``Counter``; for arms without shadows.

    Attributes:
        stale: readings in which a joint was flagged as not new.
        wrong: what was said that is not true.
    """

    def __init__(self, wiring: Wiring) -> None:
        """Judge the joints of ``wiring``."""
        self.joints = wiring.motors
        self.last = np.zeros(len(self.joints), dtype=int)
        self.stale, self.wrong = 0, list[str]()

    def look(self, state: JointState, begin: int | None = None) -> None:
        """Judge ``state``.

        Args:
            state: what the driver says.
            begin: the count when it was asked; None where that is not known.
        """
        for j, joint in enumerate(self.joints):
            position = joint.ticks(float(state.position[j]))
            if state.fresh[j]:
                self._new(j, position, float(state.velocity[j]), begin)
            elif position != self.last[j] or state.age[j] <= 0:
                self.wrong.append(f"{joint.name}: flagged as old, but {position} is not")
            self.last[j] = position
        self.stale += not state.fresh.all()

    def _new(self, j: int, position: int, velocity: float, begin: int | None) -> None:
        """Judge a value that is said to be new."""
        joint = self.joints[j]
        unit = joint.slope(position) * UNIT * 4096 / (2 * pi)
        older = position <= self.last[j]
        if begin is not None:
            older = older or (position - FIRST) // STRIDE < begin
        if older or position % STRIDE != j or round(velocity / unit) != speed_of(position):
            self.wrong.append(f"{joint.name}: {position} (before: {self.last[j]}), {velocity:.4f}")
