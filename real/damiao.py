"""Damiao motors on a CAN-FD bus, seen from the host: every command answered, or an error.

An answer carries no number, so a late answer to an earlier command cannot be told from a new one by
its content. A motor answers in the order in which it is asked, though: whoever has missed an answer
of a motor asks it for a register, another one each time, before the next command; what comes before
that register's value is old. So no state is ever reported that was not read in the same call.
"""

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

from envs.errors import UsageError
from real.can_bus import CanBus, Frame
from real.damiao_wire import (
    CTRL_MODE,
    DISABLED,
    ENABLED,
    FAULTS,
    INTEGERS,
    MIT,
    PMAX,
    READ,
    REFRESH,
    REGISTERS_AT,
    TIMEOUT,
    TMAX,
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

ANSWER_S = 0.0015
"""So long is waited for answers before a command is sent again; eight come within 1 ms [s]."""

BUDGET_S = 0.008
"""So long may one exchange with all motors take; a control period has two, and 20 ms [s]."""

MARKS = range(37)
"""Registers that are read to find out which answers are old, another one in each exchange. A late
answer would have to be 37 exchanges old, .37 s, to be mistaken; the safety chain ends a trial
after .2 s without answers."""


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
        self._by_name = {motor.name: motor for motor in motors}
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
        return self._exchange(
            {
                name: Frame(self._by_name[name].send, pack_mit(command, self.ranges[name]))
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
        """Send every frame until it is answered, all motors at once, within the budget.

        A motor that is out of step or silent keeps none of the others from its command.
        """
        found: dict[str, Feedback] = {}
        for motor, data in self._answers(frames, found):
            if _register_of(data, motor) is None:
                found[motor.name] = unpack_feedback(data, self.ranges[motor.name])
        return {name: found[name] for name in frames}

    def _register(self, motor: Motor, request: Register) -> float:
        """Send a request about a register until it is answered; return the value in force."""
        found: dict[str, float] = {}
        frames = {motor.name: Frame(REGISTERS_AT, pack_register(request))}
        for _, data in self._answers(frames, found):
            value = _register_of(data, motor)
            if value and value[1:3] == request[1:3]:
                found[motor.name] = value.value
        return found[motor.name]

    def _answers(
        self, frames: Mapping[str, Frame], found: dict[str, Any]
    ) -> Iterator[tuple[Motor, bytes]]:
        """Yield new answers until ``found``, which the caller fills, has every name of ``frames``.

        Raises:
            NoAnswerError: what is missing when the budget is used up; everything is sent at least
                once.
        """
        until = self._clock() + self._budget
        self._drain()
        behind = {name for name in frames if self._owed[name]}
        mark, tries = next(self._marks), 0
        while missing := [name for name in frames if name not in found]:
            if tries and self._clock() >= until:
                raise NoAnswerError(tuple(missing))
            for name in missing:
                self.retries[name] += tries > 0
                self._send(name, frames[name], mark if name in behind else None)
            tries += 1
            wait = self._clock() + ANSWER_S
            while not found.keys() >= frames.keys() and (answer := self._receive(wait)):
                if self._is_new(*answer, behind, mark) and answer[0].name in frames.keys() - found:
                    yield answer

    def _is_new(self, motor: Motor, data: bytes, behind: set[str], mark: int) -> bool:
        """Whether an answer is new: the one to ``mark`` takes its motor out of ``behind``."""
        if motor.name not in behind:
            return True
        value = _register_of(data, motor)
        if value is not None and (value.action, value.register) == (READ, mark):
            behind.remove(motor.name)
        return False

    def _send(self, name: str, frame: Frame, mark: int | None) -> None:
        """Send a frame, with the question for a register before it if there is a mark."""
        if mark is not None:
            request = Register(self._by_name[name].send, READ, mark, 0)
            self._owed[name] += 1
            self._bus.send(Frame(REGISTERS_AT, pack_register(request)))
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
