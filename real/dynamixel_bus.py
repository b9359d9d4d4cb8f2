"""Asking Dynamixel servos: with time-outs, retries, and answers that are known to be new.

The protocol does not number its packets, so an answer that comes late could be taken for that to
the next question. Successive reads therefore begin at different registers: an answer of another
length belongs to an earlier question. It is as old as that one, and dropped once a reading is over.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from real.dynamixel_packet import (
    BROADCAST,
    HEADER,
    PREFIX,
    Block,
    Error,
    Instruction,
    Packet,
    Scanner,
    fast_blocks,
    fast_head,
    frame,
)
from real.dynamixel_port import Port
from real.dynamixel_question import Question, Reading, Span
from real.dynamixel_tables import Item, Table

BITS = 10
"""Bits that a byte takes on the wire."""

MARGIN = 0.002
"""What this machine may take beyond the wire's time and the adapter's latency [s]."""

UNKNOWN_LATENCY = 0.020
"""Latency that is reckoned with before it is measured: above FTDI's 16 ms [s]."""

SLOWEST = 0.050
"""Longest latency that a late answer makes us reckon with [s]."""

TRIES = 6
"""How often one register is asked for before it is given up, each time with twice the patience."""

TAGS = ("Present PWM", "Moving Status", "Moving")
"""Registers at which a read may begin earlier, to tell its answer from that of another read."""


class NoAnswerError(TimeoutError):
    """A servo, ``motor``, did not answer, however often it was asked."""

    def __init__(self, motor: int) -> None:
        """Name the servo."""
        self.motor = motor
        super().__init__(f"servo {motor} does not answer")


class RefusedError(RuntimeError):
    """A servo, ``motor``, answered that it will not do it; ``error`` says why."""

    def __init__(self, motor: int, error: int, what: str) -> None:
        """Name the servo, the error number and what it was asked for."""
        self.motor = motor
        self.error = Error(error) if error in set(Error) else Error.RESULT
        super().__init__(f"servo {motor} refused {what}: {self.error.name.lower()} error")


@dataclass
class Counts:
    """What happened on a bus: questions, those that had to be repeated, and answers dropped."""

    reads: int = 0
    repeats: int = 0
    late: int = 0
    broken: int = 0


