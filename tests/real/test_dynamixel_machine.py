"""A Dynamixel arm behind the safety chain, on the emulated bus and its clock."""

import numpy as np
import pytest

from envs.arm import InitialCondition
from envs.errors import UsageError
from envs.robots import ROBOTS
from real.address import ArmAddress
from real.connect import connect, connect_dynamixel
from real.dynamixel_machine import DynamixelMachine
from real.machine import NoAnswerError
from real.safe_arm import SafeArm, StoppedError
from tests.real.dynamixel_rig import Bench

HOME = ROBOTS["koch"].spec().home


@pytest.fixture
def bench() -> Bench:
    return Bench("koch")


@pytest.fixture
def arm(bench: Bench) -> SafeArm:
    return connect(ArmAddress("koch", lambda: bench.port))


def stay(arm: SafeArm, bench: Bench, periods: int) -> None:
    for _ in range(periods):
        arm.command(np.array(arm.observe()["qpos"], np.float64))
        bench.wait_for_tick()


def test_who_connects_gets_the_arm_behind_the_safety_chain(arm: SafeArm, bench: Bench) -> None:
    arm.home(InitialCondition(tuple(HOME), {}))
    target = np.array(arm.observe()["qpos"], np.float64)
    wanted = target.copy()
    wanted[0] += 0.2
    for _ in range(60):
        arm.command(wanted)
        bench.wait_for_tick()
    assert arm.observe()["qpos"][0] == pytest.approx(wanted[0], abs=0.03)
    arm.close()
    assert not any(servo.get("Torque Enable") for servo in bench.chain.servos)


def test_a_motor_that_fails_ends_the_trial_and_is_named(arm: SafeArm, bench: Bench) -> None:
    arm.home(InitialCondition(tuple(HOME), {}))
    bench.inject(f"overload@{bench.wiring.motors[1].motor}")
    with pytest.raises(StoppedError, match=bench.wiring.motors[1].name):
        stay(arm, bench, 20)


def test_targets_that_did_not_pass_the_chain_are_refused(bench: Bench) -> None:
    machine = DynamixelMachine(bench.arm)
    machine.enable()
    with pytest.raises(TypeError, match="must pass the safety chain"):
        machine.drive(np.array(HOME))


def test_a_motor_that_does_not_answer_in_time_is_named(bench: Bench) -> None:
    machine = DynamixelMachine(bench.arm)
    machine.enable()
    bench.inject(f"silence@{bench.wiring.motors[2].motor}")
    bench.wait_for_tick()
    with pytest.raises(NoAnswerError, match=bench.wiring.motors[2].name):
        machine.sense()


def test_a_robot_without_such_motors_is_refused() -> None:
    with pytest.raises(UsageError, match="known: "):
        connect_dynamixel("openarm", "/dev/none")
