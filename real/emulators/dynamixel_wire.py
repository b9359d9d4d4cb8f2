"""How long bytes take between a host and emulated servos, and a host's port without real time."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from real.dynamixel_packet import Instruction, Packet, Scanner
from real.emulators.dynamixel_chain import Chain
from real.emulators.dynamixel_registers import BAUDS

BITS = 10
"""Bits that a byte takes on the wire: start, eight, stop."""


@dataclass(frozen=True)
class Timing:
    """How long an answer takes.

    Attributes:
        wire: whether bytes take their time at the baud rate (servos set to wait, wait either way).
        latency: what the USB adapter adds to an answer [s] (FTDI: 16 ms unless set to 1 ms).
    """

    wire: bool = True
    latency: float = 0.001


INSTANT = Timing(wire=False, latency=0.0)


class Wire:
    """Takes the host's bytes to the servos and keeps their answers until they are due."""

    def __init__(self, chain: Chain, timing: Timing) -> None:
        """Lay a wire to ``chain``."""
        self.chain, self.timing = chain, timing
        self._scanner = Scanner()
        self._outbox: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    @property
    def next_at(self) -> float:
        """When the next answer is due [s]; infinity when there is none."""
        return self._outbox[0][0] if self._outbox else float("inf")

    def take(self, data: bytes, now: float) -> None:
        """Let the servos act on what the host sent."""
        for packet in self._scanner.feed(data):
            if packet.instruction != Instruction.STATUS:
                self._act(packet, now)

    def due(self, now: float) -> Iterator[bytes]:
        """Yield the answers that have arrived by ``now``."""
        while self.next_at <= now:
            yield self._outbox.popleft()[1]

    def _act(self, packet: Packet, now: float) -> None:
        """Let the servos act on ``packet`` and queue what they send."""
        answer = self.chain.handle(packet, now)
        start = max(now, self._free_at)
        baud = self.chain.baud or BAUDS[self.chain.servos[0].get("Baud Rate")]
        byte = BITS / baud if self.timing.wire else 0.0
        self._free_at = start + byte * (packet.size + len(answer.data)) + answer.delay
        if answer.data:
            self._outbox.append((self._free_at + self.timing.latency, answer.data))


class VirtualPort:
    """A host's port straight to emulated servos, in one process, on a clock of its own.

    Time passes only while the host waits: the same questions get the same answers on every machine,
    however busy it is. It has the interface of ``real.dynamixel_port.Port``.
    """

    def __init__(self, chain: Chain, timing: Timing) -> None:
        """Connect to ``chain``; the clock starts at its time."""
        self.wire, self.chain, self.clock = Wire(chain, timing), chain, chain.now

    def now(self) -> float:
        """Return the time [s]."""
        return self.clock

    def pass_time(self, seconds: float) -> None:
        """Let time pass without talking."""
        self.clock += seconds
        self.chain.advance(self.clock)

    def send(self, data: bytes) -> None:
        """Drop what has come in, then send ``data``."""
        for _ in self.wire.due(self.clock):
            pass
        self.wire.take(data, self.clock)

    def receive(self, deadline: float) -> bytes:
        """Return the next answer, or nothing when none comes by ``deadline``."""
        if self.wire.next_at > deadline:
            self.clock = max(self.clock, deadline)
            self.chain.advance(self.clock)
            return b""
        self.clock = max(self.clock, self.wire.next_at)
        return next(self.wire.due(self.clock))

    def close(self) -> None:
        """Do nothing."""
