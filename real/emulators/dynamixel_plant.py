"""What the servos move: the interface to mechanics, and the simplest mechanics that answer.

Angles are of the output shaft, counter-clockwise positive, 0 at the middle of the encoder
(position 2048), whatever the servo's registers make of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal, Protocol, runtime_checkable

from envs.arm import InitialCondition

Kind = Literal["off", "position", "velocity", "current", "pwm"]


@dataclass(frozen=True, slots=True)
class Drive:
    """What a servo's controller asks of its motor.

    Attributes:
        kind: what ``target`` is; ``off`` is a shaft that turns freely.
        target: angle [rad], speed [rad/s], current [A] or share of the supply -1..1.
        current: most current it may use [A].
    """

    kind: Kind
    target: float = 0.0
    current: float = 0.0


OFF = Drive("off")


@dataclass(frozen=True, slots=True)
class Motion:
    """What a servo's sensors see of its shaft: angle [rad], speed [rad/s], current [A]."""

    angle: float
    speed: float = 0.0
    current: float = 0.0


class Plant(Protocol):
    """Mechanics behind a chain of servos: an arm, simulated in whatever way."""

    def step(self, drives: Sequence[Drive], dt: float) -> Sequence[Motion]:
        """Let ``dt`` [s] pass under ``drives``; both lists are in the order of the chain."""


@runtime_checkable
class Scene(Plant, Protocol):
    """Mechanics with things on a table before the arm."""

    def set_up(self, start: InitialCondition) -> None:
        """Put the things where ``start`` says; the arm stays where it is."""


@dataclass(frozen=True)
class Shaft:
    """How a servo sits on its axis.

    Attributes:
        axis: servos with the same number turn together.
        mirrored: its shaft turns against the axis.
        angle: of the axis at the start [rad].
        free_speed: without load [rad/s].
        stall_current: at standstill [A].
    """

    axis: int
    mirrored: bool = False
    angle: float = 0.0
    free_speed: float = 5.0
    stall_current: float = 2.0


class FirstOrderPlant:
    """Axes that follow their servos with a time constant; nothing has weight or meets anything.

    Servos of one axis pull at it with equal strength. Where they disagree, each draws the current
    of its own error: a pair that fights overloads itself.
    """

    TAU = 0.03
    """Time constant of the position loop [s]."""

    STALL_ERROR = 0.15
    """Error at which a servo draws its stall current [rad]."""

    def __init__(self, shafts: Sequence[Shaft]) -> None:
        """Put every axis at its start."""
        self.shafts = tuple(shafts)
        axes = sorted({shaft.axis for shaft in shafts})
        self.angle = {axis: 0.0 for axis in axes}
        for shaft in reversed(self.shafts):
            self.angle[shaft.axis] = shaft.angle
        self.members = {
            axis: [i for i, shaft in enumerate(self.shafts) if shaft.axis == axis] for axis in axes
        }

    def step(self, drives: Sequence[Drive], dt: float) -> list[Motion]:
        """Let ``dt`` [s] pass; see ``Plant``."""
        motions = [OFF_MOTION] * len(self.shafts)
        for axis, members in self.members.items():
            wishes = [self._wish(i, drives[i], dt) for i in members if drives[i].kind != "off"]
            moved = sum(wishes) / len(wishes) if wishes else 0.0
            self.angle[axis] += moved
            for i in members:
                side = -1.0 if self.shafts[i].mirrored else 1.0
                angle = side * self.angle[axis]
                speed = side * moved / dt
                motions[i] = Motion(angle, speed, self._current(i, drives[i], angle, speed))
        return motions

    def _wish(self, i: int, drive: Drive, dt: float) -> float:
        """Return how far servo ``i`` alone would turn its axis in ``dt`` [rad]."""
        shaft = self.shafts[i]
        side = -1.0 if shaft.mirrored else 1.0
        if drive.kind == "position":
            way = (side * drive.target - self.angle[shaft.axis]) * (1 - exp(-dt / self.TAU))
        elif drive.kind == "velocity":
            way = side * drive.target * dt
        elif drive.kind == "current":
            way = side * drive.target / shaft.stall_current * shaft.free_speed * dt
        else:
            way = side * drive.target * shaft.free_speed * dt
        most = shaft.free_speed * dt
        return max(-most, min(most, way))

    def _current(self, i: int, drive: Drive, angle: float, speed: float) -> float:
        """Return the current servo ``i`` draws [A] with its shaft at ``angle``.

        The faster it turns the less it can draw, down to none at the free speed (back-EMF).
        """
        stall = self.shafts[i].stall_current
        left = max(0.0, 1 - abs(speed) / self.shafts[i].free_speed)
        if drive.kind == "position":
            wanted = (drive.target - angle) / self.STALL_ERROR * stall
        elif drive.kind == "current":
            wanted = drive.target
        elif drive.kind == "off":
            return 0.0
        else:
            wanted = 0.05 * stall if drive.target else 0.0
        most = min(drive.current, stall * left)
        return max(-most, min(most, wanted))


OFF_MOTION = Motion(0.0)
