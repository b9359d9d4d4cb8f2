"""The part of the doctor that measures the line to an arm."""

from real.dynamixel_arms import WIRINGS
from real.dynamixel_check import CONTROL_HZ, ENOUGH_HZ, SLOW_LATENCY, LineReport, examine
from real.dynamixel_port import SerialPort
from scripts.doctor import Check, Verdict


def check_line(robot: str, path: str) -> list[Check]:
    """Measure the line to ``robot`` on the port ``path`` for two seconds.

    Raises:
        UsageError: an unknown robot, a port that cannot be opened, or missing motors.
    """
    wiring = WIRINGS[robot]
    port = SerialPort(path, wiring.baud)
    try:
        return rows(examine(wiring, port, path))
    finally:
        port.close()


def rows(report: LineReport) -> list[Check]:
    """Make a table of what was measured; what to change stands below, a row each."""
    speed: Verdict = "ok" if report.hz >= ENOUGH_HZ else "note"
    speed = "missing" if report.hz < CONTROL_HZ else speed
    lag: Verdict = "ok" if report.latency <= SLOW_LATENCY else "note"
    timer = "" if report.timer is None else f" (latency timer {report.timer} ms)"
    found = [
        Check("motors", f"{report.motors} answer, the hottest has {report.hottest} C"),
        Check("rate", f"{report.hz:.0f} Hz for reading all and writing all", speed),
        Check("latency", f"{report.latency * 1e3:.1f} ms{timer}", lag),
        Check("return delay", f"{report.return_delay} us"),
        Check("reads", "fast" if report.fast else "one by one"),
    ]
    verdict: Verdict = "missing" if report.errors else "note"
    return found + [Check("to do", "", verdict, advice) for advice in report.advice]
