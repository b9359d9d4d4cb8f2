"""Damiao motors on a CAN-FD bus, seen from the host: every command answered, or an error.

An answer carries no number, so a late answer to an earlier command cannot be told from a new one by
its content. A motor answers in the order in which it is asked, though: whoever has missed an answer
of a motor first asks it for a register that was not asked for lately, and takes what comes before
that register's value as old. So no state is ever reported that was not read in the same call.
"""

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle

from envs.errors import UsageError
from real.can_bus import CanBus, Frame
from real.damiao_wire import (
    CTRL_MODE,
    DISABLED,
    ENABLED,
    ESC_ID,
    FAULTS,
    INTEGERS,
    MIT,
    MST_ID,
    OC,
    OT,
    OV,
    PMAX,
    READ,
    REFRESH,
    REGISTERS_AT,
    TIMEOUT,
    TMAX,
    UV,
    VMAX,
    WRITE,
    Feedback,
    Mit,
    Ranges,
    Register,
    pack_mit,
    pack_register,
    simple,
    unpack_feedback,
    unpack_register,
)
from real.machine import MachineError, NoAnswerError
from real.openarm import Motor

ANSWER_S = 0.002
"""So long is waited for answers before a command is sent again; eight come within 1 ms [s]."""

BUDGET_S = 0.010
"""So long may one exchange with all motors take, half a control period [s]."""

MARKS = (UV, OT, OC, MST_ID, ESC_ID, TIMEOUT, CTRL_MODE, PMAX, VMAX, TMAX, OV)
"""Registers read in turn to find out which answers are old."""


