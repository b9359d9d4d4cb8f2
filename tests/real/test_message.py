import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.cartesian import Grasped, Hand
from envs.errors import UsageError
from real.stop import StopBoard
from real.teleop.message import PRESSES, TAKE, Press, Stop, parse

STILL: dict[str, Any] = {"type": "hand", "move": [0, 0, 0], "turn": [0, 0, 0], "slow": False}


def hand(**changes: Any) -> str:
    return json.dumps({**STILL, **changes})


def test_a_hand_is_read() -> None:
    read = parse(hand(move=[1, -0.5, 0], turn=[0, 0, 0.25], slow=True, opening=0.3))
    assert read == Hand((1.0, -0.5, 0.0), (0.0, 0.0, 0.25), True, 0.3)


@pytest.mark.parametrize("key", [*PRESSES, TAKE])
def test_a_press_is_read(key: str) -> None:
    assert parse(json.dumps({"type": "press", "key": key})) == Press(key)


def test_a_tracked_pose_is_turned_into_the_persons_axes() -> None:
    # WebXR: x right, y up, z towards the person; turned by 90 degrees about its y, which is up
    half = math.sqrt(0.5)
    pose = {"position": [1, 2, 3], "orientation": [0, half, 0, half]}
    read = parse(hand(grasped=pose))
    assert isinstance(read, Hand)
    assert isinstance(read.grasped, Grasped)
    assert read.grasped.position == (-3.0, -1.0, 2.0)  # away, left, up
    assert read.grasped.quaternion == pytest.approx((half, 0, 0, half))


def test_the_second_of_two_tracked_hands_is_read() -> None:
    right = {**STILL, "opening": 0.2}
    read = parse(hand(opening=0.9, second=right))
    assert isinstance(read, Hand)
    assert read == Hand(opening=0.9, second=Hand(opening=0.2))
    assert read.openings == (0.9, 0.2)
    assert read.still
    turning = parse(hand(second={**STILL, "turn": [0, 1, 0]}))
    assert isinstance(turning, Hand)
    assert not turning.still


BAD = [
    (hand(second=[1]), "second must be a hand without a second"),
    (hand(second={**STILL, "second": STILL}), "second must be a hand without a second"),
    (hand(second={**STILL, "move": [0, 0, 3]}), "move must be 3 finite numbers"),
    ("", "must be JSON"),
    ("hello", "must be JSON"),
    ("\xff", "must be JSON"),
    ("[" * 2000, "must be JSON"),
    ("[1, 2]", "must be an object, got list"),
    ("null", "must be an object"),
    ('{"type": "hand"}', "move must be 3 finite numbers"),
    ('{"type": "hand", "move": [NaN, 0, 0], "turn": [0, 0, 0]}', "NaN is not a number"),
    ('{"type": "hand", "move": [Infinity, 0, 0], "turn": [0, 0, 0]}', "Infinity is not a number"),
    ('{"type": "hand", "move": [1e999, 0, 0], "turn": [0, 0, 0]}', "in -1..1, got"),
    (hand(move=[None, 0, 0]), "move must be 3 finite numbers in -1..1, got"),
    (hand(move=[0, 0]), "move must be 3"),
    (hand(move=[2, 0, 0]), "move must be 3"),
    (hand(move="000"), "move must be 3"),
    (hand(move=[True, 0, 0]), "move must be 3"),
    (hand(turn=[0, 0, -1.5]), "turn must be 3"),
    (hand(opening=2), "opening must be a finite number in 0..1"),
    (hand(opening="wide"), "opening must be"),
    (hand(grasped=[1]), "grasped must be an object or null"),
    (hand(grasped={"position": [0, 0, 99], "orientation": [0, 0, 0, 1]}), "position must be 3"),
    (hand(grasped={"position": [0, 0, 0], "orientation": [0, 0, 0, 0]}), "unit quaternion"),
    (hand(grasped={"position": [0, 0, 0]}), "orientation must be 4"),
    ('{"type": "press", "key": "launch"}', "a press of gripper, success"),
    ('{"type": "press", "key": ["undo"]}', "a press of"),
    ('{"type": "fly"}', "must be a hand, a stop or a press"),
]


@pytest.mark.parametrize(("text", "told"), BAD)
def test_what_cannot_be_meant_is_refused_with_the_reason(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("[", r"\[").replace("..", r"\.\.")):
        parse(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=40)
@given(
    st.binary()
    | st.text()
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["hand", "press"])},
        optional={
            name: json_values for name in ("move", "turn", "slow", "opening", "grasped", "key")
        },
    ).map(json.dumps)
)
def test_any_message_is_read_or_refused_and_never_crashes(text: str | bytes) -> None:
    try:
        read = parse(text)
    except UsageError:
        return
    if isinstance(read, Hand):
        assert all(math.isfinite(x) and abs(x) <= 1 for x in (*read.move, *read.turn))


def test_a_stop_that_is_not_understood_holds_all_the_same() -> None:
    board = StopBoard()
    wish = parse('{"type": "stop", "reaction": "explode"}')
    assert isinstance(wish, Stop)
    with pytest.raises(UsageError, match="reaction must be one of hold, limp"):
        board.event(wish.message)
    assert board.request() is not None
