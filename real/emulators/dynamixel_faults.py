"""What can go wrong on an emulated bus, injected while it runs.

A fault is written ``name``, ``name=value``, ``name@id`` or ``name=value@id``; without an id it is
of every motor (``unplug``: of the USB adapter).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from real.emulators.faults import Kind, parse_fault

KINDS: Mapping[str, Kind] = {
    "loss": Kind("share of answers that get lost", 0.01),
    "crc": Kind("share of answers with a wrong byte", 0.01),
    "truncation": Kind("share of answers that are cut short", 0.01),
    "deaf": Kind("share of instructions a motor does not hear", 0.01),
    "delay": Kind("answers come this much later [s]", 0.005, 10.0),
    "silence": Kind("the motor works but does not answer"),
    "overload": Kind("the motor reports an overload and shuts down"),
    "over_temperature": Kind("the motor is hotter than its limit"),
    "undervoltage": Kind("the supply is below the motor's limit"),
    "unplug": Kind("the cable before the motor is out; without an id, the USB adapter's"),
}


@dataclass(frozen=True)
class Fault:
    """A fault of one motor, or with ``motor`` None of all."""

    name: str
    value: float = 1.0
    motor: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read ``name[=value][@id]``.

        Raises:
            UsageError: it cannot be read; lists the known faults.
        """
        name, value, motor = parse_fault(text, KINDS, "id", r"\d+")
        return cls(name, value, None if motor is None else int(motor))


class Faults:
    """The faults in force on a bus."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Let nothing be wrong; rates are drawn from ``rng``."""
        self._rng = rng
        self._values: dict[tuple[str, int | None], float] = {}

    def inject(self, fault: Fault) -> None:
        """Let ``fault`` begin."""
        self._values[fault.name, fault.motor] = fault.value

    def clear(self, name: str | None = None, motor: int | None = None) -> None:
        """End all faults, those called ``name``, or that of one motor."""
        for key in [*self._values]:
            if name in (None, key[0]) and motor in (None, key[1]):
                del self._values[key]

    def value(self, name: str, motor: int) -> float:
        """Return the value of a fault for ``motor``; 0 where there is none."""
        return max(self._values.get((name, motor), 0.0), self._values.get((name, None), 0.0))

    def adapter(self) -> bool:
        """Tell whether the USB adapter is unplugged."""
        return ("unplug", None) in self._values

    def cables(self) -> list[int]:
        """Return the motors whose cable is out."""
        return [motor for name, motor in self._values if name == "unplug" and motor is not None]

    def strikes(self, name: str, motor: int) -> bool:
        """Draw whether a fault that is a rate happens to ``motor`` now."""
        rate = self.value(name, motor)
        return rate > 0 and self._rng.random() < rate

    def spoil(self, packet: bytes) -> bytes:
        """Return ``packet`` with one byte changed."""
        at = int(self._rng.integers(len(packet)))
        wrong = bytearray(packet)
        wrong[at] ^= int(self._rng.integers(1, 256))
        return bytes(wrong)

    def cut(self, packet: bytes) -> bytes:
        """Return the beginning of ``packet``."""
        return packet[: int(self._rng.integers(len(packet)))]