class DamiaoBus:
    """The motors of an arm on one bus.

    Attributes:
        motors: in the order of all arguments and results.
        ranges: of each motor on the wire, as it says itself after ``preflight``.
        retries: commands that were sent again, by motor.
    """

    def __init__(
        self,
        bus: CanBus,
        motors: Sequence[Motor],
        clock: Callable[[], float] = time.monotonic,
        budget_s: float = BUDGET_S,
    ) -> None:
        """Talk to ``motors`` on ``bus``; an exchange takes at most ``budget_s`` [s].

        Raises:
            UsageError: two motors with one id.
        """
        self.motors = tuple(motors)
        ids = [motor.receive for motor in motors]
        if len(set(ids)) != len(ids):
            raise UsageError(f"motors must answer at ids of their own, got {ids}")
        self.ranges: dict[str, Ranges] = {motor.name: motor.ranges for motor in motors}
        self.retries = dict.fromkeys(self.ranges, 0)
        self._bus, self._clock, self._budget = bus, clock, budget_s
        self._by_id = {motor.receive: motor for motor in motors}
        self._owed = dict.fromkeys(self.ranges, 0)
        self._marks: Iterator[int] = cycle(MARKS)

    def preflight(self, watchdog_s: float, unit_s: float) -> None:
        """Ask every motor for its set-up, and arm its watchdog.

        Args:
            watchdog_s: without commands for so long a motor switches its torque off [s].
            unit_s: unit of the time-out register [s].

        Raises:
            NoAnswerError: a motor that is not there, or does not speak CAN-FD at this rate.
            MachineError: a motor in another control mode, or one that refuses the watchdog.
        """
        for motor in self.motors:
            if self.read(motor, CTRL_MODE) != MIT:
                raise MachineError(f"{motor.name} must be in MIT mode (register 10 = 1)")
            ranges = Ranges(*(self.read(motor, number) for number in (PMAX, VMAX, TMAX)))
            self.ranges[motor.name] = ranges
            if max(map(abs, motor.limits)) > ranges.position:
                raise MachineError(f"{motor.name} cannot tell its range: PMAX {ranges.position:g}")
            self.write(motor, TIMEOUT, round(watchdog_s / unit_s))

    def read(self, motor: Motor, register: int) -> float:
        """Return the value of a register.

        Raises:
            NoAnswerError: the motor did not answer.
        """
        return self._register(motor, Register(motor.send, READ, register, 0))

    def write(self, motor: Motor, register: int, value: float) -> None:
        """Set a register until the power goes off.

        Raises:
            NoAnswerError: the motor did not answer.
            MachineError: it kept another value.
        """
        found = self._register(motor, Register(motor.send, WRITE, register, value))
        sent = value if register in INTEGERS else struct.unpack("<f", struct.pack("<f", value))[0]
        if found != sent:
            raise MachineError(f"register {register} of {motor.name} must be {value}, is {found}")

    def command(self, command: int, motors: Sequence[Motor] | None = None) -> dict[str, Feedback]:
        """Send one of the four simple commands and return the answers by name.

        Raises:
            NoAnswerError: motors that did not answer.
        """
        chosen = self.motors if motors is None else motors
        return self._exchange({m.name: Frame(m.send, simple(command)) for m in chosen})

    def control(self, commands: Mapping[str, Mit]) -> dict[str, Feedback]:
        """Send commands of the MIT mode by name and return the answers.

        Raises:
            NoAnswerError: motors that did not answer, in spite of retries within the budget.
        """
        names = {motor.name: motor for motor in self.motors}
        return self._exchange(
            {
                name: Frame(names[name].send, pack_mit(command, self.ranges[name]))
                for name, command in commands.items()
            }
        )

    def refresh(self) -> dict[str, Feedback]:
        """Return the present state of all motors, without a command.

        Raises:
            NoAnswerError: motors that did not answer, in spite of retries within the budget.
        """
        asked = {m.name: Register(m.send, REFRESH, 0, 0) for m in self.motors}
        return self._exchange(
            {name: Frame(REGISTERS_AT, pack_register(one)) for name, one in asked.items()}
        )

    def _exchange(self, frames: Mapping[str, Frame]) -> dict[str, Feedback]:
        """Send every frame until it is answered, all motors at once, within the budget."""
        until = self._clock() + self._budget
        self._drain()
        self._settle([motor for motor in self.motors if self._owed[motor.name]], until)
        found: dict[str, Feedback] = {}
        while missing := [name for name in frames if name not in found]:
            if self._clock() >= until:
                raise NoAnswerError(tuple(missing))
            for name in missing:
                self.retries[name] += self._owed[name] > 0
                self._send(name, frames[name])
            wait = min(self._clock() + ANSWER_S, until)
            while len(found) < len(frames) and (answer := self._receive(wait)) is not None:
                motor, data = answer
                if _register_of(data, motor) is None and motor.name in frames:
                    found.setdefault(motor.name, unpack_feedback(data, self.ranges[motor.name]))
        return found

    def _settle(self, motors: Sequence[Motor], until: float) -> None:
        """Make sure that no old answer of ``motors`` is still under way."""
        waiting = {motor.name: motor for motor in motors}
        while waiting:
            if self._clock() >= until:
                raise NoAnswerError(tuple(waiting))
            mark = next(self._marks)
            for motor in waiting.values():
                request = Register(motor.send, READ, mark, 0)
                self._send(motor.name, Frame(REGISTERS_AT, pack_register(request)))
            wait = min(self._clock() + ANSWER_S, until)
            while waiting and (answer := self._receive(wait)) is not None:
                motor, data = answer
                value = _register_of(data, motor)
                if value is not None and value.register == mark and motor.name in waiting:
                    del waiting[motor.name]
                    self._owed[motor.name] = 0

    def _register(self, motor: Motor, request: Register) -> float:
        """Send a request about a register until it is answered; return the value in force."""
        until = self._clock() + self._budget
        self._drain()
        self._settle([motor] if self._owed[motor.name] else [], until)
        while self._clock() < until:
            self._send(motor.name, Frame(REGISTERS_AT, pack_register(request)))
            wait = min(self._clock() + ANSWER_S, until)
            while (answer := self._receive(wait)) is not None:
                sender, data = answer
                value = _register_of(data, sender)
                if sender is motor and value and value[1:3] == request[1:3]:
                    return value.value
        raise NoAnswerError((motor.name,))

    def _send(self, name: str, frame: Frame) -> None:
        self._owed[name] += 1
        self._bus.send(frame)

    def _receive(self, until: float) -> tuple[Motor, bytes] | None:
        """Return the next answer and whose it is; None: no more before ``until``."""
        while True:
            frame = self._bus.receive(until - self._clock())
            if frame is None:
                if self._clock() >= until:
                    return None
                continue
            motor = self._by_id.get(frame.id)
            if motor is None or len(frame.data) != 8:
                continue
            self._owed[motor.name] = max(0, self._owed[motor.name] - 1)
            return motor, frame.data

    def _drain(self) -> None:
        """Throw away what came since the last exchange."""
        while (frame := self._bus.receive(0.0)) is not None:
            motor = self._by_id.get(frame.id)
            if motor is not None:
                self._owed[motor.name] = max(0, self._owed[motor.name] - 1)

    def close(self) -> None:
        """Release the bus."""
        self._bus.close()


def fault_of(answer: Feedback) -> str:
    """Return what a motor says to be wrong, in words; empty where it is on and well."""
    if answer.status == ENABLED:
        return ""
    if answer.status == DISABLED:
        return "torque is off"
    return FAULTS.get(answer.status, f"unknown status {answer.status:#x}")


def _register_of(data: bytes, motor: Motor) -> Register | None:
    """Return the register in an answer; None if it is a state.

    A register's answer begins with the motor's id as 16 bits; a state that looks the same would be
    that of a motor without torque, a turn or more outside any joint's range.
    """
    value = unpack_register(data)
    return value if value is not None and value.motor == motor.send else None
