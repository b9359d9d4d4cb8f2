"""One emulated Damiao motor: registers, states, faults; no bus and no clock of its own."""

from dataclasses import dataclass

from real.damiao_wire import (
    CAN_BR,
    CLEAR,
    CTRL_MODE,
    DISABLE,
    DISABLED,
    ENABLE,
    ENABLED,
    ESC_ID,
    INTEGERS,
    MIT,
    MST_ID,
    OC,
    OT,
    OV,
    PMAX,
    TIMEOUT,
    TIMEOUT_UNIT_S,
    TMAX,
    UV,
    VMAX,
    XOUT,
    ZERO,
    Feedback,
    Mit,
    Ranges,
    unpack_mit,
)
from real.openarm import Motor

OVERCURRENT, DRIVER_HOT, WINDING_HOT, LOST, OVERLOAD = 0xA, 0xB, 0xC, 0xD, 0xE

AMBIENT = 30.0  # temperature at rest [deg C]
HEAT_S = 120.0  # time constant of the winding [s]
HOTTEST = 160.0  # temperature of the winding at full torque for ever [deg C]
SLACK_KD = 0.5  # a motor without torque still brakes a little [N m s/rad]

WRITABLE = {
    UV: (10.0, 3.4e38),
    OT: (80.0, 200.0),
    OC: (0.0, 1.0),
    MST_ID: (0, 0x7FF),
    ESC_ID: (0, 0x7FF),
    TIMEOUT: (0, 2**32 - 1),
    CTRL_MODE: (1, 4),
    PMAX: (1e-6, 3.4e38),
    VMAX: (1e-6, 3.4e38),
    TMAX: (1e-6, 3.4e38),
    OV: (0.0, 3.4e38),
    CAN_BR: (0, 9),
}
"""Registers that can be written, and their ranges; the manuals' table, without what has no effect
here. ``CAN_BR`` above 4 (1 Mbit/s) means CAN-FD."""

CAN_FD_5M = 9


@dataclass
class Trouble:
    """What is wrong with a motor and its wire; set while the emulator runs.

    Attributes:
        loss: share of frames that get lost, in each direction.
        delay: time by which answers come late [s].
        silent: hears and obeys, but does not answer.
        unplugged: without power: hears nothing and has no torque.
        heat: added to both temperatures [deg C].
        overcurrent: reports it at the next command.
    """

    loss: float = 0.0
    delay: float = 0.0
    silent: bool = False
    unplugged: bool = False
    heat: float = 0.0
    overcurrent: bool = False


class EmulatedMotor:
    """A motor in MIT mode; its shaft is a plant's joint.

    Attributes:
        motor: type, ids and gains.
        registers: values by number.
        trouble: what is wrong with it.
        status: ``DISABLED``, ``ENABLED`` or a fault.
        torque: present torque [N m].
        winding: temperature of the winding [deg C].
        lost_after: time without frames after which the motor last switched itself off [s].
    """

    def __init__(self, motor: Motor) -> None:
        """Switch the motor on as delivered for an OpenArm: MIT mode, CAN-FD, no time-out."""
        self.motor = motor
        self.trouble = Trouble()
        self.status, self.torque, self.winding = DISABLED, 0.0, AMBIENT
        self._zero, self._heard, self.lost_after = 0.0, 0.0, 0.0
        self._command = Mit(0.0, 0.0, 0.0, 0.0, 0.0)
        self.registers = self._delivered()

    @property
    def ranges(self) -> Ranges:
        """Return the ranges on the wire, as set in the registers."""
        return Ranges(*(self.registers[number] for number in (PMAX, VMAX, TMAX)))

    def obey(self, command: int, q: float, now: float) -> None:
        """Do one of the four simple commands; ``q`` is the shaft's angle [rad]."""
        self._heard = now
        if command == ENABLE and self.status == DISABLED:
            self.status = ENABLED
            self._command = Mit(0.0, 0.0, 0.0, 0.0, 0.0)
        elif command == (DISABLE if self.status == ENABLED else CLEAR):
            self.status = DISABLED
        elif command == ZERO:
            self._zero = q

    def control(self, data: bytes, now: float) -> None:
        """Take a frame of the MIT mode; without effect in another mode."""
        self._heard = now
        if self.registers[CTRL_MODE] == MIT:
            self._command = unpack_mit(data, self.ranges)
        if self.trouble.overcurrent:
            self._fail(OVERCURRENT)

    def read(self, register: int, q: float) -> float:
        """Return a register's value, 0 where the emulator has none of that number."""
        return q - self._zero if register == XOUT else self.registers.get(register, 0.0)

    def write(self, register: int, value: float) -> None:
        """Set a register; a value out of its range, or a register to read only, changes nothing."""
        low, high = WRITABLE.get(register, (1.0, 0.0))
        if low <= value <= high:
            self.registers[register] = int(value) if register in INTEGERS else value

    def drive(self, q: float, dq: float, now: float) -> float:
        """Return the torque [N m] at the shaft's angle [rad] and velocity [rad/s]."""
        limit = self.registers[TIMEOUT] * TIMEOUT_UNIT_S
        if self.status == ENABLED and 0 < limit < now - self._heard:
            self.lost_after = now - self._heard
            self._fail(LOST)
        if self.trouble.unplugged:
            self.status, self.registers = DISABLED, self._delivered()
        if self.status != ENABLED:
            self.torque = 0.0
            return -min(SLACK_KD, self.motor.kd / 2) * dq  # the small ones brake less
        c, most = self._command, self.registers[TMAX]
        wanted = c.kp * (c.q - (q - self._zero)) + c.kd * (c.dq - dq) + c.tau
        self.torque = min(max(wanted, -most), most)
        return self.torque

    def warm(self, dt: float) -> None:
        """Let ``dt`` [s] pass for the temperature: first order, losses as the torque squared."""
        share = self.torque / self.registers[TMAX]
        goal = AMBIENT + (HOTTEST - AMBIENT) * share**2
        self.winding += (goal - self.winding) * min(dt / HEAT_S, 1.0)
        if self.winding + self.trouble.heat > self.registers[OT]:
            self._fail(WINDING_HOT)

    def feedback(self, q: float, dq: float) -> Feedback:
        """Return the answer that the motor gives now."""
        heat = round(self.winding + self.trouble.heat)
        driver = round(AMBIENT + (heat - AMBIENT) / 2)
        return Feedback(
            self.motor.send & 0xF, self.status, q - self._zero, dq, self.torque, driver, heat
        )

    def _delivered(self) -> dict[int, float]:
        """Return the registers after switching on; what was written before is gone."""
        ranges = self.motor.ranges
        return {
            UV: 15.0, OT: 100.0, OC: 0.98, OV: 32.0, TIMEOUT: 0, CTRL_MODE: MIT, CAN_BR: CAN_FD_5M,
            MST_ID: self.motor.receive, ESC_ID: self.motor.send,
            PMAX: ranges.position, VMAX: ranges.velocity, TMAX: ranges.torque,
        }  # fmt: skip

    def _fail(self, status: int) -> None:
        """Report a fault; the torque is off until it is cleared and the motor enabled again."""
        if self.status == ENABLED:
            self.status = status
            self.torque = 0.0
