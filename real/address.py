"""Where an arm is and how it is driven: what ``real.connect`` needs to reach it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from real.calibration import Calibration
from real.dynamixel_joints import Pace
from real.dynamixel_port import Port
from real.rules import SafetyConfig

UNWIRED = ("virtual", "udp_multicast")
"""Interfaces of python-can behind which no motor can be."""


@dataclass(frozen=True)
class ArmAddress:
    """Where an arm is, the same for a real one and for its twin.

    Attributes:
        robot: registered arm.
        port: serial port, or channel of a CAN interface, such as ``can0``; or what makes a
            ``Port`` where the arm is driven, for servos without a serial line.
        interface: of python-can, for an arm of Damiao motors.
        calibration: of this very arm; None: nominal zeros, directions and gripper.
    """

    robot: str
    port: str | Callable[[], Port]
    interface: str = ""
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Refuse the calibration of another arm.

        Raises:
            UsageError: it is.
        """
        if self.calibration is not None:
            self.calibration.check_robot(self.robot)

    @property
    def emulated(self) -> bool:
        """Whether no arm can be there: a port that is a program, or a bus without wires."""
        if not isinstance(self.port, str):
            return True
        program = Path(self.port).resolve().is_relative_to("/dev/pts")
        return program or self.interface in UNWIRED

    @property
    def calibration_hash(self) -> str:
        """Identity of the calibration, for records; empty where there is none."""
        return "" if self.calibration is None else self.calibration.hash


@dataclass(frozen=True)
class Manner:
    """How an arm is driven.

    Attributes:
        config: settings of the safety chain.
        pace: how Dynamixel motors are asked.
    """

    config: SafetyConfig = field(default_factory=SafetyConfig)
    pace: Pace = field(default_factory=Pace)

    def patience(self, watchdog_s: float | None) -> float:
        """Return how long an action is waited for before the arm is kept without one [s].

        Args:
            watchdog_s: after which the motors stop by themselves, however patient we are.
        """
        return min(self.config.late, 0.4 * (watchdog_s or self.pace.watchdog))


PATIENT = Manner(
    SafetyConfig(age=5.0, frame_age=5.0, lost=10.0, late=5.0, watchdog=2.5),
    Pace(budget=0.5, lost=5.0, watchdog=2.0),
)
"""For a twin on a machine that is busy with other things; never for a real arm."""
