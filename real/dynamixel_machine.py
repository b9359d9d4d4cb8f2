"""A Dynamixel arm as the safety chain drives it."""

import numpy as np

from envs.errors import UsageError
from real.dynamixel import DynamixelArm
from real.dynamixel_joints import HardwareFaultError, JointState
from real.machine import Cleared, Machine, MachineError, NoAnswerError, Sensed


class DynamixelMachine(Machine):
    """The servos of ``DynamixelArm`` behind the interface of the safety chain."""

    def __init__(self, arm: DynamixelArm) -> None:
        """Drive ``arm``, which is found and checked."""
        self.arm, self.spec = arm, arm.spec
        self.watchdog_s: float | None = None
        self._closed = False

    def enable(self) -> Sensed:
        """Switch the motors on where they are, their watchdogs armed, and read them.

        Raises:
            MachineError: a motor that cannot be switched on, named.
        """
        try:
            state = self.arm.engage()
        except (HardwareFaultError, UsageError) as error:
            raise MachineError(str(error)) from error
        self.watchdog_s = self.arm.pace.watchdog
        return self._sensed(state)

    def drive(self, cleared: Cleared) -> None:
        """Send targets (n,) that the safety chain cleared.

        Raises:
            MachineError: a motor failed; the arm holds.
            TypeError: targets that did not pass the chain.
        """
        if not isinstance(cleared, Cleared):
            raise TypeError(f"targets must pass the safety chain, got {type(cleared).__name__}")
        try:
            self.arm.write(cleared.target)
        except HardwareFaultError as error:
            raise MachineError(str(error)) from error

    def sense(self) -> Sensed:
        """Read all motors.

        Raises:
            NoAnswerError: a motor that did not answer within the control period.
        """
        state = self.arm.read()
        if not state.fresh.all() and not state.faults:
            names = np.array(self.spec.joints)[~state.fresh]
            raise NoAnswerError(tuple(map(str, names)))
        return self._sensed(state)

    @property
    def counts(self) -> dict[str, int]:
        """What happened on the line so far: readings, repeats, broken and late packets."""
        return {name: int(value) for name, value in vars(self.arm.bus.counts).items()}

    def _sensed(self, state: JointState) -> Sensed:
        faults: dict[str, str] = {}
        for fault in state.faults:
            faults.setdefault(fault.joint or "bus", fault.what)
        return Sensed(
            qpos=state.position,
            qvel=state.velocity,
            effort=state.effort,
            stamp=self.arm.bus.port.now() - float(state.age.max()),
            temperature=dict(zip(self.spec.joints, map(float, state.temperature), strict=True)),
            faults=faults,
        )

    def limp(self) -> None:
        """Switch the torque off, of every motor that can be reached; an arm held up falls."""
        self.arm.limp()

    def close(self) -> None:
        """Switch the torque off and release the bus; twice does no harm."""
        if not self._closed:
            self._closed = True
            self.limp()
            self.arm.close()
