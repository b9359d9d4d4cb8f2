"""What a browser may say, checked before anything is done with it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.cartesian import Grasped, Hand
from envs.errors import UsageError

PRESSES = ("gripper", "success", "failure", "discard", "reset", "undo", "switch")
"""What a person can press once, beside moving the arm."""

TAKE = "take"
"""A watcher asks for the free controls."""

FAR = 20.0  # no tracked hand is further from where tracking began [m]


@dataclass(frozen=True)
class Press:
    """One of ``PRESSES``, or ``TAKE``."""

    key: str


@dataclass(frozen=True)
class Stop:
    """An emergency stop: what ``StopBoard.event`` takes, whatever it is."""

    message: Mapping[str, Any]


def parse(text: str | bytes) -> Hand | Press | Stop:
    """Return what a message asks for.

    Raises:
        UsageError: a message that is malformed, or a number that is none or out of its range.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"a message must be JSON: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"a message must be an object, got {type(data).__name__}")
    kind = data.get("type")
    if kind == "stop":
        source = "gamepad" if data.get("source") == "gamepad" else "browser"
        return Stop({**data, "source": source})
    if kind == "hand":
        return _hand(data)
    if kind == "press" and data.get("key") in (*PRESSES, TAKE):
        return Press(data["key"])
    known = ", ".join((*PRESSES, TAKE))
    raise UsageError(
        f"a message must be a hand, a stop or a press of {known}, got {str(data)[:80]}"
    )


def _hand(data: Mapping[str, Any]) -> Hand:
    opening = data.get("opening")
    grasped, second = data.get("grasped"), data.get("second")
    return Hand(
        move=_numbers("move", data.get("move"), 3, 1.0),
        turn=_numbers("turn", data.get("turn"), 3, 1.0),
        slow=data.get("slow") is True,
        opening=None if opening is None else _numbers("opening", [opening], 1, 1.0, 0.0)[0],
        grasped=None if grasped is None else _grasped(grasped),
        second=None if second is None else _second(second),
    )


def _second(data: Any) -> Hand:  # noqa: ANN401  (anything a browser can send)
    """Read what the right one of two tracked hands asks for."""
    if not isinstance(data, dict) or data.get("second") is not None:
        raise UsageError(f"second must be a hand without a second or null, got {str(data)[:80]}")
    return _hand(data)


def _grasped(data: Any) -> Grasped:  # noqa: ANN401  (anything a browser can send)
    """Read a pose in WebXR's axes (x right, y up, z back; quaternion xyzw) into the person's."""
    if not isinstance(data, dict):
        raise UsageError(f"grasped must be an object or null, got {str(data)[:80]}")
    px, py, pz = _numbers("position", data.get("position"), 3, FAR)
    x, y, z, w = _numbers("orientation", data.get("orientation"), 4, 1.01)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not 0.9 < length < 1.1:
        raise UsageError(f"orientation must be a unit quaternion, got length {length:.3g}")
    turn = (w / length, -z / length, -x / length, y / length)
    return Grasped((-pz, -px, py), turn)


def _numbers(
    name: str, values: object, count: int, most: float, least: float | None = None
) -> tuple[float, ...]:
    """Return ``count`` finite numbers within -most..most (or least..most)."""
    low = -most if least is None else least
    given = values if isinstance(values, list) else []
    if len(given) != count or not all(_within(value, low, most) for value in given):
        what = f"{count} finite numbers" if count > 1 else "a finite number"
        raise UsageError(f"{name} must be {what} in {low:g}..{most:g}, got {str(values)[:80]}")
    return tuple(float(value) for value in given)


def _within(value: object, low: float, high: float) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return low <= value <= high  # false for NaN, too


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
