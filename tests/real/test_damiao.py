import math
from contextlib import suppress

import numpy as np
import pytest

from envs.robots import ROBOTS
from real.can_bus import Frame
from real.damiao import fault_of
from real.damiao_wire import (
    CAN_BR,
    CTRL_MODE,
    ENABLE,
    ESC_ID,
    OT,
    PMAX,
    REGISTERS_AT,
    STORE,
    TIMEOUT,
    TYPES,
    VMAX,
    XOUT,
    ZERO,
    Mit,
    Register,
    pack_mit,
    pack_register,
    simple,
    unpack_mit,
)
from real.machine import Cleared, MachineError, NoAnswerError
from real.openarm import OPENARM_RIGHT
from tests.real.damiao_bench import Bench, at_home

DM4310 = TYPES["DM4310"]
JOINT3 = OPENARM_RIGHT[2]
HOLD = {motor.name: Mit(0.0, 0.0, motor.kp, motor.kd, 0.0) for motor in OPENARM_RIGHT}


# --- the emulated motors -------------------------------------------------------------------------


def test_motors_answer_only_who_asks_and_say_their_state() -> None:
    bench = Bench()
    off = bench.bus.refresh()
    on = bench.bus.command(ENABLE)
    assert {fault_of(answer) for answer in off.values()} == {"torque is off"}
    assert {fault_of(answer) for answer in on.values()} == {""}
    assert [answer.motor for answer in on.values()] == list(range(1, 9))
    assert {answer.driver for answer in on.values()} == {30}


def test_a_motor_goes_where_it_is_sent_and_stays_limp_without_enable() -> None:
    bench = Bench()
    bench.bus.write(JOINT3, TIMEOUT, 0)
    wish = {"joint3": Mit(0.5, 0.0, 240.0, 5.0, 0.0)}
    bench.bus.control(wish)
    bench.wait(1.0)
    assert bench.bus.refresh()["joint3"].q == pytest.approx(0.0, abs=0.01)
    bench.bus.command(ENABLE)
    bench.bus.control(wish)
    bench.wait(1.0)
    assert bench.bus.refresh()["joint3"].q == pytest.approx(0.5, abs=0.01)


def test_a_motor_that_hears_nothing_switches_itself_off_until_cleared() -> None:
    bench = Bench()
    bench.bus.write(JOINT3, TIMEOUT, 4000)  # 200 ms
    bench.bus.command(ENABLE)
    bench.bus.control(HOLD)
    bench.wait(0.19)
    assert bench.motors["joint3"].status == 1
    bench.wait(0.03)
    assert bench.motors["joint3"].status == 0xD
    assert fault_of(bench.bus.control(HOLD)["joint3"]) == "lost communication"
    assert bench.motors["joint3"].torque == 0.0
    assert bench.bus.command(ENABLE)["joint3"].status == 0xD
    bench.bus.command(0xFB)
    assert bench.bus.command(ENABLE)["joint3"].status == 1


def test_registers_are_read_written_and_guarded() -> None:
    bench = Bench()
    assert bench.bus.read(JOINT3, PMAX) == 12.5
    assert bench.bus.read(JOINT3, ESC_ID) == 3
    bench.bus.write(JOINT3, VMAX, 10.0)
    assert bench.motors["joint3"].ranges.velocity == 10.0
    with pytest.raises(MachineError, match=r"register 2 of joint3 must be 20.0, is 100.0"):
        bench.bus.write(JOINT3, OT, 20.0)
    with pytest.raises(MachineError, match="register 81"):
        bench.bus.write(JOINT3, XOUT, 1.0)
    bench.wire.send(Frame(REGISTERS_AT, pack_register(Register(3, STORE, 1, 0))))
    assert bench.wire.receive(0.01).data[2] == STORE


def test_zero_makes_the_present_angle_the_motors_zero() -> None:
    bench = Bench(q=np.full(8, 0.7))
    assert bench.bus.refresh()["joint3"].q == pytest.approx(0.7, abs=1e-3)
    bench.bus.command(ZERO, [JOINT3])
    found = bench.bus.refresh()
    assert found["joint3"].q == pytest.approx(0.0, abs=1e-3)
    assert found["joint4"].q == pytest.approx(0.7, abs=1e-3)
    assert bench.bus.read(JOINT3, XOUT) == pytest.approx(0.0, abs=1e-6)


