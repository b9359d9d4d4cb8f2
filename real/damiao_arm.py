"""An arm of Damiao motors as a machine: position control in the MIT mode, gravity taken off."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from envs.arm import ArmSpec, Array
from real.damiao import DamiaoBus, fault_of
from real.damiao_wire import (
    CLEAR,
    DISABLE,
    DISABLED,
    ENABLE,
    ENABLED,
    TIMEOUT_UNIT_S,
    Feedback,
    Mit,
)
from real.machine import Cleared, Machine, MachineError, Sensed

WATCHDOG_S = 0.2
"""Without commands for so long a motor switches its torque off by itself [s]."""

LOST = 0xD


class DamiaoArm(Machine):
    """Motors on a bus that are an arm; a machine for ``SafeArm``.

    A motor's watchdog does not hold: it switches the torque off. So whoever holds an arm goes on
    sending its pose.
    """

    def __init__(
        self,
        spec: ArmSpec,
        bus: DamiaoBus,
        gravity: Callable[[Array], Array] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an arm of the motors of ``bus``, in the order of the joints of ``spec``.

        Args:
            spec: the arm; its ranges are narrowed to those of the motors.
            bus: the motors.
            gravity: torques (n,) that hold a pose (n,), as ``Statics.gravity``; None: none.
            clock: of the stamps [s].

        Raises:
            ValueError: other motors than joints.
        """
        names = tuple(motor.name for motor in bus.motors)
        if names != spec.joints:
            raise ValueError(f"motors must be those of the joints {spec.joints}, got {names}")
        limits = [motor.joint_limits for motor in bus.motors]
        ends = list(zip(spec.lower, spec.upper, limits, strict=True))
        self.spec = replace(
            spec,
            lower=tuple(max(lower, motor[0]) for lower, _, motor in ends),
            upper=tuple(min(upper, motor[1]) for _, upper, motor in ends),
        )
        self.watchdog_s: float | None = None
        self._bus, self._gravity, self._clock = bus, gravity, clock
        self._on = False
        self._q = np.array(spec.home)
        self._faults: dict[str, str] = {}

    def enable(self) -> Sensed:
        """Arm the watchdogs and switch the motors on, each held where it is.

        Raises:
            MachineError: a motor that is not there, not set up, or reports a fault; it is named.
        """
        self._bus.preflight(WATCHDOG_S, TIMEOUT_UNIT_S)
        found = self._bus.refresh()
        motors = {motor.name: motor for motor in self._bus.motors}
        if lost := [name for name, answer in found.items() if answer.status == LOST]:
            found |= self._bus.command(CLEAR, [motors[name] for name in lost])
        bad = [
            f"{name} ({fault_of(answer)})"
            for name, answer in found.items()
            if answer.status not in (DISABLED, ENABLED)
        ]
        if bad:
            raise MachineError(
                f"{', '.join(bad)}: remove the cause, then clear the fault by switching "
                "the power off and on"
            )
        self._bus.command(ENABLE)
        self._on, self.watchdog_s, self._faults = True, WATCHDOG_S, {}
        self._q = self._joints(found)
        self._control(self._q)
        return self.sense()

    def drive(self, cleared: Cleared) -> None:
        """Send targets (n,) that the safety chain cleared.

        Raises:
            NoAnswerError: a motor that did not confirm them.
            TypeError: targets that did not pass the chain.
        """
        if not isinstance(cleared, Cleared):
            raise TypeError(f"targets must pass the safety chain, got {type(cleared).__name__}")
        self._control(cleared.target)

    def _control(self, target: Array) -> None:
        held = np.zeros(self.spec.n) if self._gravity is None else self._gravity(self._q)
        commands = {
            motor.name: Mit(motor.to_motor(q), 0.0, motor.kp, motor.kd, tau / motor.scale)
            for motor, q, tau in zip(self._bus.motors, target.tolist(), held.tolist(), strict=True)
        }
        self._note(self._bus.control(commands))

    def sense(self) -> Sensed:
        """Read all motors.

        Raises:
            NoAnswerError: a motor that did not answer.
        """
        stamp = self._clock()
        found = self._bus.refresh()
        self._note(found)
        self._q = self._joints(found)
        scale = np.array([motor.scale for motor in self._bus.motors])
        return Sensed(
            qpos=self._q,
            qvel=self._column(found, "dq") / scale,
            effort=self._column(found, "tau") * scale,
            stamp=stamp,
            temperature={name: float(max(a.driver, a.winding)) for name, a in found.items()},
            faults=dict(self._faults),
        )

    def _note(self, found: dict[str, Feedback]) -> None:
        """Remember faults: a motor that failed stays failed until ``enable``."""
        for name, answer in found.items():
            fault = fault_of(answer)
            if fault and (self._on or answer.status != DISABLED):
                self._faults.setdefault(name, fault)

    def _joints(self, found: dict[str, Feedback]) -> Array:
        angles = self._column(found, "q").tolist()
        pairs = zip(self._bus.motors, angles, strict=True)
        return np.array([motor.to_joint(angle) for motor, angle in pairs])

    def _column(self, found: dict[str, Feedback], what: str) -> Array:
        return np.array([getattr(found[motor.name], what) for motor in self._bus.motors])

    def limp(self) -> None:
        """Switch the torque off.

        Raises:
            NoAnswerError: motors that did not confirm it; they were told several times.
        """
        self._on = False
        self._bus.command(DISABLE)

    def close(self) -> None:
        """Switch the torque off and release the bus; twice does no harm."""
        with suppress(MachineError):
            self.limp()
        self._bus.close()
