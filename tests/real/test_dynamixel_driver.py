"""The driver of a Dynamixel arm on an emulated one, on a clock of its own: every machine agrees."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import UsageError
from perf.dynamixel import SEVEN
from perf.dynamixel_proof import Counter, Judge
from real.dynamixel_arms import KOCH, VIPERX, Motor
from real.dynamixel_bus import NoAnswerError
from real.dynamixel_joints import HardwareFaultError, Pace
from real.emulators.dynamixel_chain import setups
from tests.real.dynamixel_rig import Bench, sway

SAFE_STOP_S = 0.250


def drive(bench: Bench, ticks: int) -> None:
    """Move every joint for so many control periods."""
    for _ in range(ticks):
        bench.wait_for_tick()
        bench.arm.read()
        bench.arm.write(sway(bench))


@pytest.mark.parametrize("robot", ["viperx", "koch"])
def test_an_arm_is_found_engaged_and_follows_its_targets(robot: str) -> None:
    bench = Bench(robot)
    rest = np.array(bench.wiring.rest)
    state = bench.arm.engage()
    assert np.abs(state.position - rest).max() < 0.01
    target = np.clip(rest + 0.2, bench.arm.lower, bench.arm.upper)
    for _ in range(50):
        bench.wait_for_tick()
        state = bench.arm.read()
        bench.arm.write(target)
    assert np.abs(state.position - target).max() < 0.01
    assert state.fresh.all()
    assert not state.faults


@pytest.mark.parametrize("delay", [0, 250])
@pytest.mark.parametrize("wiring", [KOCH, SEVEN, VIPERX], ids=["6", "7", "9"])
def test_the_wire_and_the_adapter_leave_150_readings_and_writings_a_second(wiring, delay) -> None:
    bench = Bench(wiring.robot, wiring=wiring, servos=setups(wiring, delay))
    state = bench.arm.engage()
    start = bench.port.now()
    for _ in range(100):
        state = bench.arm.read()
        bench.arm.write(np.clip(state.position, bench.arm.lower, bench.arm.upper))
    assert 100 / (bench.port.now() - start) >= 150


def test_an_answer_that_comes_late_counts_with_the_age_of_its_own_question() -> None:
    bench = Bench("viperx")
    bench.arm.engage()
    drive(bench, 5)
    bench.wait_for_tick()
    bench.inject("delay=0.005@1")  # beyond the patience, and so is the next one
    asked, repeats = bench.port.now(), bench.arm.bus.counts.repeats
    state = bench.arm.read()
    assert bench.arm.bus.counts.repeats == repeats + 1
    assert state.fresh.all()
    np.testing.assert_allclose(state.age, bench.port.now() - asked, atol=1e-9)
    assert bench.port.now() - asked < Pace().budget


def test_the_limits_are_those_of_the_arm_and_of_its_motors() -> None:
    bench = Bench("viperx")
    elbow = bench.servo(4)
    elbow.put("Max Position Limit", 3070)
    narrower = type(bench.arm)(bench.wiring, bench.arm.spec, bench.port)
    assert narrower.upper[2] == pytest.approx(bench.wiring.motors[2].value(3070))
    assert narrower.lower[2] == bench.arm.lower[2]
    assert narrower.spec.upper == tuple(narrower.upper)
    narrower.engage()
    with pytest.raises(ValueError, match="target must be within"):
        narrower.write(np.where(np.arange(7) == 2, 1.6, 0.5))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=6, max_size=6))
def test_nothing_that_is_no_number_or_out_of_limits_reaches_a_motor(values: list[float]) -> None:
    bench = _engaged_koch()
    target = np.array(values)
    within = ((target >= bench.arm.lower) & (target <= bench.arm.upper)).all()
    before = [servo.goal_at for servo in bench.chain.servos]
    try:
        bench.arm.write(target)
    except ValueError:
        assert [servo.goal_at for servo in bench.chain.servos] == before
    else:
        assert within or np.allclose(target, np.clip(target, bench.arm.lower, bench.arm.upper))


KOCHS: list[Bench] = []


def _engaged_koch() -> Bench:
    """One engaged arm for all examples; its watchdog is patient, its time stands still."""
    if not KOCHS:
        KOCHS.append(Bench("koch", Pace(watchdog=2.0)))
        KOCHS[0].arm.engage()
    return KOCHS[0]


def test_in_3000_ticks_of_a_bad_line_no_wrong_value_is_used_and_every_stale_one_flagged() -> None:
    bench = Bench("koch", plant=Counter)
    bench.arm.engage()
    bench.inject("loss=0.01", "crc=0.01", "truncation=0.01")
    judge = Judge(bench.wiring)
    for tick in range(3000):
        bench.wait_for_tick()
        if tick % 50 == 49:
            bench.inject(
                "delay=0.006@3"
            )  # late answers must not pass for those to a later question
        elif tick % 50 == 0:
            bench.chain.clear("delay")
        begin = bench.chain.plant.count
        state = bench.arm.read()
        assert not state.faults
        judge.look(state, begin)
    assert judge.wrong == []
    assert bench.arm.bus.counts.repeats > 100
    assert 0 < judge.stale < 300


def test_the_judge_of_the_bad_line_would_notice_old_and_wrong_values() -> None:
    bench = Bench("koch", plant=Counter)
    old = bench.arm.engage()
    bench.wait_for_tick()
    begin = bench.chain.plant.count
    new = bench.arm.read()
    for lie in (
        replace(new, position=old.position),
        replace(new, velocity=old.velocity),
        replace(new, position=new.position[[1, 0, 2, 3, 4, 5]]),
        replace(new, fresh=~new.fresh),
    ):
        judge = Judge(bench.wiring)
        judge.look(old)
        judge.look(lie, begin)
        assert judge.wrong


@pytest.mark.parametrize(
    ("fault", "motor", "joint", "what"),
    [
        ("overload@4", 4, "elbow", "overload"),
        ("overload@5", 5, "elbow", "overload"),
        ("over_temperature@9", 9, "gripper", "overheating"),
        ("undervoltage@1", 1, "waist", "input voltage"),
        ("unplug@8", 8, "wrist_rotate", "no answer"),
        ("silence@6", 6, "forearm_roll", "no answer"),
    ],
)
def test_a_fault_names_its_motor_ends_all_goals_and_stops_the_arm(
    fault: str, motor: int, joint: str, what: str
) -> None:
    bench = Bench("viperx")
    bench.arm.engage()
    drive(bench, 50)
    assert min(servo.moved_at for servo in bench.chain.servos) > bench.port.now() - 0.2
    bench.inject(fault)
    struck = bench.port.now()
    with pytest.raises(HardwareFaultError, match=rf"{joint} \(id {motor}\): .*{what}"):
        drive(bench, 20)
    goals = [servo.goal_at for servo in bench.chain.servos]
    for _ in range(25):
        bench.wait_for_tick()
        assert bench.arm.read().faults[0].motor in (motor, 6, 8)
        with pytest.raises(HardwareFaultError):
            bench.arm.write(sway(bench))
    assert [servo.goal_at for servo in bench.chain.servos] == goals
    assert max(servo.moved_at for servo in bench.chain.servos) - struck <= SAFE_STOP_S
    working = [s for s in bench.chain.servos if not s.get("Hardware Error Status")]
    assert all(s.get("Torque Enable") for s in working if bench.chain.powered(s))


def test_a_second_fault_is_named_beside_the_first() -> None:
    bench = Bench("koch")
    bench.arm.engage()
    for fault in ("overload@2", "silence@5"):
        bench.inject(fault)
        for _ in range(10):
            bench.wait_for_tick()
            state = bench.arm.read()
    assert [(fault.joint, fault.motor) for fault in state.faults] == [
        ("shoulder_lift", 2),
        ("wrist_roll", 5),
    ]


@pytest.mark.parametrize("before", ["read", "write"])
def test_a_pause_that_the_watchdogs_did_not_like_is_reported(before: str) -> None:
    bench = Bench("koch")
    bench.arm.engage()
    drive(bench, 10)
    if before == "write":
        target = bench.arm.read().position
        bench.port.pass_time(0.5)
        bench.arm.write(np.clip(target, bench.arm.lower, bench.arm.upper))
    else:
        bench.port.pass_time(0.5)
    state = bench.arm.read()
    assert {fault.motor for fault in state.faults} == set(range(1, 7))
    assert "stopped by its watchdog" in str(state.faults[0])
    with pytest.raises(HardwareFaultError, match="watchdog"):
        bench.arm.write(state.position)
    bench.arm.engage()
    drive(bench, 10)


def test_holding_keeps_torque_and_going_limp_does_not() -> None:
    bench = Bench("koch")
    bench.arm.engage()
    drive(bench, 30)
    bench.arm.read()
    bench.arm.hold()
    bench.port.pass_time(0.05)
    places = [servo.position for servo in bench.chain.servos]
    for _ in range(20):
        bench.wait_for_tick()
        bench.arm.read()
    assert [servo.position for servo in bench.chain.servos] == pytest.approx(places, abs=2)
    assert all(servo.get("Torque Enable") for servo in bench.chain.servos)
    bench.arm.limp()
    assert not any(servo.get("Torque Enable") for servo in bench.chain.servos)
    with pytest.raises(ValueError, match="engaged"):
        bench.arm.write(np.zeros(6))


def test_a_missing_motor_is_named_before_anything_moves() -> None:
    bench = Bench("viperx")
    bench.inject("unplug@8")
    with pytest.raises(UsageError, match=r"wrist_rotate \(id 8\), gripper \(id 9\); check"):
        type(bench.arm)(bench.wiring, bench.arm.spec, bench.port)


def test_another_arm_is_recognised_by_its_motors() -> None:
    koch = Bench("koch")
    with pytest.raises(UsageError, match=r"no answer from elbow_shadow|no answer from|is a koch"):
        type(koch.arm)(VIPERX, Bench("viperx").arm.spec, koch.port)


def test_a_motor_with_an_error_is_not_engaged() -> None:
    bench = Bench("koch")
    bench.inject("over_temperature@2")
    bench.port.pass_time(0.1)
    with pytest.raises(UsageError, match=r"shoulder_lift \(id 2\) reports: overheating"):
        type(bench.arm)(bench.wiring, bench.arm.spec, bench.port)


def test_a_pair_that_would_fight_is_refused() -> None:
    bench = Bench("viperx")
    bench.servo(3).put("Drive Mode", 1)
    with pytest.raises(UsageError, match=r"Drive Mode of servo 3 must be 0, got 1.*they fight"):
        bench.arm.engage()


def test_a_pair_that_fights_overloads_itself() -> None:
    bench = Bench("viperx")
    for motor in (4, 5):
        bench.servo(motor).put("Drive Mode", 0)
        bench.servo(motor).put("Secondary(Shadow) ID", 255)
        bench.servo(motor)._reset_goals()
        bench.arm.bus.put(motor, "Torque Enable", 1)
        bench.arm.bus.put(motor, "Goal Position", 1500)
    bench.port.pass_time(3.0)
    errors = [bench.servo(motor).get("Hardware Error Status") for motor in (4, 5)]
    assert 0x20 in errors


def test_settings_of_the_software_are_written_and_only_without_torque() -> None:
    bench = Bench("koch")
    bench.servo(1).put("Operating Mode", 3)
    bench.servo(2).put("Drive Mode", 4)
    bench.arm.engage()
    assert bench.servo(1).get("Operating Mode") == 4
    assert bench.servo(2).get("Drive Mode") == 0
    bench.servo(3).put("Operating Mode", 3)
    with pytest.raises(UsageError, match="elbow_flex: Operating Mode of servo 3 must be 4"):
        bench.arm.engage()


def test_motors_without_fast_reads_are_read_one_by_one() -> None:
    bench = Bench("koch")
    bench.servo(4).put("Firmware Version", 40)
    plain = type(bench.arm)(bench.wiring, bench.arm.spec, bench.port)
    assert not plain.bus.fast
    plain.engage()
    bench.inject("loss=0.05", "crc=0.05")
    assert sum(plain.read().fresh.all() for _ in range(100)) > 80


def test_a_motor_that_never_answers_costs_a_bounded_time() -> None:
    bench = Bench("koch")
    bench.inject("silence@2")
    start = bench.port.now()
    with pytest.raises(NoAnswerError, match="servo 2"):
        bench.arm.bus.get(2, "LED")
    assert bench.port.now() - start < 0.5


@pytest.mark.parametrize("wiring", [VIPERX, KOCH])
@given(share=st.floats(0, 1))
def test_positions_and_joint_values_are_each_other_s_inverse(wiring, share: float) -> None:
    for motor in wiring.motors:
        value = share if motor.opening else 6 * share - 3
        assert abs(motor.value(motor.ticks(value)) - value) <= abs(motor.slope(motor.zero)) + 2e-3


def test_a_calibration_replaces_what_differs_from_arm_to_arm() -> None:
    made = KOCH.calibrated({"elbow_flex": {"zero": 1000, "direction": -1}})
    elbow = made.motors[2]
    assert elbow.value(1000) == 0.0
    assert elbow.value(1100) < 0
    assert made.motors[1] == KOCH.motors[1]
    with pytest.raises(ValueError, match="calibration must name joints"):
        KOCH.calibrated({"elbow": {"zero": 1000}})
    with pytest.raises(ValueError, match="must lead from 0 to 1"):
        Motor("gripper", 6, "xl330_m288", opening=((0, 0.0), (100, 0.5), (50, 1.0)))