class Bus:
    """Servos on one port.

    Attributes:
        port: the line, with its clock.
        tables: the servos' control tables by id.
        baud: bits a second.
        latency: what an answer takes beyond its time on the wire [s].
        hesitation: the servos' Return Delay Time, the longest [s].
        fast: whether fast reads are used.
        counts: what happened so far.
        spoke_at: when something was last sent [s].
        silence: the longest pause between two packets since somebody set this to 0 [s].
    """

    def __init__(self, port: Port, tables: Mapping[int, Table], baud: int) -> None:
        """Ask the servos ``tables`` names through ``port``."""
        self.port, self.tables, self.baud = port, tables, baud
        self.latency, self.hesitation, self.fast = UNKNOWN_LATENCY, 0.0005, False
        self.usual = UNKNOWN_LATENCY
        self.counts = Counts()
        self.spoke_at, self.silence = port.now(), 0.0
        self._turn = 0
        self._doubtful = False
        self._silent: dict[int, int] = {}
        self._asked: list[Question] = []

    # -- one servo

    def ping(self, motor: int) -> tuple[int, int] | None:
        """Return model number and firmware version of ``motor``, or None where nothing answers."""
        try:
            data = self._ask(motor, Instruction.PING, b"", 3)
        except NoAnswerError:
            return None
        number, version = struct.unpack("<HB", data)
        return number, version

    def get(self, motor: int, name: str, signed: bool = False, tries: int = TRIES) -> int:
        """Return the register ``name`` of ``motor``, asked for ``tries`` times at most.

        Raises:
            NoAnswerError: it does not answer.
            RefusedError: it will not tell.
        """
        item = self.tables[motor][name]
        parameters = struct.pack("<HH", item.address, item.size)
        data = self._ask(motor, Instruction.READ, parameters, item.size, tries)
        return int.from_bytes(data, "little", signed=signed)

    def put(self, motor: int, name: str, value: int) -> None:
        """Set the register ``name`` of ``motor``; returns when the servo has confirmed it.

        Raises:
            NoAnswerError: it does not answer.
            RefusedError: it will not take the value.
        """
        item = self.tables[motor][name]
        raw = (value & ((1 << (8 * item.size)) - 1)).to_bytes(item.size, "little")
        try:
            self._ask(motor, Instruction.WRITE, struct.pack("<H", item.address) + raw, 0)
        except RefusedError as error:
            raise RefusedError(motor, error.error, f"{name} = {value}") from None

    def reboot(self, motor: int) -> None:
        """Let ``motor`` start anew; it is deaf for some tenths of a second."""
        self._ask(motor, Instruction.REBOOT, b"", 0)

    def _ask(
        self,
        motor: int,
        instruction: Instruction,
        parameters: bytes,
        size: int,
        tries: int = TRIES,
    ) -> bytes:
        """Return the ``size`` bytes with which ``motor`` answers."""
        packet = frame(motor, instruction, parameters)
        self._settle()
        for attempt in range(tries):
            self.counts.repeats += attempt > 0
            deadline = self._send(packet, 11 + size, 1)
            deadline += (2**attempt - 1) * (deadline - self.spoke_at)
            scanner = Scanner()
            self._doubtful = attempt > 0
            while data := self.port.receive(deadline):
                for answer in scanner.feed(data):
                    if self._fits(answer, motor, size):
                        if number := answer.error & 0x7F:
                            raise RefusedError(motor, number, instruction.name.lower())
                        return answer.data
        self._doubtful = True
        raise NoAnswerError(motor)

    def _settle(self) -> None:
        """Let answers to a question that was repeated come in before another one is asked."""
        if self._doubtful:
            while self.port.receive(self.port.now() + SLOWEST):
                self.counts.late += 1
            self._doubtful = False

    def _fits(self, packet: Packet, motor: int, size: int) -> bool:
        """Tell whether ``packet`` is an intact status of ``motor`` of the right size."""
        if not packet.intact or packet.instruction != Instruction.STATUS or not packet.parameters:
            self.counts.broken += 1
            return False
        if packet.motor != motor or (packet.error & 0x7F == 0 and len(packet.data) != size):
            self.counts.late += 1
            return False
        return True

    # -- many servos

    def put_many(self, name: str, values: Mapping[int, int]) -> None:
        """Set the register ``name`` of several servos at once; nobody confirms."""
        item = self._common(values, name)
        body = struct.pack("<HH", item.address, item.size)
        for motor, value in values.items():
            raw = (value & ((1 << (8 * item.size)) - 1)).to_bytes(item.size, "little")
            body += bytes([motor]) + raw
        self._send(frame(BROADCAST, Instruction.SYNC_WRITE, body), 0, 0)

    def get_many(
        self, motors: Sequence[int], first: str, last: str, budget: float
    ) -> dict[int, Reading]:
        """Return the registers from ``first`` to ``last`` of those servos that answered in time.

        Args:
            motors: ids.
            first: first register (``load`` stands for the servo's current or load).
            last: last register.
            budget: time in which what is missing is asked for again [s].

        Raises:
            PortLostError: the port is gone.
        """
        end = self.port.now() + budget
        found = dict[int, Reading]()
        self._asked = []
        # A servo waits for the one named before it: those that were silent last are named last.
        missing = sorted(motors, key=lambda motor: self._silent.get(motor, 0))
        while missing:
            span = self._tagged(missing, first, last)
            question = Question(tuple(missing), span, self.port.now())
            found = self._ask_many(question, end if found else None) | found
            self._asked.append(question)
            missing = self._left(missing, found)
            if missing and self.port.now() + self._patience(30, 30, 1) > end:
                break
            self.counts.repeats += bool(missing)
        self.counts.reads += 1
        return found

    def _left(self, asked: Sequence[int], found: Mapping[int, Reading]) -> list[int]:
        """Return who has not answered yet, the first of them last: the others waited for it."""
        left = [motor for motor in asked if motor not in found]
        for motor in asked:
            self._silent[motor] = self._silent.get(motor, 0) + 1 if motor in left[:1] else 0
        return left[1:] + left[:1]

    def _tagged(self, motors: Sequence[int], first: str, last: str) -> Span:
        """Return the span to read now: it begins at another register than those before."""
        item = self._common(motors, first)
        end = self._common(motors, last).end
        starts = [item.address]
        if first == "load":
            starts += [self._common(motors, name).address for name in TAGS]
        self._turn += 1
        start = starts[self._turn % len(starts)]
        return Span(start, end - start, item.address - start)

    def _ask_many(self, question: Question, end: float | None) -> dict[int, Reading]:
        """Ask once, and return what came in time and intact."""
        motors, span = question.motors, question.span
        code = Instruction.FAST_SYNC_READ if self.fast else Instruction.SYNC_READ
        packet = frame(
            BROADCAST, code, struct.pack("<HH", span.address, span.length) + bytes(motors)
        )
        size = question.size if self.fast else len(motors) * (11 + span.length)
        deadline = self._send(packet, size, 1 if self.fast else len(motors))
        if end is not None:
            deadline = min(deadline, end)
        return (self._fast if self.fast else self._plain)(question, deadline)

    def _fast(self, question: Question, deadline: float) -> dict[int, Reading]:
        """Collect the one packet of a fast read, and those that come late of the same reading."""
        received, size = b"", question.size
        while len(received) < size and (data := self.port.receive(deadline)):
            received += data
            late = [one for one in self._asked if fast_head(one.size) in received]
            size = question.size + sum(one.size for one in late)
        found: dict[int, Reading] = {}
        for one in self._asked:  # as old as its question: better than none
            found |= one.readings(fast_blocks(received, one.wanted))
        blocks = fast_blocks(received, question.wanted)
        came_late = bool(found) or (not blocks and _another(received, question.size))
        self._learn(len(blocks) == len(question.motors), came_late)
        return found | question.readings(blocks)

    def _plain(self, question: Question, deadline: float) -> dict[int, Reading]:
        """Collect the status packets of a plain read, one a servo."""
        motors, length = question.motors, question.span.length
        scanner, blocks, late = Scanner(), dict[int, Block](), False
        while len(blocks) < len(motors) and (data := self.port.receive(deadline)):
            for packet in scanner.feed(data):
                if packet.motor in motors and self._fits(packet, packet.motor, length):
                    blocks[packet.motor] = Block(packet.motor, packet.error, packet.data)
                else:
                    late = late or packet.intact
        self._learn(len(blocks) == len(motors), late)
        return question.readings(blocks.values())

    def _learn(self, complete: bool, late: bool) -> None:
        """Wait longer after an answer that came late; less again while all is well."""
        if late:
            self.counts.late += 1
            self.latency = min(SLOWEST, 1.5 * self.latency + 0.001)
        elif complete:
            self.latency += 0.1 * (self.usual - self.latency)

    # -- the wire

    def _send(self, packet: bytes, size: int, servos: int) -> float:
        """Send ``packet``; return until when an answer of ``size`` bytes is waited for."""
        self.port.send(packet)
        before, self.spoke_at = self.spoke_at, self.port.now()
        self.silence = max(self.silence, self.spoke_at - before)
        return self.spoke_at + self._patience(len(packet), size, servos)

    def _patience(self, sent: int, size: int, servos: int) -> float:
        """Return how long an answer may take [s]."""
        wire = (sent + size) * BITS / self.baud
        return wire + servos * self.hesitation + 1.5 * self.latency + MARGIN

    def _common(self, motors: Sequence[int] | Mapping[int, int], name: str) -> Item:
        """Return where ``name`` stands in every one of ``motors``."""
        items = {self.tables[m][self.tables[m].load if name == "load" else name] for m in motors}
        if len(items) != 1:
            raise ValueError(f"{name} must stand at one place in all servos of a bus, got {items}")
        return items.pop()


def _another(received: bytes, size: int) -> bool:
    """Tell whether this is the fast answer to another question than one for ``size`` bytes."""
    start = received.find(HEADER + bytes([BROADCAST]))
    length = received[start + 5 : start + 7]
    return start >= 0 and len(length) == 2 and struct.unpack("<H", length)[0] != size - PREFIX
