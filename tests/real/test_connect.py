from functools import partial

import pytest

import real.connect
from envs.arm import InitialCondition
from envs.errors import UsageError
from real.connect import connect_openarm
from real.damiao import DamiaoBus
from real.machine import MachineError
from real.safe_arm import SafeArm
from tests.real.damiao_bench import Bench, at_home


@pytest.fixture
def bench(monkeypatch) -> Bench:
    made = Bench(q=at_home())
    monkeypatch.setattr(real.connect, "CanBus", lambda interface, channel: made.wire)
    monkeypatch.setattr(real.connect, "DamiaoBus", partial(DamiaoBus, clock=made.clock))
    return made


def test_who_connects_to_an_openarm_gets_it_behind_the_safety_chain(bench) -> None:
    arm = connect_openarm("virtual", "arm")
    assert isinstance(arm, SafeArm)
    assert arm.spec.upper[1] == pytest.approx(1.5708, abs=1e-4)
    assert arm.spec.velocity[0] == 3.2
    assert {motor.status for motor in bench.motors.motors} == {1}
    held = bench.motors["joint4"]
    assert held._command.tau == pytest.approx(-3.02, abs=0.05)  # what gravity asks for
    with pytest.raises(UsageError, match="start pose"):
        arm.home(InitialCondition((0.0,) * 7, {}))
    arm.close()
    assert {motor.status for motor in bench.motors.motors} == {0}


def test_a_motor_that_is_missing_is_named_and_nothing_stays_on(bench) -> None:
    bench.motors["joint7"].trouble.unplugged = True
    with pytest.raises(MachineError, match="no answer from joint7"):
        connect_openarm("virtual", "arm")
    assert {motor.status for motor in bench.motors.motors} == {0}
    assert bench.wire.closed
