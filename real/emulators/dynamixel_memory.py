"""The memory of an emulated servo: registers by name, and what may be written to them."""

from collections.abc import Mapping

from real.dynamixel_packet import Error
from real.dynamixel_tables import Table
from real.emulators.dynamixel_registers import (
    GOALS,
    LIMITED_BY,
    MODES,
    RANGES,
    READ_ONLY,
    SIGNED,
)

SIZE = 1024
WATCHDOG_ERROR = -1
"""Value of Bus Watchdog after it stopped the servo; goals are refused meanwhile."""


class Memory:
    """A control table's bytes.

    Attributes:
        table: where the registers stand.
        data: the bytes.
    """

    def __init__(self, table: Table) -> None:
        """Fill it with zeros."""
        self.table, self.data = table, bytearray(SIZE)
        self.starts = {item.address: name for name, item in table.items.items()}
        self.ram = table["Torque Enable"].address
        """First address of what does not survive a reboot."""

    def get(self, name: str) -> int:
        """Return the value of the register ``name``."""
        item = self.table[name]
        raw = self.data[item.address : item.end]
        return int.from_bytes(raw, "little", signed=name in SIGNED)

    def put(self, name: str, value: int) -> None:
        """Set the register ``name``, whoever may write it."""
        item = self.table[name]
        value &= (1 << (8 * item.size)) - 1
        self.data[item.address : item.end] = value.to_bytes(item.size, "little")

    def fill(self, *settings: Mapping[str, int], ram: bool = True) -> None:
        """Set all registers named that the model has; without ``ram`` only those that stay."""
        for registers in settings:
            for name, value in registers.items():
                if name in self.table and (ram or self.table[name].address < self.ram):
                    self.put(name, value)

    def read(self, address: int, length: int) -> tuple[Error, bytes]:
        """Return ``length`` bytes from ``address`` on."""
        if address + length > SIZE:
            return Error.ACCESS, b""
        return Error.NONE, bytes(self.data[address : address + length])

    def check(self, address: int, data: bytes, shut_down: bool) -> tuple[Error, dict[str, int]]:
        """Return what writing ``data`` from ``address`` on would set, or why it is refused.

        Args:
            address: of the first byte.
            data: what is to be written; several registers may follow one another.
            shut_down: whether the servo refuses torque until it is rebooted.
        """
        values: dict[str, int] = {}
        at = 0
        while at < len(data):
            name = self.starts.get(address + at)
            if name is None:
                return Error.ACCESS, {}
            raw = data[at : at + self.table[name].size]
            if len(raw) < self.table[name].size:
                return Error.LENGTH, {}
            values[name] = int.from_bytes(raw, "little", signed=name in SIGNED)
            at += len(raw)
        for name, value in values.items():
            error = self._forbidden(name, value, shut_down) or self._outside(name, value)
            if error:
                return error, {}
        return Error.NONE, values

    def _forbidden(self, name: str, value: int, shut_down: bool) -> Error:
        """Return why ``name`` may not be written at all now, or ``Error.NONE``."""
        setting = self.table[name].address < self.ram
        if name in READ_ONLY or (setting and self.get("Torque Enable")):
            return Error.ACCESS
        if name in GOALS and self.get("Bus Watchdog") == WATCHDOG_ERROR:
            return Error.RANGE
        refused = name == "Torque Enable" and value and shut_down
        return Error.RESULT if refused else Error.NONE

    def _outside(self, name: str, value: int) -> Error:
        """Return why ``name`` does not take ``value``, or ``Error.NONE``."""
        low, high = RANGES.get(name, (-(1 << 31), 1 << 32))
        if not low <= value <= high or (name == "Operating Mode" and value not in MODES):
            return Error.RANGE
        if name in LIMITED_BY and abs(value) > self.get(LIMITED_BY[name]):
            return Error.LIMIT
        if name == "Goal Position" and self.get("Operating Mode") == 3:
            within = self.get("Min Position Limit") <= value <= self.get("Max Position Limit")
            return Error.NONE if within else Error.LIMIT
        return Error.NONE
