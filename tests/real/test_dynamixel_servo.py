"""What an emulated servo does with time: profiles, modes, heat, and answers it does not give."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.dynamixel_packet import BROADCAST, Instruction, Packet, Scanner, frame
from real.emulators.dynamixel_profile import Profile
from tests.real.dynamixel_rig import Bench

UNIT_RPM = 0.229


def ask(
    bench: Bench, motor: int, instruction: Instruction, parameters: bytes = b""
) -> list[Packet]:
    """Send a packet and return all answers that come within a tenth of a second."""
    bench.port.send(frame(motor, instruction, parameters))
    scanner, answers = Scanner(), list[Packet]()
    deadline = bench.port.now() + 0.1
    while data := bench.port.receive(deadline):
        answers += scanner.feed(data)
    return answers


@given(
    st.floats(-5000, 5000),
    st.floats(100, 3000),
    st.one_of(st.just(inf), st.floats(500, 20_000)),
    st.floats(0.001, 0.005),
)
def test_a_profile_keeps_its_limits_and_arrives(
    goal: float, velocity: float, acceleration: float, dt: float
) -> None:
    profile = Profile(0.0)
    profile.head_for(goal, velocity, acceleration)
    before, took = 0.0, 0.0
    while profile.moving:
        profile.advance(dt)
        took += dt
        assert abs(profile.velocity) <= velocity * (1 + 1e-9)
        assert abs(profile.velocity - before) <= max(acceleration * dt, 1e-6) * (1 + 1e-6) or (
            not profile.moving
        )
        assert abs(profile.position) <= abs(goal) + 1e-9
        before = profile.velocity
        least = abs(goal) / velocity
        ramps = velocity / acceleration if acceleration < inf else 0.0
        assert took < 2 * (least + 2 * ramps + 2 * (abs(goal) / acceleration) ** 0.5) + 0.2
    assert profile.position == goal


def test_a_profile_may_be_given_as_times() -> None:
    profile = Profile(0.0)
    profile.head_for_in(1000, total=1.0, ramp=0.25)
    for _ in range(500):
        profile.advance(0.001)
    assert profile.position == pytest.approx(500, abs=5)
    for _ in range(500):
        profile.advance(0.001)
    assert profile.position == pytest.approx(1000, abs=5)


def test_a_new_goal_in_the_middle_of_a_motion_keeps_the_speed() -> None:
    profile = Profile(0.0)
    profile.head_for(1000, 500, 1000)
    for _ in range(800):
        profile.advance(0.001)
    speed = profile.velocity
    profile.head_for(-1000, 500, 1000)
    profile.advance(0.001)
    assert profile.velocity == pytest.approx(speed, abs=1.1)


def test_profile_velocity_limits_the_shaft() -> None:
    bench = Bench("koch")
    bench.arm.bus.put(1, "Profile Velocity", 50)
    bench.arm.bus.put(1, "Torque Enable", 1)
    begin = bench.servo(1).position
    bench.arm.bus.put(1, "Goal Position", begin + 2000)
    bench.port.pass_time(1.0)
    expected = 50 * UNIT_RPM / 60 * 4096
    assert bench.servo(1).position - begin == pytest.approx(expected, rel=0.05)
    assert bench.arm.bus.get(1, "Present Velocity") == pytest.approx(50, abs=5)
    assert bench.arm.bus.get(1, "Moving") == 1


def test_velocity_mode_turns_without_end() -> None:
    bench = Bench("koch")
    begin = bench.servo(5).position
    bench.arm.bus.put(5, "Operating Mode", 1)
    bench.arm.bus.put(5, "Torque Enable", 1)
    bench.arm.bus.put(5, "Goal Velocity", -100)
    bench.port.pass_time(2.0)
    expected = -100 * UNIT_RPM / 60 * 4096 * 2
    assert bench.servo(5).position - begin == pytest.approx(expected, rel=0.02)


def test_positions_follow_the_drive_mode_and_the_homing_offset() -> None:
    bench = Bench("koch")
    servo = bench.servo(2)
    before = servo.position
    bench.arm.bus.put(2, "Homing Offset", 300)
    assert servo.position == before + 300
    bench.arm.bus.put(2, "Homing Offset", 0)
    bench.arm.bus.put(2, "Drive Mode", 1)
    assert servo.position == pytest.approx(4096 - before, abs=1)


def test_a_motor_at_its_limit_of_current_grows_hot() -> None:
    bench = Bench("viperx")
    for motor in (4, 5):  # apart, a pair pulls against itself, below the overload
        bench.servo(motor).put("Secondary(Shadow) ID", 255)
        bench.servo(motor).put("Current Limit", 1200)
    for motor in (4, 5):
        bench.arm.bus.put(motor, "Torque Enable", 1)
    cool = bench.servo(4).temperature
    bench.arm.bus.put(4, "Goal Position", 1500)
    bench.arm.bus.put(5, "Goal Position", 3000)
    bench.port.pass_time(60.0)
    assert bench.servo(4).temperature > cool + 10
    assert bench.servo(4).get("Hardware Error Status") == 0


def test_a_long_way_without_load_is_no_overload() -> None:
    bench = Bench("koch")
    begin = bench.servo(5).position
    bench.arm.bus.put(5, "Operating Mode", 4)
    bench.arm.bus.put(5, "Torque Enable", 1)
    bench.arm.bus.put(5, "Goal Position", begin + 3 * 4096)  # seconds at the free speed
    bench.port.pass_time(6.0)
    assert bench.servo(5).position == pytest.approx(begin + 3 * 4096, abs=1)
    assert bench.servo(5).get("Hardware Error Status") == 0
    bench.servo(5).clear_turns(bench.port.now())
    assert bench.servo(5).get("Present Position") == pytest.approx(begin, abs=1)  # at once


def test_the_status_return_level_says_which_instructions_are_answered() -> None:
    bench = Bench("koch")
    level = bench.servo(3).table["Status Return Level"].address.to_bytes(2, "little")
    read = b"\x84\x00\x04\x00"
    for value, answered in ((0, [True, False, False]), (1, [True, True, False])):
        bench.servo(3).put("Status Return Level", value)
        got = [
            bool(ask(bench, 3, Instruction.PING)),
            bool(ask(bench, 3, Instruction.READ, read)),
            bool(ask(bench, 3, Instruction.WRITE, level + bytes([value]))),
        ]
        assert got == answered


def test_an_unknown_instruction_and_a_broken_packet_are_refused() -> None:
    bench = Bench("koch")
    assert ask(bench, 3, 0x77)[0].error == 2
    packet = bytearray(frame(3, Instruction.PING))
    packet[-1] ^= 0xFF
    bench.port.send(bytes(packet))
    answer = next(Scanner().feed(bench.port.receive(bench.port.now() + 0.1)))
    assert answer.error == 3


def test_a_broadcast_to_reset_everything_is_ignored() -> None:
    bench = Bench("koch")
    ask(bench, BROADCAST, Instruction.FACTORY_RESET, b"\xff")
    assert [servo.motor for servo in bench.chain.servos] == [1, 2, 3, 4, 5, 6]
    ask(bench, 6, Instruction.FACTORY_RESET, b"\xff")
    assert bench.chain.servos[5].motor == 1


@given(st.binary(max_size=40), st.integers(0, 255), st.sampled_from([*Instruction, 0, 0x99]))
def test_no_packet_however_odd_upsets_the_bus(data: bytes, motor: int, instruction: int) -> None:
    bench = ODD[0] if ODD else Bench("koch")
    ODD[:] = [bench]
    bench.port.send(frame(motor, instruction, data))
    bench.port.pass_time(0.001)
    bench.chain.advance(bench.port.now())


ODD: list[Bench] = []


def test_after_a_silent_motor_the_chain_is_silent_too() -> None:
    bench = Bench("koch")
    bench.inject("silence@3")
    parameters = b"\x84\x00\x04\x00" + bytes([1, 2, 3, 4, 5, 6])
    assert [p.motor for p in ask(bench, BROADCAST, Instruction.SYNC_READ, parameters)] == [1, 2]
