"""Dynamixel protocol 2.0 on the wire: framing, stuffing, CRC, a parser that survives noise.

Source of the format: ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0". A packet is

``FF FF FD 00 | id | length (2) | instruction | parameters | CRC-16 (2)``

with little-endian numbers; ``length`` counts everything after itself. Where the body holds
``FF FF FD``, an ``FD`` is stuffed in behind it, so that the header appears nowhere else.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

HEADER = b"\xff\xff\xfd\x00"
PREFIX = 7
"""Bytes before the instruction: header, id, length."""

BROADCAST = 0xFE
MAX_ID = 252
NO_SHADOW = 255
ALERT = 0x80
"""Bit of a status packet's error byte: the motor's Hardware Error Status is not zero."""

LONGEST = 1024
"""Longest ``length`` that is believed; a larger one is noise [bytes]."""

_MARK, _STUFFED = b"\xff\xff\xfd", b"\xff\xff\xfd\xfd"


class Instruction(IntEnum):
    """What a packet asks for; ``STATUS`` is the answer."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    FACTORY_RESET = 0x06
    REBOOT = 0x08
    CLEAR = 0x10
    STATUS = 0x55
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93
    FAST_BULK_READ = 0x9A


class Error(IntEnum):
    """Error numbers of a status packet: why an instruction was refused."""

    NONE = 0
    RESULT = 1
    INSTRUCTION = 2
    CRC = 3
    RANGE = 4
    LENGTH = 5
    LIMIT = 6
    ACCESS = 7


class HardwareError(IntEnum):
    """Bits of the register Hardware Error Status."""

    INPUT_VOLTAGE = 0x01
    OVERHEATING = 0x04
    ENCODER = 0x08
    ELECTRICAL_SHOCK = 0x10
    OVERLOAD = 0x20


def hardware_errors(status: int) -> tuple[str, ...]:
    """Name the bits of Hardware Error Status, such as ``("overload",)``."""
    named = tuple(e.name.lower().replace("_", " ") for e in HardwareError if status & e)
    rest = status & ~sum(HardwareError)
    return (*named, f"unknown bits 0x{rest:02x}") if rest else named


def _crc_table() -> tuple[int, ...]:
    """Return the 256 remainders of the polynomial 0x8005, highest bit first."""
    table = []
    for value in range(256):
        rest = value << 8
        for _ in range(8):
            rest = (rest << 1) ^ 0x8005 if rest & 0x8000 else rest << 1
        table.append(rest & 0xFFFF)
    return tuple(table)


_TABLE = _crc_table()


def crc16(data: bytes, start: int = 0) -> int:
    """Return the CRC-16 of ``data`` (polynomial 0x8005), continued from ``start``."""
    table = _TABLE
    crc = start
    for byte in data:
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ byte]
    return crc


def stuff(body: bytes) -> bytes:
    """Make a body (instruction and parameters) free of the header's pattern."""
    return body.replace(_MARK, _STUFFED)


def unstuff(body: bytes) -> bytes:
    """Undo ``stuff``."""
    return body.replace(_STUFFED, _MARK)


def frame(motor: int, instruction: int, parameters: bytes = b"") -> bytes:
    """Return the packet that carries ``instruction`` to ``motor`` (or a status from it)."""
    body = stuff(bytes([instruction]) + parameters)
    packet = HEADER + struct.pack("<BH", motor, len(body) + 2) + body
    return packet + struct.pack("<H", crc16(packet))


def status(motor: int, error: int, parameters: bytes = b"") -> bytes:
    """Return the status packet of ``motor``: its error byte and what was asked for."""
    return frame(motor, Instruction.STATUS, bytes([error]) + parameters)


