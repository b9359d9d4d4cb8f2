"""What the doctor says of a line: the rate it reaches and the setting that is to blame."""

import pytest

from real.dynamixel_check import examine
from real.emulators.dynamixel_wire import Timing, VirtualPort
from scripts.doctor_line import rows
from tests.real.dynamixel_rig import Bench


def test_a_line_as_it_should_be_needs_nothing() -> None:
    bench = Bench("koch")
    report = examine(bench.wiring, bench.port)
    assert report.advice == ()
    assert report.hz > 200
    assert report.latency == pytest.approx(0.001, abs=2e-4)
    assert all(row.verdict == "ok" for row in rows(report))


def test_the_latency_timer_of_an_adapter_as_sold_is_found() -> None:
    bench = Bench("viperx")
    slow = VirtualPort(bench.chain, Timing(latency=0.016))
    report = examine(bench.wiring, slow)
    assert 40 < report.hz < 60
    assert "latency timer to 1 ms" in report.advice[0]


def test_the_factory_s_return_delay_is_found() -> None:
    bench = Bench("viperx", return_delay=250)
    bench.servo(9).put("Firmware Version", 40)
    report = examine(bench.wiring, bench.port)
    assert report.return_delay == 500
    assert report.hz < 150
    told = " ".join(report.advice)
    assert "Return Delay Time (address 9) of all motors lets them wait up to 500 us" in told
    assert "no fast reads" in told


def test_errors_and_bad_cables_are_told() -> None:
    bench = Bench("koch")
    bench.inject("over_temperature@4", "loss=0.3")
    report = examine(bench.wiring, bench.port)
    told = " ".join(report.advice)
    assert "motor 4 reports overheating" in told
    assert "deg C" in told
    assert "missing" in {row.verdict for row in rows(report)}


def test_nothing_moves_and_nothing_is_changed() -> None:
    bench = Bench("koch")
    before = [bytes(servo.memory.data[:120]) for servo in bench.chain.servos]
    examine(bench.wiring, bench.port)
    assert [bytes(servo.memory.data[:120]) for servo in bench.chain.servos] == before
