"""The serial line to a chain of emulated servos: a pseudo-terminal."""

import contextlib
import errno
import os
import pty
import select
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path

from real.emulators.dynamixel_chain import Chain
from real.emulators.dynamixel_faults import Fault
from real.emulators.dynamixel_registers import BAUDS
from real.emulators.dynamixel_wire import Timing, Wire

IDLE = 0.003
"""Longest time in which the servos are not looked after [s].

What was left undone so long is done before the next question is answered: with a simulated arm
behind the servos 10 ms of it take 2.5 ms, and answers came too late.
"""

_SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (*BAUDS.values(), 1200, 2400, 4800, 19200, 38400, 230400, 460800, 500000)
    if hasattr(termios, f"B{baud}")
}


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
        os.set_blocking(self.master, False)  # a host may come or go between select and read
        self.port = os.ttyname(slave)
        os.close(slave)  # an exclusive lock of the host ends when the host closes
        self.wire = Wire(self.chain, self.timing)
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
        wait = min(IDLE, max(0.0, self.wire.next_at - now))
        watched = [*self.watched] + ([] if self.master is None else [self.master])
        ready = select.select(watched, [], [], wait)[0]
        heard, data = time.monotonic(), b""
        if self.master in ready:
            data = self._receive()
        self.chain.advance(heard)
        for handle in ready:
            if handle in self.watched:
                self.watched[handle]()
        if data and self.master is not None:
            self.chain.baud = _SPEEDS.get(termios.tcgetattr(self.master)[4])
            self.wire.take(data, heard)  # what we take to answer is not the wire's time
        self._deliver()

    def _receive(self) -> bytes:
        """Return what the host sent."""
        if self.master is None:
            return b""
        try:
            return os.read(self.master, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            time.sleep(IDLE)  # nobody has the port open
            return b""

    def _deliver(self) -> None:
        """Send what is due."""
        for data in self.wire.due(time.monotonic()):
            if self.master is not None:
                with contextlib.suppress(BlockingIOError):  # nobody reads: it is lost
                    os.write(self.master, data)
