"""What a line to Dynamixel servos can do, measured, and which setting to change."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from real.dynamixel_arms import Wiring
from real.dynamixel_bus import Bus
from real.dynamixel_packet import hardware_errors
from real.dynamixel_port import Port
from real.dynamixel_setup import find
from real.dynamixel_tables import table

CONTROL_HZ = 50.0
ENOUGH_HZ = 150.0
"""Rate from which lost packets can be asked for again within a control period."""

SLOW_LATENCY = 0.004
"""Latency from which the adapter's timer is to blame [s] (FTDI: 16 ms, or 1 ms when set)."""

WARM = 60
"""Temperature from which a servo should rest [deg C]."""


@dataclass(frozen=True)
class LineReport:
    """What was measured on a line.

    Attributes:
        motors: servos that answered.
        hz: readings of all joints with a write of all goals, a second.
        latency: what an answer takes beyond its time on the wire, median [s].
        timer: the FTDI latency timer as the system tells it [ms]; None where it has none.
        return_delay: the longest Return Delay Time [us].
        fast: whether all servos know fast reads.
        incomplete: share of readings in which a servo was missing.
        errors: hardware errors in words, by id.
        hottest: highest temperature [deg C].
        advice: what to change, the most useful first; empty when the line is as it should be.
    """

    motors: int
    hz: float
    latency: float
    timer: int | None
    return_delay: int
    fast: bool
    incomplete: float
    errors: Mapping[int, tuple[str, ...]]
    hottest: int
    advice: tuple[str, ...]


def examine(wiring: Wiring, port: Port, path: str = "", seconds: float = 2.0) -> LineReport:
    """Measure the line to an arm. Nothing is written that moves or changes a servo.

    Args:
        wiring: the arm.
        port: the open line.
        path: of the port, for the system's latency timer.
        seconds: how long the rate is measured [s].

    Raises:
        UsageError: servos are missing; names them.
    """
    tables = {number: table(joint.model) for joint in wiring.motors for number in joint.ids}
    bus = Bus(port, tables, wiring.baud)
    find(bus, wiring)
    delays = {motor: 2 * bus.get(motor, "Return Delay Time") for motor in wiring.ids}
    errors = {
        motor: hardware_errors(status)
        for motor in wiring.ids
        if (status := bus.get(motor, "Hardware Error Status"))
    }
    lights = {motor: bus.get(motor, "LED") for motor in wiring.ids}
    times, missing, hottest = [], 0, 0
    start = port.now()
    while (begin := port.now()) < start + seconds:
        found = bus.get_many(wiring.ids, "load", "Present Temperature", 0.1)
        bus.put_many("LED", lights)  # in place of goals; they stay as they are
        times.append(port.now() - begin)
        missing += len(found) < len(wiring.ids)
        hottest = max([hottest, *(reading.block.data[20] for reading in found.values())])
    hz = 1 / statistics.median(times)
    report = LineReport(
        len(wiring.ids),
        hz,
        bus.usual,
        latency_timer(path),
        max(delays.values()),
        bus.fast,
        missing / len(times),
        errors,
        hottest,
        (),
    )
    return _advised(report, [m for m, delay in delays.items() if delay])


def latency_timer(path: str) -> int | None:
    """Return the latency timer of a USB adapter [ms], or None where the system knows of none."""
    name = Path(path).resolve().name if path else ""
    file = Path("/sys/bus/usb-serial/devices") / name / "latency_timer"
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _advised(report: LineReport, delayed: list[int]) -> LineReport:
    """Return ``report`` with what to change."""
    advice = []
    if (report.timer or 0) > 1 or report.latency > SLOW_LATENCY:
        advice.append(
            f"an answer takes {report.latency * 1e3:.0f} ms beyond its time on the wire: set the "
            "adapter's latency timer to 1 ms (docs/hardware.md, The computer)"
        )
    if report.hz < ENOUGH_HZ and delayed:
        some = f"motors {', '.join(map(str, delayed))}"
        motors = some if len(delayed) < report.motors else "all motors"
        advice.append(
            f"Return Delay Time (address 9) of {motors} lets them wait up to "
            f"{report.return_delay} us: set it to 0 with DYNAMIXEL Wizard"
        )
    if not report.fast:
        advice.append("some firmware knows no fast reads: update it with DYNAMIXEL Wizard")
    if report.incomplete > 0.01:
        advice.append(
            f"{report.incomplete:.0%} of the readings stayed incomplete: check cables and supply"
        )
    for motor, found in report.errors.items():
        advice.append(f"motor {motor} reports {', '.join(found)}: switch the arm off and on")
    if report.hottest >= WARM:
        advice.append(f"a motor has {report.hottest} deg C: let the arm rest")
    if report.hz < CONTROL_HZ:
        advice.append(f"{report.hz:.0f} Hz is too slow for control at {CONTROL_HZ:.0f} Hz")
    return replace(report, advice=tuple(advice))
