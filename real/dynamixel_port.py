"""The serial port to Dynamixel servos: opened by one program only, waited for without spinning."""

import contextlib
import errno
import fcntl
import os
import select
import termios
import time
from typing import Protocol

from envs.errors import UsageError
from real.dynamixel_tables import INSTALL

CHUNK = 4096


class PortLostError(ConnectionError):
    """The port is gone: the adapter was unplugged, or the device behind it ended."""


class Port(Protocol):
    """A line to the servos, with the clock by which it waits."""

    def now(self) -> float:
        """Return the time [s]; it never goes back."""

    def send(self, data: bytes) -> None:
        """Drop what was received and not fetched, then send ``data``."""

    def receive(self, deadline: float) -> bytes:
        """Return what has come in, waiting for it until ``deadline``; empty when nothing came.

        Raises:
            PortLostError: nothing will ever come.
        """

    def close(self) -> None:
        """Let others have the port."""


class SerialPort:
    """A serial port of this machine."""

    def __init__(self, path: str, baud: int) -> None:
        """Open ``path`` at ``baud`` bits a second, and keep every other program out.

        Raises:
            UsageError: it cannot be opened; says why and what helps.
        """
        try:
            import serial
        except ImportError:
            raise UsageError(f"serial ports need pyserial: {INSTALL}") from None
        try:
            self._serial = serial.Serial(path, baud, timeout=0, exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise UsageError(f"{path}: {_why(path, error)}") from error
        self.path, self.baud = path, baud
        self._handle: int = self._serial.fileno()
        fcntl.ioctl(self._handle, termios.TIOCEXCL)  # programs that ignore locks fail to open it

    def now(self) -> float:
        """Return the monotonic clock [s]."""
        return time.monotonic()

    def send(self, data: bytes) -> None:
        """Drop what was received and not fetched, then send ``data``."""
        try:
            termios.tcflush(self._handle, termios.TCIFLUSH)
            while data:
                data = data[os.write(self._handle, data) :]
        except (OSError, termios.error) as error:
            raise PortLostError(f"{self.path} is gone ({error.args[-1]})") from error

    def receive(self, deadline: float) -> bytes:
        """Return what has come in, waiting for it until ``deadline``."""
        try:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._handle], [], [], left)[0]:
                return b""
            data = os.read(self._handle, CHUNK)
        except OSError as error:
            raise PortLostError(f"{self.path} is gone ({error.args[-1]})") from error
        if not data:
            raise PortLostError(f"{self.path} is gone (end of file)")
        return data

    def close(self) -> None:
        """Let others have the port."""
        with contextlib.suppress(OSError):  # unplugged meanwhile
            fcntl.ioctl(self._handle, termios.TIOCNXCL)
        self._serial.close()


def _why(path: str, error: Exception) -> str:
    """Say why a port could not be opened."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return "there is no such port; is the adapter plugged in? (ls /dev/serial/by-id)"
    if number == errno.EACCES:
        return (
            "no permission; add yourself to its group (sudo usermod -aG dialout $USER), log in anew"
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return f"another program has it open (fuser {path})"
    return str(error)
