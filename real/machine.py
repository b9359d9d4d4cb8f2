"""What the safety chain drives: a real arm or its emulation, seen from the control loop.

A machine is not an ``Arm``: it takes only what the chain has cleared. ``SafeArm`` makes an arm of
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from envs.arm import ArmSpec, Array


class MachineError(RuntimeError):
    """The machine cannot be used: absent, not set up or refusing. The message says what to do."""


class NoAnswerError(MachineError):
    """Motors did not answer within the control period; nothing of them is known that is new.

    Attributes:
        motors: their names.
    """

    def __init__(self, motors: tuple[str, ...]) -> None:
        """Name the motors that did not answer."""
        super().__init__(f"no answer from {', '.join(motors)}")
        self.motors = motors


@dataclass(frozen=True, eq=False)
class Cleared:
    """Targets (n,) that passed the safety chain; only ``real.safety`` makes them."""

    target: Array

    def __post_init__(self) -> None:
        """Refuse what no chain lets through, and make the array read-only."""
        if not np.isfinite(self.target).all():
            raise ValueError(f"cleared targets must be finite, got {self.target}")
        self.target.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Sensed:
    """One reading of all motors.

    Attributes:
        qpos, qvel, effort: (n,) as in an ``Observation``.
        stamp: when the oldest of them was read, on the monotonic clock [s].
        temperature: of each motor [deg C], by name.
        faults: what motors report to be wrong, by name; empty where all is well.
        ages: age of other inputs, such as camera frames [s], by name.
    """

    qpos: Array
    qvel: Array
    effort: Array
    stamp: float
    temperature: Mapping[str, float] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)


class Machine(Protocol):
    """A set of motors that make up an arm.

    Attributes:
        spec: the arm; its limits are those of the model and of the motors.
        watchdog_s: time without commands after which the motors stop by themselves [s]; None where
            nothing stops them.
    """

    spec: ArmSpec
    watchdog_s: float | None

    def enable(self) -> Sensed:
        """Switch the motors on where they are, and read them.

        Raises:
            MachineError: a motor that cannot be switched on, named.
        """

    def drive(self, cleared: Cleared) -> None:
        """Send targets to all motors.

        Raises:
            NoAnswerError: a motor that did not confirm them.
            TypeError: targets that did not pass the chain.
        """

    def sense(self) -> Sensed:
        """Read all motors.

        Raises:
            NoAnswerError: a motor that did not answer.
        """

    def limp(self) -> None:
        """Switch the torque off, of every motor that can be reached; an arm held up falls."""

    def close(self) -> None:
        """Switch the torque off and release the bus; twice does no harm."""
