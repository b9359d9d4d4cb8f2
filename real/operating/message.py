"""What an operator's browser may say, checked before anything is done with it."""

import json
from dataclasses import dataclass
from typing import Any

from envs.errors import UsageError

LONGEST = 400
"""Characters of a reason, or of any other text."""
LONGEST_NAME = 40


@dataclass(frozen=True)
class Hello:
    """Who sits at the browser."""

    who: str


@dataclass(frozen=True)
class Answer:
    """What was chosen.

    Attributes:
        name, value: of the choice.
        text: the reason, where one is asked for.
        number: of the view that is answered.
    """

    name: str
    value: str
    text: str
    number: int


@dataclass(frozen=True)
class Take:
    """A watcher takes over."""


@dataclass(frozen=True)
class Stop:
    """Emergency stop; everybody may."""


Message = Hello | Answer | Take | Stop


def parse(text: str | bytes) -> Message:
    """Return what a message says.

    Raises:
        UsageError: it is malformed.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"a message must be JSON: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"a message must be an object, got {type(data).__name__}")
    match data.get("type"):
        case "hello":
            return Hello(_name(data.get("who")))
        case "answer":
            number = data.get("number")
            if not isinstance(number, int) or isinstance(number, bool):
                raise UsageError(f"number must be that of a view, got {str(number)[:40]}")
            return Answer(_text(data, "name"), _text(data, "value"), _text(data, "text"), number)
        case "take":
            return Take()
        case "stop":
            return Stop()
    raise UsageError(f"a message must be hello, answer, take or stop, got {str(data)[:80]}")


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str) or len(value) > LONGEST:
        raise UsageError(f"{key} must be a text of at most {LONGEST} characters")
    if any(ord(character) < 32 and character not in "\n\t" for character in value):
        raise UsageError(f"{key} must be a text without control characters")
    return value.strip()


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME:
        raise UsageError(f"who must be a name of 1 to {LONGEST_NAME} characters")
    if not value.isprintable():
        raise UsageError("who must be a name in printable characters")
    return value.strip()
