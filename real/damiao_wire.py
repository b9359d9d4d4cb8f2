"""What Damiao motors say on the CAN bus: frames, registers and codes as bytes. No bus is needed.

Facts, not code, from the motors' manuals (DM-J4310-2EC, DM-J4340-2EC, DM-J8009P-2EC), the constants
of enactic/openarm_can, and the protocol notes of jia-xie/python-damiao-driver. A motor listens at
its ESC_ID and answers at its MST_ID; frames of the host to registers go to 0x7FF. A number x in
lo..hi travels as round((x - lo) / (hi - lo) * (2^bits - 1)).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

REGISTERS_AT = 0x7FF
"""CAN id to which reading, writing and refreshing are addressed."""

ENABLE, DISABLE, ZERO, CLEAR = 0xFC, 0xFD, 0xFE, 0xFB
"""Last byte of the commands to one motor, after seven bytes 0xFF."""

READ, WRITE, STORE, REFRESH = 0x33, 0x55, 0xAA, 0xCC
"""Third byte of what is sent to ``REGISTERS_AT``."""

DISABLED, ENABLED = 0x0, 0x1
FAULTS: Mapping[int, str] = {
    0x8: "overvoltage",
    0x9: "undervoltage",
    0xA: "overcurrent",
    0xB: "driver too hot",
    0xC: "winding too hot",
    0xD: "lost communication",
    0xE: "overload",
}
"""Status of a motor in the upper half of the first byte of its answer, where it is a fault."""

KP_MAX, KD_MAX = 500.0, 5.0
"""Ranges of stiffness [N m/rad] and damping [N m s/rad] of the MIT mode."""

MIT = 1
"""Control mode (register 10) in which position, velocity, gains and torque come in one frame."""

TIMEOUT_UNIT_S = 50e-6
"""Unit of the time-out register [s]."""

UV, OT, OC, MST_ID, ESC_ID, TIMEOUT, CTRL_MODE = 0, 2, 3, 7, 8, 9, 10
PMAX, VMAX, TMAX, OV, CAN_BR, XOUT = 21, 22, 23, 29, 35, 81
INTEGERS = frozenset((7, 8, 9, 10, 13, 14, 15, 16, 35, 36))
"""Registers that hold an unsigned integer; the others hold a float32."""


@dataclass(frozen=True)
class Ranges:
    """Half ranges of a motor's position [rad], velocity [rad/s] and torque [N m] on the wire."""

    position: float
    velocity: float
    torque: float

    def __post_init__(self) -> None:
        """Refuse empty ranges."""
        if not (self.position > 0 and self.velocity > 0 and self.torque > 0):
            raise ValueError(f"ranges must be positive, got {self}")


TYPES: Mapping[str, Ranges] = {
    "DM4310": Ranges(12.5, 30.0, 10.0),
    "DM4340": Ranges(12.5, 8.0, 28.0),
    "DM8009": Ranges(12.5, 45.0, 54.0),
}
"""Ranges as delivered. Sources disagree on the DM4340 (8 or 10 rad/s): ask the motor, registers
``PMAX``, ``VMAX`` and ``TMAX``."""


class Mit(NamedTuple):
    """A command of the MIT mode: torque = kp (q - position) + kd (dq - velocity) + tau."""

    q: float
    dq: float
    kp: float
    kd: float
    tau: float


class Feedback(NamedTuple):
    """A motor's answer: low half of its id, status, motion [rad, rad/s, N m], temperatures [C]."""

    motor: int
    status: int
    q: float
    dq: float
    tau: float
    driver: int
    winding: int


class Register(NamedTuple):
    """A register in an answer or in a request: the motor, what is done, which one, its value."""

    motor: int
    action: int
    register: int
    value: float


def encode(x: float, low: float, high: float, bits: int) -> int:
    """Return the unsigned integer for ``x``, clipped to low..high."""
    top = (1 << bits) - 1
    return round((min(max(x, low), high) - low) / (high - low) * top)


