"""The serial line to a chain of emulated servos: a pseudo-terminal, and how long bytes take."""

import errno
import os
import pty
import select
import termios
import time
import tty
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from real.dynamixel_packet import Instruction, Packet, Scanner
from real.emulators.dynamixel_chain import Chain
from real.emulators.dynamixel_faults import Fault
from real.emulators.dynamixel_registers import BAUDS

IDLE = 0.010
"""Longest time in which the servos are not looked after [s]."""

BITS = 10
"""Bits that a byte takes on the wire: start, eight, stop."""

_SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (*BAUDS.values(), 1200, 2400, 4800, 19200, 38400, 230400, 460800, 500000)
    if hasattr(termios, f"B{baud}")
}


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


class Line:
    """A pseudo-terminal with servos behind it. Whoever opens ``port`` is the host.

    Attributes:
        chain: the servos.
        port: what the host opens; another one after the adapter was unplugged.
    """

    def __init__(self, chain: Chain, timing: Timing, link: Path | None = None) -> None:
        """Make the pseudo-terminal, and a symbolic link ``link`` to it."""
        self.chain, self.timing, self.link = chain, timing, link
        self.stopped = False
        self.watched: dict[int, Callable[[], None]] = {}
        self.master: int | None = None
        self.port = ""
        self._plug_in()

    def close(self) -> None:
        """Take the pseudo-terminal away."""
        self._pull_out()
        if self.link is not None:
            self.link.unlink(missing_ok=True)

    def _plug_in(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        os.close(slave)  # an exclusive lock of the host ends when the host closes
        self.scanner = Scanner()
        self.outbox: deque[tuple[float, bytes]] = deque()
        self.free_at = 0.0
        if self.link is not None:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(self.port)

    def _pull_out(self) -> None:
        if self.master is not None:
            os.close(self.master)
            self.master = None

    def inject(self, fault: Fault) -> None:
        """Let a fault begin."""
        self.chain.inject(fault)
        if self.chain.faults.adapter():
            self._pull_out()

    def clear(self, name: str | None = None, motor: int | None = None) -> None:
        """End all faults, those called ``name``, or that of one motor."""
        self.chain.clear(name, motor)
        if self.master is None and not self.chain.faults.adapter():
            self._plug_in()

    def serve(self) -> None:
        """Run until ``stopped`` is set by something that is watched."""
        while not self.stopped:
            self.turn()

    def turn(self) -> None:
        """Wait for something to happen, at most ``IDLE``, and deal with it."""
        now = time.monotonic()
        wait = IDLE
        if self.outbox:
            wait = min(wait, max(0.0, self.outbox[0][0] - now))
        watched = [*self.watched] + ([] if self.master is None else [self.master])
        ready = select.select(watched, [], [], wait)[0]
        self.chain.advance(time.monotonic())
        for handle in ready:
            if handle in self.watched:
                self.watched[handle]()
        if self.master in ready:
            self._receive()
        self._deliver()

    def _receive(self) -> None:
        """Take in what the host sent."""
        if self.master is None:
            return
        try:
            data = os.read(self.master, 4096)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            time.sleep(IDLE)  # nobody has the port open
            return
        self.chain.baud = _SPEEDS.get(termios.tcgetattr(self.master)[4])
        for packet in self.scanner.feed(data):
            if packet.instruction != Instruction.STATUS:
                self._answer(packet)

    def _answer(self, packet: Packet) -> None:
        """Let the servos act on ``packet`` and queue what they send."""
        now = time.monotonic()
        answer = self.chain.handle(packet, now)
        start = max(now, self.free_at)
        baud = self.chain.baud or BAUDS[self.chain.servos[0].get("Baud Rate")]
        byte = BITS / baud if self.timing.wire else 0.0
        self.free_at = start + byte * (packet.size + len(answer.data)) + answer.delay
        if answer.data:
            self.outbox.append((self.free_at + self.timing.latency, answer.data))

    def _deliver(self) -> None:
        """Send what is due."""
        now = time.monotonic()
        while self.outbox and self.outbox[0][0] <= now:
            data = self.outbox.popleft()[1]
            if self.master is not None:
                os.write(self.master, data)
