"""Somebody else's Dynamixel client, unmodified, drives the emulator.

rustypot speaks protocol 2.0 by a stack of its own (Rust), not the vendor's SDK. It is no
dependency: ``pip install rustypot`` in an environment of its own, or beside the others.
"""

import time
from collections.abc import Iterator

import pytest

from real.emulators.dynamixel import DynamixelEmulator

rustypot = pytest.importorskip("rustypot", reason="rustypot is not installed: pip install rustypot")
pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)

PATIENCE_S = 60.0


@pytest.fixture
def emulator() -> Iterator[DynamixelEmulator]:
    with DynamixelEmulator("koch") as made:
        yield made


def test_another_client_finds_reads_and_moves_the_emulated_motors(
    emulator: DynamixelEmulator,
) -> None:
    shoulder = rustypot.Xl430PyController(emulator.port, 1_000_000, 5.0)
    assert all(shoulder.ping(motor) for motor in (1, 2))
    assert shoulder.read_model_number(1)[0] == 1060
    before = shoulder.sync_read_present_position([1, 2])
    true = emulator.servos()
    assert before == [true[motor].position for motor in (1, 2)]
    shoulder.sync_write_torque_enable([1, 2], [1, 1])
    goals = [position + 200 for position in before]
    shoulder.sync_write_goal_position([1, 2], goals)
    last = time.monotonic() + PATIENCE_S
    while time.monotonic() < last:
        now = shoulder.sync_read_present_position([1, 2])
        if max(abs(a - b) for a, b in zip(now, goals, strict=True)) <= 2:
            break
    assert now == pytest.approx(goals, abs=2)
    states = emulator.servos()
    assert states[1].torque
    assert states[2].torque
    assert not states[3].torque
    with pytest.raises(Exception, match=r".+"):
        shoulder.read_present_position(20)  # there is no motor 20
