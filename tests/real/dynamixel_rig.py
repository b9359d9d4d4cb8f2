"""Dynamixel arms for tests: on a clock of their own, so that no test depends on the machine."""

import numpy as np
import pytest

from envs.robots import ROBOTS
from real.dynamixel import DynamixelArm, Pace
from real.dynamixel_arms import WIRINGS
from real.emulators.dynamixel import Emulated
from real.emulators.dynamixel_chain import Chain
from real.emulators.dynamixel_faults import Fault
from real.emulators.dynamixel_wire import Timing, VirtualPort

PERIOD = 0.02

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)


class Bench:
    """An emulated arm, its port without real time and the driver."""

    def __init__(
        self, robot: str = "viperx", pace: Pace | None = None, wiring=None, **emulated
    ) -> None:
        what = Emulated(robot, **emulated)
        self.chain: Chain = what.chain(100.0)
        self.port = VirtualPort(self.chain, Timing())
        self.wiring = wiring or WIRINGS[robot]
        self.arm = DynamixelArm(self.wiring, ROBOTS[robot].spec(), self.port, pace)

    def servo(self, motor: int):
        return next(servo for servo in self.chain.servos if servo.motor == motor)

    def inject(self, *faults: str) -> None:
        for text in faults:
            self.chain.inject(Fault.parse(text))

    def wait_for_tick(self) -> None:
        """Let the rest of the control period pass."""
        self.port.pass_time(PERIOD - self.port.now() % PERIOD)


def sway(bench: Bench, amplitude: float = 0.3) -> np.ndarray:
    """Return a target that keeps every joint moving, from the present time."""
    middle = (bench.arm.lower + bench.arm.upper) / 2
    span = np.minimum(amplitude, (bench.arm.upper - bench.arm.lower) / 4)
    phase = np.arange(len(middle))
    return middle + span * np.sin(3.0 * bench.port.now() + phase)
