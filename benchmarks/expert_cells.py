"""Which demonstrators are measured where: names given by a person, made into cells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.protocol import NOMINAL, PROTOCOLS, EvalProtocol
from envs.ability import able, refusal, require
from envs.crew import crew
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.factor import LEVELS, PIXELS
from envs.robots import ROBOTS
from envs.tasks import TASKS
from envs.variation import VARIATIONS, unfit

ALL = "all"
UNSEEN = ("observation",)
"""Axes that change what a policy is told of the state: demonstrators read the simulator itself."""


@dataclass(frozen=True, order=True)
class Cell:
    """One demonstrator in one condition.

    Attributes:
        task: registered task.
        robot: an arm that can do it.
        operator: style of the demonstrator, or a crew whose members take turns.
        condition: of the task's newest protocol.
    """

    task: str
    robot: str
    operator: str = "clean"
    condition: str = NOMINAL


def protocol_on(task: str, robot: str = "") -> EvalProtocol:
    """Return the newest protocol of ``task``, on ``robot`` in place of its own."""
    newest = [protocol for protocol in PROTOCOLS.values() if protocol.task == task][-1]
    return replace(newest, robot=robot) if robot else newest


def felt(task: str) -> list[str]:
    """Return the axes that can change what a demonstrator comes to: pictures and words cannot."""
    return [
        name
        for name, axis in VARIATIONS.items()
        if axis.tracks != PIXELS and name not in UNSEEN and unfit(name, TASKS[task]) is None
    ]


def cells(
    tasks: Sequence[str],
    robots: Sequence[str] = (),
    operators: Sequence[str] = ("clean",),
    conditions: Sequence[str] = (NOMINAL,),
) -> list[Cell]:
    """Return the cells that the names stand for, in order of task, arm, style, condition.

    What ``all`` stands for is left out where it cannot be; what is named must be possible.

    Args:
        tasks: registered, or ``all``.
        robots: registered, or ``all``; none: each task's own.
        operators: styles and crews, or ``all`` styles.
        conditions: ``nominal``, ``<axis>/<level>``, a level (of all axes that are felt) or ``all``.

    Raises:
        UsageError: an unknown name, an arm that cannot do a task, an axis that does not apply.
    """
    styles = _spread(operators, list(OPERATORS))
    for style in styles:
        crew(style)
    found = [
        Cell(task, robot, style, condition)
        for task in _spread(tasks, list(TASKS))
        for robot in _arms(task, robots, sole=ALL not in tasks)
        for style in styles
        for condition in _conditions(task, conditions, sole=ALL not in tasks)
    ]
    if not found:
        raise UsageError(
            f"no task can be done by {', '.join(robots)} under {', '.join(conditions)}"
        )
    return found


def _spread(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the names, ``all`` in place of every known one, none twice."""
    words = [word for text in names for word in text.split(",") if word]
    return list(dict.fromkeys(n for word in words for n in (known if word == ALL else [word])))


def _arms(task: str, robots: Sequence[str], sole: bool) -> list[str]:
    """Return the arms that are to do a task; ``sole``: it was named, so they have to be able."""
    if not robots:
        return [TASKS[task].robot]
    if ALL in robots:
        return list(able(TASKS[task]))
    for robot in (named := _spread(robots, list(ROBOTS))):
        if sole:
            require(TASKS[task], robot)
    return [robot for robot in named if refusal(TASKS[task], robot) is None]


def _conditions(task: str, names: Sequence[str], sole: bool) -> list[str]:
    """Return the conditions that the names stand for in a task."""
    found = []
    for name in _spread(names, [NOMINAL, *LEVELS]):
        if name in LEVELS:
            found += [f"{axis}/{name}" for axis in felt(task)]
        elif sole or name == NOMINAL or unfit(name.partition("/")[0], TASKS[task]) is None:
            found.append(_condition(task, name))
    return list(dict.fromkeys(found))


def _condition(task: str, name: str) -> str:
    """Return the name of a condition that exists and that a demonstrator can feel."""
    chosen = protocol_on(task).condition(name)
    if chosen.axes and not {axis for axis, _ in chosen.axes} & set(felt(task)):
        raise UsageError(
            f"condition {name!r} does not reach a scripted expert, which reads the simulator; "
            f"axes that do: {', '.join(felt(task))}"
        )
    return chosen.name