def decode(u: int, low: float, high: float, bits: int) -> float:
    """Return the number that an unsigned integer stands for."""
    return low + u * (high - low) / ((1 << bits) - 1)


def pack_mit(command: Mit, ranges: Ranges) -> bytes:
    """Return the 8 bytes of a command: 16 bits of position, 12 of each other number."""
    q = encode(command.q, -ranges.position, ranges.position, 16)
    dq = encode(command.dq, -ranges.velocity, ranges.velocity, 12)
    kp, kd = encode(command.kp, 0.0, KP_MAX, 12), encode(command.kd, 0.0, KD_MAX, 12)
    tau = encode(command.tau, -ranges.torque, ranges.torque, 12)
    return (q << 48 | dq << 36 | kp << 24 | kd << 12 | tau).to_bytes(8, "big")


def unpack_mit(data: bytes, ranges: Ranges) -> Mit:
    """Return the command in 8 bytes."""
    word = int.from_bytes(data, "big")
    return Mit(
        q=decode(word >> 48, -ranges.position, ranges.position, 16),
        dq=decode(word >> 36 & 0xFFF, -ranges.velocity, ranges.velocity, 12),
        kp=decode(word >> 24 & 0xFFF, 0.0, KP_MAX, 12),
        kd=decode(word >> 12 & 0xFFF, 0.0, KD_MAX, 12),
        tau=decode(word & 0xFFF, -ranges.torque, ranges.torque, 12),
    )


def pack_feedback(answer: Feedback, ranges: Ranges) -> bytes:
    """Return the 8 bytes of an answer."""
    q = encode(answer.q, -ranges.position, ranges.position, 16)
    dq = encode(answer.dq, -ranges.velocity, ranges.velocity, 12)
    tau = encode(answer.tau, -ranges.torque, ranges.torque, 12)
    first = (answer.motor & 0xF) | answer.status << 4
    heat = [min(max(value, 0), 255) for value in (answer.driver, answer.winding)]
    return bytes([first, *(q << 24 | dq << 12 | tau).to_bytes(5, "big"), *heat])


def unpack_feedback(data: bytes, ranges: Ranges) -> Feedback:
    """Return the answer in 8 bytes."""
    word = int.from_bytes(data[1:6], "big")
    return Feedback(
        motor=data[0] & 0xF,
        status=data[0] >> 4,
        q=decode(word >> 24, -ranges.position, ranges.position, 16),
        dq=decode(word >> 12 & 0xFFF, -ranges.velocity, ranges.velocity, 12),
        tau=decode(word & 0xFFF, -ranges.torque, ranges.torque, 12),
        driver=data[6],
        winding=data[7],
    )


def simple(command: int) -> bytes:
    """Return the 8 bytes of ``ENABLE``, ``DISABLE``, ``ZERO`` or ``CLEAR``."""
    return b"\xff" * 7 + bytes([command])


def simple_in(data: bytes) -> int | None:
    """Return the command in 8 bytes; None if they are none of the four."""
    known = data[:7] == b"\xff" * 7 and data[7] in (ENABLE, DISABLE, ZERO, CLEAR)
    return data[7] if known else None


def pack_register(request: Register) -> bytes:
    """Return the 8 bytes of a request or an answer about a register."""
    form = "<I" if request.register in INTEGERS else "<f"
    value = round(request.value) if request.register in INTEGERS else request.value
    head = struct.pack("<HBB", request.motor, request.action, request.register)
    return head + struct.pack(form, value)


def unpack_register(data: bytes) -> Register | None:
    """Return the request or answer in 8 bytes; None if it is none about a register."""
    motor, action, register = struct.unpack("<HBB", data[:4])
    if action not in (READ, WRITE, STORE, REFRESH):
        return None
    form = "<I" if register in INTEGERS else "<f"
    return Register(motor, action, register, float(struct.unpack(form, data[4:8])[0]))
