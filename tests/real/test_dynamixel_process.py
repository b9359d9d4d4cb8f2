"""The driver over a real serial port: one program at a time, a pulled plug, a program that dies."""

import os
import signal

import pytest

from envs.errors import UsageError
from envs.robots import ROBOTS
from perf.dynamixel import struck_program
from real.dynamixel import DynamixelArm
from real.dynamixel_arms import KOCH
from real.dynamixel_joints import HardwareFaultError, Pace
from real.emulators.dynamixel import DynamixelEmulator, Emulated

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
pytest.importorskip(
    "serial", reason="pyserial is not installed: pip install 'armtrials[dynamixel]'"
)

PATIENT = Pace(budget=0.5, lost=5.0, watchdog=2.0)
"""A pace for machines that are busy with other things."""


def open_koch(port: str) -> DynamixelArm:
    return DynamixelArm.open(KOCH, ROBOTS["koch"].spec(), port, PATIENT)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_when_the_program_dies_the_watchdogs_stop_the_arm(blow: signal.Signals) -> None:
    with DynamixelEmulator(Emulated("koch")) as emulator:
        program, _, states = struck_program(emulator, blow)
        try:
            for state in states:
                assert state.torque  # it holds: it is not dropped
                # By the servo's own clock, from the last packet it heard.
                assert 0.100 < state.watchdog_at - state.heard_at <= 0.110
                assert state.moved_at - state.heard_at <= 0.220
                assert state.goal_at <= state.heard_at
            later = [*emulator.servos().values()]
            assert [s.position for s in later] == [s.position for s in states]
        finally:
            program.kill()
            program.communicate()


def test_the_port_belongs_to_one_program() -> None:
    with DynamixelEmulator(Emulated("koch")) as emulator:
        first = open_koch(emulator.port)
        with pytest.raises(UsageError, match="another program has it open"):
            open_koch(emulator.port)
        first.close()
        open_koch(emulator.port).close()


def test_a_pulled_plug_is_a_fault_that_says_so() -> None:
    with DynamixelEmulator(Emulated("koch")) as emulator:
        arm = open_koch(emulator.port)
        state = arm.engage()
        emulator.inject("unplug")
        found = arm.read()
        assert "is gone" in str(found.faults[0])
        assert not found.fresh.any()
        with pytest.raises(HardwareFaultError, match="is gone"):
            arm.write(state.position)
        arm.limp()  # of what can be reached: nothing
        arm.close()


def test_after_an_abrupt_end_the_next_program_starts_where_the_arm_is() -> None:
    with DynamixelEmulator(Emulated("koch")) as emulator:
        program, _, before = struck_program(emulator, signal.SIGKILL)
        program.communicate()
        arm = open_koch(emulator.port)
        arm.engage()
        arm.read()
        after = [*emulator.servos().values()]
        assert [s.position for s in after] == pytest.approx([s.position for s in before], abs=2)
        arm.close()


def test_a_port_that_is_none_is_told_with_what_helps() -> None:
    missing = os.fspath("/dev/ttyNoSuchPort")
    with pytest.raises(UsageError, match="is the adapter plugged in"):
        open_koch(missing)
