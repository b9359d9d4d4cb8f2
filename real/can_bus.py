"""A CAN-FD bus: the only file that knows python-can."""

from typing import TYPE_CHECKING, Any, NamedTuple

from envs.errors import UsageError
from real.machine import MachineError

if TYPE_CHECKING:
    import can

MULTICAST = "239.74.163.2"
"""Address at which an emulated bus meets its clients, python-can's own for IPv4."""

INSTALL = "pip install 'armtrials[damiao]'"


class Frame(NamedTuple):
    """A frame with a standard id; ``fd``: in the format of CAN-FD, its data at the higher rate."""

    id: int
    data: bytes
    fd: bool = True


class CanBus:
    """A bus that is open."""

    def __init__(self, interface: str, channel: str) -> None:
        """Open a bus through python-can.

        A ``socketcan`` channel is set up by the system (``ip link``, docs/hardware-openarm.md).

        Raises:
            UsageError: python-can is missing, the interface is unknown, or it does not open.
        """
        try:
            import can
        except ImportError as error:
            raise UsageError(f"python-can is missing: {INSTALL}") from error
        if interface not in can.VALID_INTERFACES:
            known = ", ".join(sorted(can.VALID_INTERFACES))
            raise UsageError(f"unknown CAN interface {interface!r}; known: {known}")
        settings: dict[str, Any] = {"fd": True}
        if interface == "virtual":
            settings = {"protocol": can.CanProtocol.CAN_FD}
        self._can = can
        self._bus: can.BusABC | None
        try:
            self._bus = can.Bus(channel=channel, interface=interface, **settings)
        except (can.CanError, OSError, ImportError) as error:
            raise UsageError(f"CAN bus {channel!r} ({interface}) does not open: {error}") from error

    def send(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            MachineError: the bus is closed, full or off.
        """
        message = self._can.Message(
            arbitration_id=frame.id,
            data=frame.data,
            is_extended_id=False,
            is_fd=frame.fd,
            bitrate_switch=frame.fd,
        )
        try:
            self._open().send(message)
        except (self._can.CanError, OSError) as error:
            raise MachineError(f"the CAN bus does not send: {error}") from error

    def receive(self, wait_s: float) -> Frame | None:
        """Return the next frame, None if there is none within ``wait_s`` [s].

        Raises:
            MachineError: the bus is closed or off.
        """
        try:
            message = self._open().recv(max(wait_s, 0.0))
        except (self._can.CanError, OSError) as error:
            raise MachineError(f"the CAN bus does not receive: {error}") from error
        if message is None or message.is_extended_id or message.is_error_frame:
            return None
        return Frame(message.arbitration_id, bytes(message.data), message.is_fd)

    def _open(self) -> "can.BusABC":
        if self._bus is None:
            raise MachineError("the CAN bus is closed")
        return self._bus

    def close(self) -> None:
        """Close the bus; twice does no harm."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()