@dataclass(frozen=True)
class Packet:
    """A received packet.

    Attributes:
        motor: the id it is for, or from.
        instruction: what it asks for; ``Instruction.STATUS`` for an answer.
        parameters: unstuffed; of a status the error byte first.
        intact: whether the CRC was right. Only the id of a broken one can be guessed.
        size: bytes on the wire.
    """

    motor: int
    instruction: int
    parameters: bytes
    intact: bool
    size: int

    @property
    def error(self) -> int:
        """The error byte of a status packet, with the alert bit."""
        return self.parameters[0]

    @property
    def data(self) -> bytes:
        """What a status packet carries behind the error byte."""
        return self.parameters[1:]


class Scanner:
    """Cuts a stream of bytes into packets and finds its feet again after noise.

    Broken packets are reported once; the search continues behind their header, so a packet
    that was cut short does not swallow the next one.
    """

    def __init__(self) -> None:
        """Start with nothing received."""
        self.buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Take ``data`` and yield every packet that is complete."""
        self.buffer += data
        while (packet := self._next()) is not None:
            yield packet

    def _next(self) -> Packet | None:
        """Cut the first packet off the buffer, or return None when more bytes are needed."""
        buffer = self.buffer
        while True:
            start = buffer.find(HEADER)
            if start < 0:
                del buffer[: max(0, len(buffer) - len(HEADER) + 1)]
                return None
            del buffer[:start]
            if len(buffer) < PREFIX:
                return None
            motor, length = struct.unpack_from("<BH", buffer, len(HEADER))
            if 3 <= length <= LONGEST:
                break
            del buffer[:3]  # no packet has this length: not a header
        size = PREFIX + length
        if len(buffer) < size:
            return None
        raw = bytes(buffer[:size])
        intact = crc16(raw[:-2]) == int.from_bytes(raw[-2:], "little")
        del buffer[: size if intact else 3]
        body = unstuff(raw[PREFIX:-2])
        return Packet(motor, body[0], body[1:], intact, size)


@dataclass(frozen=True)
class Block:
    """One motor's part of an answer to a sync or bulk read."""

    motor: int
    error: int
    data: bytes


def fast_status(blocks: Sequence[Block]) -> bytes:
    """Return the one status packet with which all motors answer a fast read.

    Each motor appends error, id, data and the CRC of all that precedes; nothing is stuffed,
    because the first motor has sent the length before the others know their data.
    """
    length = 1 + sum(4 + len(block.data) for block in blocks)
    packet = HEADER + struct.pack("<BHB", BROADCAST, length, Instruction.STATUS)
    for block in blocks:
        packet += bytes([block.error, block.motor]) + block.data
        packet += struct.pack("<H", crc16(packet))
    return packet


def fast_size(lengths: Sequence[int]) -> int:
    """Return the size of a fast answer in which motors send ``lengths`` bytes of data."""
    return PREFIX + 1 + sum(4 + length for length in lengths)


def fast_head(size: int) -> bytes:
    """Return how a fast answer of ``size`` bytes begins."""
    return HEADER + struct.pack("<BHB", BROADCAST, size - PREFIX, Instruction.STATUS)


def fast_blocks(received: bytes, wanted: Sequence[tuple[int, int]]) -> list[Block]:
    """Return the blocks of a fast answer that are certainly right, whatever comes behind them.

    Every CRC covers all bytes before it, so the good blocks are the first ones.

    Args:
        received: what came in; it may be cut short.
        wanted: (id, bytes of data) in the order in which they were asked for.
    """
    head = fast_head(fast_size([n for _, n in wanted]))
    start = received.find(head)
    found: list[Block] = []
    if start < 0:
        return found
    at, crc = start + len(head), crc16(head)
    for motor, length in wanted:
        end = at + 2 + length
        check = received[end : end + 2]
        crc = crc16(received[at:end], crc)
        if len(check) < 2 or crc != int.from_bytes(check, "little") or received[at + 1] != motor:
            break
        found.append(Block(motor, received[at], received[at + 2 : end]))
        crc = crc16(check, crc)
        at = end + 2
    return found
