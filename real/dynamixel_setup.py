"""Before a Dynamixel arm moves: is every servo there, set up as the arm needs it, and healthy?"""

from collections.abc import Mapping
from dataclasses import dataclass

from envs.errors import UsageError
from real.dynamixel_arms import EXTENDED, PER_RADIAN, POSITION, Motor, Wiring
from real.dynamixel_bus import Bus
from real.dynamixel_models import model
from real.dynamixel_packet import hardware_errors
from real.dynamixel_tables import model_of, table

REVERSE, TIME_BASED = 0x01, 0x04
"""Bits of Drive Mode."""

PROBE_S = 0.05
"""Time in which a fast read is tried, three times; older firmware does not know it [s]."""

CLEAN_PINGS = 9
"""Answers by which the latency is measured."""


@dataclass(frozen=True)
class MotorLimits:
    """What a servo allows: positions [ticks], speed [ticks/s], and its goal current register."""

    lower: int
    upper: int
    speed: float
    current: int


def find(bus: Bus, wiring: Wiring) -> None:
    """Ping every servo, measure the line's latency and switch fast reads on where all know them.

    Raises:
        UsageError: a servo that is missing or another model; names the joints.
    """
    absent, other = [], []
    for joint in wiring.motors:
        for motor in joint.ids:
            answer = bus.ping(motor)
            if answer is None:
                absent.append(f"{joint.name} (id {motor})")
            elif answer[0] != table(joint.model).number:
                other.append(
                    f"{joint.name} (id {motor}) is {model_of(answer[0])}, not {joint.model}"
                )
    if absent:
        raise UsageError(
            f"no answer from {', '.join(absent)}; check power and cables from the first of them "
            f"on, its id, and its baud rate ({wiring.baud})"
        )
    if other:
        raise UsageError(f"{'; '.join(other)}: is this a {wiring.robot}?")
    bus.hesitation = 2e-6 * max(bus.get(motor, "Return Delay Time") for motor in wiring.ids)
    bus.latency = bus.usual = latency(bus, wiring.ids[0])
    bus.fast = True
    bus.fast = any(
        len(bus.get_many(wiring.ids, "load", "Present Temperature", PROBE_S)) == len(wiring.ids)
        for _ in range(3)
    )


def latency(bus: Bus, motor: int) -> float:
    """Return what an answer of ``motor`` takes beyond its time on the wire, the median [s]."""
    wire = 24 * 10 / bus.baud + 2e-6 * bus.get(motor, "Return Delay Time")
    times = []
    for _ in range(CLEAN_PINGS):
        start = bus.port.now()
        bus.ping(motor)
        times.append(bus.port.now() - start - wire)
    return max(0.0, sorted(times)[CLEAN_PINGS // 2])


def health(bus: Bus, wiring: Wiring) -> None:
    """Refuse an arm whose servos report a hardware error.

    Raises:
        UsageError: names joint, error and remedy.
    """
    for joint in wiring.motors:
        for motor in joint.ids:
            if found := bus.get(motor, "Hardware Error Status"):
                raise UsageError(
                    f"{joint.name} (id {motor}) reports: {', '.join(hardware_errors(found))}; "
                    "let it cool, take the load off or mend the supply, then switch it off and on"
                )


def configure(bus: Bus, wiring: Wiring) -> None:
    """Check the settings that the arm needs, and write those that may be written.

    Operating mode and the kind of profile are settings of the software and are written, as long as
    the torque is off. Directions and shadow ids belong to the mechanics and are only checked.

    Raises:
        UsageError: a setting that does not fit; names joint, id and what to do.
    """
    for joint in wiring.motors:
        for motor in joint.ids:
            main = motor == joint.motor
            leader = bus.get(motor, "Secondary(Shadow) ID")
            if not main and leader != joint.motor:
                raise UsageError(
                    f"{joint.name}: Secondary ID of servo {motor} must be {joint.motor}, got "
                    f"{leader}; set it with DYNAMIXEL Wizard"
                )
            drive = bus.get(motor, "Drive Mode")
            if bool(drive & REVERSE) != (joint.reverse == main):
                raise UsageError(
                    f"{joint.name}: bit 0 of Drive Mode of servo {motor} must be "
                    f"{int(joint.reverse == main)}, got {drive}; set it with DYNAMIXEL Wizard"
                    + (f" (servos {joint.ids} stand opposite: alike, they fight)" * (not main))
                )
            _set(bus, joint, motor, "Drive Mode", drive & ~TIME_BASED)
            _set(bus, joint, motor, "Operating Mode", joint.mode)


def _set(bus: Bus, joint: Motor, motor: int, name: str, value: int) -> None:
    """Write a setting that differs; with the torque on it cannot be written."""
    if bus.get(motor, name) == value:
        return
    if bus.get(motor, "Torque Enable"):
        raise UsageError(
            f"{joint.name}: {name} of servo {motor} must be {value}, but its torque is on; support "
            "the arm, switch it off and on, and start again"
        )
    bus.put(motor, name, value)


def limits(bus: Bus, wiring: Wiring) -> Mapping[str, MotorLimits]:
    """Read what the servos allow; of a pair what both allow."""
    found = {}
    for joint in wiring.motors:
        bounds = [_limits(bus, joint, motor) for motor in joint.ids]
        found[joint.name] = MotorLimits(
            max(b.lower for b in bounds),
            min(b.upper for b in bounds),
            min(b.speed for b in bounds),
            min(b.current for b in bounds),
        )
    return found


def _limits(bus: Bus, joint: Motor, motor: int) -> MotorLimits:
    """Read what one servo allows; only mode 3 keeps within Min and Max Position Limit."""
    lower, upper = -1_048_575, 1_048_575
    if joint.mode == POSITION:
        lower, upper = bus.get(motor, "Min Position Limit"), bus.get(motor, "Max Position Limit")
    rad_per_s = bus.get(motor, "Velocity Limit") * bus.tables[motor].velocity
    current = 0
    if joint.mode not in (POSITION, EXTENDED) and model(joint.model).current_unit is not None:
        current = bus.get(motor, "Current Limit")
    return MotorLimits(lower, upper, rad_per_s * PER_RADIAN, current)
