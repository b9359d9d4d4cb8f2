import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.damiao_wire import (
    DISABLE,
    ENABLE,
    READ,
    TYPES,
    WRITE,
    Feedback,
    Mit,
    Ranges,
    Register,
    pack_feedback,
    pack_mit,
    pack_register,
    simple,
    simple_in,
    unpack_feedback,
    unpack_mit,
    unpack_register,
)
from real.openarm import OPENARM_RIGHT, Motor

DM4310 = TYPES["DM4310"]


def share(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low * 1.2, high * 1.2, allow_nan=False)


@given(share(-12.5, 12.5), share(-30, 30), share(0, 500), share(0, 5), share(-10, 10))
def test_a_command_comes_back_from_the_wire_to_within_half_a_count(q, dq, kp, kd, tau) -> None:
    back = unpack_mit(pack_mit(Mit(q, dq, kp, kd, tau), DM4310), DM4310)
    limits = ((q, -12.5, 12.5, 16), (dq, -30, 30, 12), (kp, 0, 500, 12), (kd, 0, 5, 12))
    for value, found in zip((*limits, (tau, -10, 10, 12)), back, strict=True):
        x, low, high, bits = value
        clipped = min(max(x, low), high)
        assert abs(found - clipped) <= (high - low) / (2**bits - 1) / 2 + 1e-9


@given(
    st.integers(1, 15),
    st.integers(0, 15),
    share(-12.5, 12.5),
    share(-30, 30),
    share(-10, 10),
    st.integers(-20, 300),
)
def test_an_answer_comes_back_from_the_wire(motor, status, q, dq, tau, heat) -> None:
    data = pack_feedback(Feedback(motor, status, q, dq, tau, heat, heat), DM4310)
    back = unpack_feedback(data, DM4310)
    assert len(data) == 8
    assert back[:2] == (motor, status)
    assert back.q == pytest.approx(min(max(q, -12.5), 12.5), abs=2e-4)
    assert back.driver == min(max(heat, 0), 255)
    assert pack_feedback(back, DM4310) == data


@given(st.integers(1, 0x7FE), st.sampled_from([0, 2, 7, 9, 10, 21, 81]), st.integers(0, 2**32 - 1))
def test_a_register_comes_back_from_the_wire(motor, register, value) -> None:
    request = Register(motor, WRITE, register, value)
    back = unpack_register(pack_register(request))
    exact = register in (7, 9, 10)
    assert back[:3] == request[:3]
    assert back.value == (value if exact else pytest.approx(value, rel=1e-7))


def test_frames_are_those_of_the_manuals() -> None:
    # Worked out by hand: the middle of each range is 0x7FFF or 0x7FF counts, and halves round to
    # even, so 0 travels as 0x8000 and 0x800 (32767.5 and 2047.5).
    assert pack_mit(Mit(0, 0, 0, 0, 0), DM4310).hex() == "8000800000000800"
    assert pack_mit(Mit(12.5, -30, 500, 5, 10), DM4310).hex() == "ffff000fffffffff"
    assert pack_mit(Mit(-12.5, 30, 250, 0, -10), DM4310).hex() == "0000fff800000000"
    assert simple(ENABLE).hex() == "fffffffffffffffc"
    assert pack_register(Register(3, READ, 21, 0)).hex() == "0300331500000000"
    assert pack_register(Register(0x108, WRITE, 9, 4000)).hex() == "08015509a00f0000"
    assert pack_register(Register(1, WRITE, 21, 12.5)).hex() == "0100551500004841"
    answer = unpack_feedback(bytes.fromhex("1380008008001e28"), DM4310)
    assert answer[:2] == (3, 1)
    assert answer[2:5] == pytest.approx((0, 0, 0), abs=0.01)
    assert answer[5:] == (30, 40)


def test_a_command_frame_is_never_mistaken_for_control() -> None:
    assert simple_in(simple(DISABLE)) == DISABLE
    assert simple_in(pack_mit(Mit(12.5, 30, 500, 5, 10), DM4310)) is None
    assert unpack_register(pack_mit(Mit(0, 0, 0, 0, 0), DM4310)) is None


def test_tables_of_motors_are_checked() -> None:
    with pytest.raises(ValueError, match="DM4310, DM4340, DM8009"):
        Motor("x", "DM1", 1, 2, 1, 1, (0, 1))
    with pytest.raises(ValueError, match="ids must differ"):
        Motor("x", "DM4310", 1, 1, 1, 1, (0, 1))
    with pytest.raises(ValueError, match="must be positive"):
        Ranges(0, 1, 1)
    assert OPENARM_RIGHT[-1].joint_limits == (0.0, 1.0)
    assert OPENARM_RIGHT[-1].to_motor(1.0) == pytest.approx(math.radians(-65))
