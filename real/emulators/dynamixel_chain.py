"""A chain of emulated servos: what they do with an instruction, and what comes back."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np

from real.dynamixel_arms import PER_RADIAN, Wiring
from real.dynamixel_models import model
from real.dynamixel_packet import (
    BROADCAST,
    Block,
    Error,
    HardwareError,
    Instruction,
    Packet,
    fast_status,
    status,
)
from real.emulators.dynamixel_faults import Fault, Faults
from real.emulators.dynamixel_plant import FirstOrderPlant, Plant, Shaft
from real.emulators.dynamixel_registers import BAUDS, FAST_FIRMWARE
from real.emulators.dynamixel_servo import Servo, Setup

STEP = 0.005
"""Longest time step of servos and plant [s]."""

SHORTEST = 0.0005
"""Time that is not worth a step [s]."""


@dataclass(frozen=True)
class Answer:
    """What motors send: the bytes, and what their hesitation adds to the time on the wire [s]."""

    data: bytes
    delay: float


def setups(wiring: Wiring, return_delay: int = 0) -> tuple[Setup, ...]:
    """Return the servos of an arm, set up as its maker ships it.

    Args:
        wiring: the arm.
        return_delay: Return Delay Time of the servos, units of 2 us (250 from the factory).
    """
    made = []
    for axis, joint in enumerate(wiring.motors):
        rest = joint.ticks(wiring.rest[axis]) if wiring.rest else joint.zero
        for number in joint.ids:
            settings = {
                "ID": number,
                "Baud Rate": 3,
                "Return Delay Time": return_delay,
                "Drive Mode": int(joint.reverse and number == joint.motor),
                "Operating Mode": joint.mode,
            }
            if number != joint.motor:
                settings["Secondary(Shadow) ID"] = joint.motor
            if wiring.limits and joint.name in wiring.limits:
                low, high = sorted(joint.ticks(angle) for angle in wiring.limits[joint.name])
                settings |= {"Min Position Limit": low, "Max Position Limit": high}
            mirrored = bool(settings["Drive Mode"])
            angle = (rest - 2048) / PER_RADIAN
            made.append(Setup(joint.model, settings, axis, mirrored, angle))
    return tuple(made)


def first_order(made: Sequence[Setup]) -> FirstOrderPlant:
    """Return the built-in mechanics for servos."""
    data = [(setup, model(setup.model)) for setup in made]
    return FirstOrderPlant(
        [
            Shaft(s.axis, s.mirrored, s.angle, m.free_rpm * 2 * pi / 60, m.stall_current)
            for s, m in data
        ]
    )


class Chain:
    """Servos on one bus, in the order of their cables, and the mechanics they move."""

    def __init__(
        self, made: Sequence[Setup], plant: Plant, rng: np.random.Generator, now: float
    ) -> None:
        """Switch the servos on at time ``now`` [s]; faults are drawn from ``rng``."""
        self.servos = [Servo(setup, now) for setup in made]
        self.plant, self.faults, self.now = plant, Faults(rng), now
        self.baud: int | None = None  # of the host; None: whatever the servos are set to
        self.instructions: Mapping[int, Callable[[Packet, list[Servo]], Answer]] = {
            Instruction.PING: self._ping,
            Instruction.READ: self._read,
            Instruction.WRITE: self._write,
            Instruction.REG_WRITE: self._write,
            Instruction.ACTION: self._action,
            Instruction.FACTORY_RESET: self._restart,
            Instruction.REBOOT: self._restart,
            Instruction.CLEAR: self._clear,
            Instruction.SYNC_READ: self._read_many,
            Instruction.FAST_SYNC_READ: self._read_many,
            Instruction.BULK_READ: self._read_many,
            Instruction.FAST_BULK_READ: self._read_many,
            Instruction.SYNC_WRITE: self._write_many,
            Instruction.BULK_WRITE: self._write_many,
        }

    # -- time and faults

    def advance(self, now: float) -> None:
        """Let time pass up to ``now`` [s], in steps that are short whoever was late."""
        while (left := now - self.now) > SHORTEST:
            dt = min(left, STEP)
            self.now += dt
            drives = [servo.plan(self.now, dt) for servo in self.servos]
            for servo, motion in zip(self.servos, self.plant.step(drives, dt), strict=True):
                servo.sense(motion, dt, self.now)

    def inject(self, fault: Fault) -> None:
        """Let a fault begin."""
        self.faults.inject(fault)
        self._feel()

    def clear(self, name: str | None = None, motor: int | None = None) -> None:
        """End all faults, those called ``name``, or that of one motor."""
        before = {servo.motor for servo in self.servos if not self.powered(servo)}
        self.faults.clear(name, motor)
        for servo in self.servos:
            if servo.motor in before and self.powered(servo):
                servo.reboot(self.now)
        self._feel()

    def _feel(self) -> None:
        """Let the servos feel the faults that are not of the wire."""
        for servo in self.servos:
            motor = servo.motor
            servo.forced = HardwareError.OVERLOAD if self.faults.value("overload", motor) else 0
            hot = self.faults.value("over_temperature", motor)
            servo.heated = servo.get("Temperature Limit") + 5.0 if hot else None
            low = self.faults.value("undervoltage", motor)
            servo.volts = servo.get("Min Voltage Limit") / 10 - 0.5 if low else servo.model.volts
            if hot:
                servo.temperature = float(servo.get("Temperature Limit") + 5)
            if not self.powered(servo):
                servo.put("Torque Enable", 0)
            servo.judge()

    def powered(self, servo: Servo) -> bool:
        """Tell whether no cable between the adapter and ``servo`` is out."""
        out = self.faults.cables()
        return not any(s.motor in out for s in self.servos[: self.servos.index(servo) + 1])

    # -- instructions

    def handle(self, packet: Packet, now: float) -> Answer:
        """Let the servos do what ``packet`` asks; return what they send."""
        self.advance(now)
        hearing = self._hearing(packet.motor)
        if not packet.intact:
            return self._refuse(packet, hearing, Error.CRC)
        for servo in hearing:
            servo.heard(self.now)
        handler = self.instructions.get(packet.instruction)
        if handler is None:
            return self._refuse(packet, hearing, Error.INSTRUCTION)
        try:
            return handler(packet, hearing)
        except (struct.error, IndexError):  # parameters that are too short
            return self._refuse(packet, hearing, Error.INSTRUCTION)

    def _hearing(self, motor: int) -> list[Servo]:
        """Return the servos that act on a packet for ``motor``."""
        return [
            servo
            for servo in self.servos
            if (motor in (BROADCAST, servo.motor) or motor == servo.shadow)
            and self.now >= servo.deaf_until
            and self.baud in (None, BAUDS.get(servo.get("Baud Rate")))
            and self.powered(servo)
            and not self.faults.strikes("deaf", servo.motor)
        ]

    def _refuse(self, packet: Packet, hearing: list[Servo], error: Error) -> Answer:
        return self._answers([(s, error, b"") for s in hearing if s.motor == packet.motor])

    def _answers(self, said: Iterable[tuple[Servo, int, bytes]], chained: bool = False) -> Answer:
        """Return status packets, spoiled by the faults in force.

        Args:
            said: servo, error number and data of each.
            chained: each waits for the one before it: a missing answer silences the rest.
        """
        data, delay = b"", 0.0
        for servo, error, content in said:
            packet, waits = self._spoiled(
                servo.motor, status(servo.motor, error | servo.alert, content)
            )
            delay += 2e-6 * servo.get("Return Delay Time") + self.faults.value("delay", servo.motor)
            data += packet
            if chained and waits:
                break
        return Answer(data, delay)

    def _spoiled(self, motor: int, packet: bytes) -> tuple[bytes, bool]:
        """Return what arrives of a motor's answer, and whether the next motor waits in vain."""
        faults = self.faults
        if faults.value("silence", motor) or faults.strikes("loss", motor):
            return b"", True
        if faults.strikes("truncation", motor):
            return faults.cut(packet), True
        return (faults.spoil(packet) if faults.strikes("crc", motor) else packet), False

    def _ping(self, packet: Packet, hearing: list[Servo]) -> Answer:
        asked = [s for s in hearing if packet.motor in (BROADCAST, s.motor)]
        asked.sort(key=lambda servo: servo.motor)
        content = [
            struct.pack("<HB", servo.table.number, servo.get("Firmware Version")) for servo in asked
        ]
        return self._answers([(s, Error.NONE, c) for s, c in zip(asked, content, strict=True)])

    def _read(self, packet: Packet, hearing: list[Servo]) -> Answer:
        address, length = struct.unpack("<HH", packet.parameters[:4])
        said = [
            (servo, *servo.read(address, length))
            for servo in hearing
            if servo.motor == packet.motor and servo.get("Status Return Level") >= 1
        ]
        return self._answers(said)

    def _write(self, packet: Packet, hearing: list[Servo]) -> Answer:
        address, data = struct.unpack("<H", packet.parameters[:2])[0], packet.parameters[2:]
        said = []
        for servo in hearing:
            known, level = servo.motor, servo.get("Status Return Level")
            if packet.instruction == Instruction.REG_WRITE:
                servo.registered = (address, data)
                servo.put("Registered Instruction", 1)
                error = Error.NONE
            else:
                error = servo.write(address, data, self.now)
            if known == packet.motor and level >= 2:
                said.append((servo, error, b""))
        return self._answers(said)

    def _action(self, packet: Packet, hearing: list[Servo]) -> Answer:
        said = []
        for servo in hearing:
            error = Error.INSTRUCTION
            if servo.registered is not None:
                error = servo.write(*servo.registered, self.now)
                servo.registered = None
                servo.put("Registered Instruction", 0)
            if servo.motor == packet.motor and servo.get("Status Return Level") >= 2:
                said.append((servo, error, b""))
        return self._answers(said)

    def _restart(self, packet: Packet, hearing: list[Servo]) -> Answer:
        """Reboot or factory reset: the servo answers, then starts anew."""
        asked = [
            s for s in hearing if s.motor == packet.motor and s.get("Status Return Level") >= 2
        ]
        answer = self._answers([(servo, Error.NONE, b"") for servo in asked])
        for servo in hearing:
            if packet.instruction == Instruction.REBOOT:
                servo.reboot(self.now)
            elif packet.motor != BROADCAST or packet.parameters[0] != 0xFF:  # ignored since v42
                servo.factory_reset(packet.parameters[0], self.now)
        return answer

    def _clear(self, packet: Packet, hearing: list[Servo]) -> Answer:
        """Forget whole turns; a shaft that moves refuses."""
        said = []
        for servo in hearing:
            error = Error.RESULT if servo.get("Moving") else Error.NONE
            if packet.parameters[:5] != bytes([0x01, 0x44, 0x58, 0x4C, 0x22]):
                error = Error.RANGE
            if error is Error.NONE:
                servo.clear_turns(self.now)
            if servo.motor == packet.motor and servo.get("Status Return Level") >= 2:
                said.append((servo, error, b""))
        return self._answers(said)

    def _read_many(self, packet: Packet, hearing: list[Servo]) -> Answer:
        """Sync and bulk read, plain and fast; servos answer in the order they are named."""
        p = packet.parameters
        if packet.instruction in (Instruction.SYNC_READ, Instruction.FAST_SYNC_READ):
            address, length = struct.unpack("<HH", p[:4])
            asked = [(motor, address, length) for motor in p[4:]]
        else:
            asked = [struct.unpack("<BHH", p[at : at + 5]) for at in range(0, len(p), 5)]
        fast = packet.instruction in (Instruction.FAST_SYNC_READ, Instruction.FAST_BULK_READ)
        by_id = {servo.motor: servo for servo in hearing}
        said = []
        for motor, address, length in asked:
            if motor not in by_id or (
                fast and by_id[motor].get("Firmware Version") < FAST_FIRMWARE
            ):
                break  # the next one waits for its answer in vain
            said.append((by_id[motor], *by_id[motor].read(address, length)))
        if fast:
            return self._fast(said, [length for _, _, length in asked])
        return self._answers(said, chained=True)

    def _fast(self, said: Sequence[tuple[Servo, int, bytes]], lengths: Sequence[int]) -> Answer:
        """Return the one packet of a fast read, as far as it gets."""
        blocks = [Block(s.motor, error | s.alert, data) for s, error, data in said]
        missing = [Block(0, 0, bytes(n)) for n in lengths[len(blocks) :]]
        whole = fast_status([*blocks, *missing])
        data, at = b"", 8
        for block in blocks:
            end = at + 4 + len(block.data)
            part, stops = self._spoiled(block.motor, whole[at if data else 0 : end])
            data, at = data + part, end
            if stops:
                break
        delays = [2e-6 * servo.get("Return Delay Time") for servo, _, _ in said]
        late = [self.faults.value("delay", servo.motor) for servo, _, _ in said]
        return Answer(data, max(delays, default=0.0) + sum(late))

    def _write_many(self, packet: Packet, hearing: list[Servo]) -> Answer:
        """Sync and bulk write; nobody answers."""
        p = packet.parameters
        at = 0
        if packet.instruction == Instruction.SYNC_WRITE:
            address, length = struct.unpack("<HH", p[:4])
            at = 4
        while at < len(p):
            if packet.instruction == Instruction.BULK_WRITE:
                address, length = struct.unpack("<HH", p[at + 1 : at + 5])
                start = at + 5
            else:
                start = at + 1
            data = p[start : start + length]
            for servo in hearing:
                if p[at] in (servo.motor, servo.shadow) and len(data) == length:
                    servo.write(address, data, self.now)
            at = start + length
        return Answer(b"", 0.0)