def test_another_control_mode_ignores_frames_of_the_mit_mode() -> None:
    bench = Bench()
    bench.bus.command(ENABLE)
    bench.bus.write(JOINT3, CTRL_MODE, 2)
    bench.bus.control({"joint3": Mit(0.5, 0.0, 240.0, 5.0, 0.0)})
    bench.wait(0.3)
    assert abs(bench.bus.refresh()["joint3"].q) < 0.01
    with pytest.raises(MachineError, match="joint3 must be in MIT mode"):
        bench.arm().enable()


def test_a_classic_frame_is_obeyed_by_a_motor_set_to_can_fd_but_its_answer_is_not_heard() -> None:
    bench = Bench()
    bench.wire.send(Frame(3, simple(ENABLE), fd=False))
    assert bench.wire.receive(0.01) is None
    assert bench.motors["joint3"].status == 1
    bench.motors["joint4"].registers[CAN_BR] = 4
    with pytest.raises(NoAnswerError, match="joint4"):
        bench.bus.refresh()


def test_work_makes_a_motor_warm_and_too_much_of_it_switches_it_off() -> None:
    bench = Bench()
    motor = bench.motors["gripper"]
    motor.obey(ENABLE, 0.0, 0.0)
    motor.control(pack_mit(Mit(0.0, 0.0, 0.0, 0.0, 10.0), DM4310), 0.0)
    heats = []
    for _ in range(400):
        motor.drive(0.0, 0.0, 0.0)
        motor.warm(1.0)
        heats.append(motor.winding)
    assert np.diff(heats[:50]).min() > 0
    assert fault_of(motor.feedback(0.0, 0.0)) == "winding too hot"
    assert motor.winding < max(heats)


# --- the host's side ------------------------------------------------------------------------------


def test_lost_frames_are_asked_for_again_and_every_state_is_new() -> None:
    bench = Bench(seed=3)
    bench.bus.command(ENABLE)
    for motor in bench.motors.motors:
        motor.trouble.loss = 0.02
    for k in range(300):
        q = np.full(8, 0.001 * k)
        bench.motors.plant.q = q  # moved from outside: an old answer would show
        bench.motors.plant.dq = np.zeros(8)
        found = bench.bus.refresh()
        assert len(found) == 8
        assert [a.q for a in found.values()] == pytest.approx(q, abs=3e-4)
    assert 20 < sum(bench.bus.retries.values()) < 400


def test_a_late_answer_is_never_taken_for_a_new_one() -> None:
    bench = Bench()
    trouble = bench.motors["joint3"].trouble
    bench.motors.plant.q = np.full(8, 0.1)
    trouble.delay = 0.012
    with pytest.raises(NoAnswerError, match="joint3"):
        bench.bus.refresh()
    bench.motors.plant.q = np.full(8, 0.2)
    trouble.delay = 0.0015
    angles = []
    for _ in range(5):
        with suppress(NoAnswerError):
            angles.append(bench.bus.refresh()["joint3"].q)
    assert angles
    assert angles == pytest.approx([0.2] * len(angles), abs=3e-4)
    bench.motors.plant.q = np.full(8, 0.3)
    assert bench.bus.refresh()["joint3"].q == pytest.approx(0.3, abs=3e-4)


def test_answers_that_always_come_too_late_are_errors_not_states() -> None:
    bench = Bench()
    bench.motors["joint3"].trouble.delay = 0.03
    for k in range(5):
        bench.motors.plant.q = np.full(8, 0.1 * k)
        with pytest.raises(NoAnswerError, match="joint3"):
            bench.bus.refresh()
        bench.wait(0.005)


