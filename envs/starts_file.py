"""A file of start states: where to demonstrate next, as ``armtrials diagnose`` proposes it."""

import json
from collections.abc import Sequence
from pathlib import Path

from envs.arm import InitialCondition
from envs.atomic import write_atomic
from envs.errors import UsageError

SCHEMA = 1


def write_starts(path: Path, task: str, robot: str, starts: Sequence[InitialCondition]) -> None:
    """Write ``starts`` of ``task`` on ``robot`` for ``armtrials collect --starts``."""
    content = {
        "schema": SCHEMA,
        "task": task,
        "robot": robot,
        "starts": [start.to_json() for start in starts],
    }
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())


def read_starts(path: Path, task: str, robot: str) -> tuple[InitialCondition, ...]:
    """Return the starts of a file.

    Raises:
        UsageError: it cannot be read, holds none, or they are of another task or robot.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        found = tuple(InitialCondition.from_json(start) for start in content["starts"])
        of = content["task"], content["robot"]
        if content["schema"] != SCHEMA or not found:
            raise ValueError("another schema, or no start")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: is no file of starts ({error})") from error
    if of != (task, robot):
        raise UsageError(f"{path}: its starts are of {of[0]} on {of[1]}, not {task} on {robot}")
    return found
