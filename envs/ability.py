"""Which arms can do a task: asked before a scene is built, answered with a sentence."""

from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.task import Task


def refusal(task: Task, robot: str) -> str | None:
    """Return why ``robot`` cannot do ``task``, None where it can.

    Raises:
        UsageError: an unknown robot.
    """
    ROBOTS[robot]
    return task.impossible.get(robot)


def able(task: Task) -> tuple[str, ...]:
    """Return the registered robots that can do ``task``."""
    return tuple(name for name in ROBOTS if refusal(task, name) is None)


def require(task: Task, robot: str) -> None:
    """Do nothing where ``robot`` can do ``task``.

    Raises:
        UsageError: an unknown robot, or one that cannot; the message says why and which can.
    """
    reason = refusal(task, robot)
    if reason is not None:
        raise UsageError(
            f"arm {robot!r} cannot do {task.name}: {reason}; arms that can: {', '.join(able(task))}"
        )
