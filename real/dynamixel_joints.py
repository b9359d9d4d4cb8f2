"""What is said of an arm's joints: their state, what is wrong with them, and registers as rad."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from envs.arm import Array
from real.dynamixel_arms import PER_RADIAN, Motor
from real.dynamixel_models import model
from real.dynamixel_question import Reading
from real.dynamixel_tables import Table

WATCHDOG_UNIT = 0.020
"""One unit of Bus Watchdog [s]."""

LOAD_AT, VELOCITY_AT, POSITION_AT, TEMPERATURE_AT = 0, 2, 6, 20
"""Bytes in the registers from the load to Present Temperature."""


@dataclass(frozen=True)
class Pace:
    """How the arm is talked to.

    Attributes:
        budget: time for one reading of all joints, repeats included [s].
        lost: age of a joint's reading from which its servo counts as gone [s].
        watchdog: silence after which the servos stop on their own, a multiple of 20 ms [s].
    """

    budget: float = 0.016
    lost: float = 0.100
    watchdog: float = 0.100

    def __post_init__(self) -> None:
        """Refuse a watchdog that the servos do not have."""
        if not 1 <= round(self.watchdog / WATCHDOG_UNIT) <= 127:
            raise ValueError(f"watchdog must be .02..2.54 s, got {self.watchdog}")


@dataclass(frozen=True)
class MotorFault:
    """What is wrong with a servo: the joint, its id (0: the whole line) and the matter."""

    joint: str
    motor: int
    what: str

    def __str__(self) -> str:
        """Say it to an operator."""
        return f"{self.joint} (id {self.motor}): {self.what}" if self.motor else self.what


class HardwareFaultError(RuntimeError):
    """The arm takes no more goals; ``faults`` says why."""

    def __init__(self, faults: Sequence[MotorFault]) -> None:
        """Name every servo concerned."""
        self.faults = tuple(faults)
        super().__init__(f"{'; '.join(map(str, faults))}: the arm holds and takes no more goals")


@dataclass(frozen=True, eq=False)
class JointState:
    """What is known of the joints, arrays (n,) in the joints' order.

    Attributes:
        position: angle [rad]; of a gripper its opening 0..1.
        velocity: [rad/s]; of a gripper [1/s].
        effort: torque of the joint's servos by their current [N m].
        temperature: of the hottest of the joint's servos [deg C].
        age: since the joint was asked, at most [s].
        fresh: whether it was read now. Where not, all of the above is ``age`` old.
        faults: what is wrong with the arm; empty while all is well.
    """

    position: Array
    velocity: Array
    effort: Array
    temperature: Array
    age: Array
    fresh: Array
    faults: tuple[MotorFault, ...]


def row(
    joint: Motor, readings: Mapping[int, Reading], tables: Mapping[int, Table]
) -> tuple[float, float, float, float]:
    """Return position, velocity, effort and temperature of a joint from its servos' readings."""
    main = readings[joint.motor]
    ticks = signed(main, POSITION_AT)
    speed = signed(main, VELOCITY_AT) * tables[joint.motor].velocity * PER_RADIAN
    slope = joint.slope(ticks)
    data = model(joint.model)
    torque = temperature = 0.0
    for motor in joint.ids:
        reading = readings[motor]
        torque += data.amperes(signed(reading, LOAD_AT, 2)) * data.torque_constant
        temperature = max(temperature, reading.block.data[TEMPERATURE_AT])
    side = 1.0 if slope > 0 else -1.0
    return joint.value(ticks), speed * slope, side * torque, temperature


def signed(reading: Reading, at: int, size: int = 4) -> int:
    """Return the signed number at byte ``at`` of a reading that begins with the load."""
    return int.from_bytes(reading.block.data[at : at + size], "little", signed=True)