@pytest.mark.parametrize("what", ["silent", "unplugged"])
def test_a_motor_that_does_not_answer_is_an_error_with_its_name(what) -> None:
    bench = Bench()
    arm = bench.arm()
    arm.enable()
    setattr(bench.motors["joint5"].trouble, what, True)
    before = bench.clock()
    with pytest.raises(NoAnswerError, match=r"no answer from joint5$") as caught:
        arm.sense()
    assert caught.value.motors == ("joint5",)
    assert bench.clock() - before < 0.02
    setattr(bench.motors["joint5"].trouble, what, False)
    assert arm.sense().qpos.shape == (8,)


def test_ranges_are_those_that_the_motor_says() -> None:
    bench = Bench(q=np.array([0, 0, 0.4, 0.4, 0, 0, 0, 0]))
    bench.motors["joint3"].registers[PMAX] = 6.25
    bench.motors["joint3"].registers[VMAX] = 10.0
    arm = bench.arm()
    assert arm.enable().qpos[2] == pytest.approx(0.4, abs=1e-3)
    bench.motors["joint3"].registers[PMAX] = 1.0
    with pytest.raises(MachineError, match="joint3 cannot tell its range"):
        arm.enable()


def test_the_arm_is_held_where_it_is_when_it_is_switched_on() -> None:
    bench = Bench(q=at_home() + 0.05)
    arm = bench.arm()
    first = arm.enable()
    bench.wait(0.15)
    assert arm.sense().qpos == pytest.approx(first.qpos, abs=2e-3)
    assert bench.motors["joint1"].registers[TIMEOUT] == 4000
    assert arm.watchdog_s == 0.2
    assert arm.spec.lower[1] == pytest.approx(math.radians(-9))
    assert arm.spec.upper[0] == pytest.approx(math.radians(75))


def test_only_cleared_targets_are_sent() -> None:
    bench = Bench(q=at_home())
    arm = bench.arm()
    arm.enable()
    target = np.array(ROBOTS["openarm"].spec().home)
    with pytest.raises(TypeError, match="safety chain"):
        arm.drive(target)
    target[-1] = 0.5
    for _ in range(50):
        arm.drive(Cleared(target.copy()))
        bench.clock.sleep(0.02)
        seen = arm.sense()
    assert seen.qpos[-1] == pytest.approx(0.5, abs=0.02)
    assert seen.faults == {}


def test_gravity_is_sent_as_torque_and_lifts_the_arm_to_its_target() -> None:
    bench = Bench(q=at_home())
    arm = bench.arm()
    arm._gravity = lambda q: np.full(8, 1.5)
    arm.enable()
    last = [frame for frame in bench.wire.sent if frame.id == 5][-1]
    assert unpack_mit(last.data, DM4310).tau == pytest.approx(1.5, abs=0.01)
    assert unpack_mit(last.data, DM4310).kp == pytest.approx(24.0, abs=0.1)


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [({"heat": 90.0}, "winding too hot"), ({"overcurrent": True}, "overcurrent")],
)
def test_a_motor_that_fails_is_named_and_does_not_come_back_by_itself(trouble, fault) -> None:
    bench = Bench(q=at_home())
    arm = bench.arm()
    target = arm.enable().qpos
    for name, value in trouble.items():
        setattr(bench.motors["joint6"].trouble, name, value)
    bench.wait(0.01)
    arm.drive(Cleared(target.copy()))
    seen = arm.sense()
    assert seen.faults == {"joint6": fault}
    with pytest.raises(MachineError, match=rf"joint6 \({fault}\)"):
        arm.enable()


def test_a_motor_that_timed_out_is_cleared_when_the_arm_is_switched_on_again() -> None:
    bench = Bench(q=at_home())
    arm = bench.arm()
    arm.enable()
    bench.wait(0.3)
    assert set(arm.sense().faults.values()) == {"lost communication"}
    assert arm.enable().faults == {}


def test_closing_switches_every_motor_off_even_where_one_is_gone() -> None:
    bench = Bench(q=at_home())
    arm = bench.arm()
    arm.enable()
    bench.motors["joint2"].trouble.unplugged = True
    arm.close()
    arm.close()
    assert {motor.status for motor in bench.motors.motors} == {0}
    assert bench.wire.closed
