"""The tables of docs/tasks.md: what the code says of a task, and what experts came to."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.expert_cells import Cell, felt
from benchmarks.experts import Tally, stuck
from benchmarks.protocol import NOMINAL
from envs.ability import able
from envs.batch import SimBatch
from envs.readings import Readings
from envs.robots import ROBOTS
from envs.task import Task
from envs.tasks import TASKS
from envs.variation import VARIATIONS, unfit

BLOCK = re.compile(r"(<!-- (\w+)(?:: (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)
"""``<!-- facts: pick_place -->`` up to ``<!-- end -->``; what lies between is made here."""

HZ = 50
POSE = 7  # position and quaternion of an object


def filled(page: str, tallies: Mapping[Cell, Tally]) -> str:
    """Return a page with the content of all its blocks made anew.

    Args:
        page: Markdown with blocks ``facts: <task>``, ``nominal``, ``perturbed: <level>`` and
            ``styles``.
        tallies: what experts came to.
    """
    made: dict[str, Callable[[str], str]] = {
        "facts": lambda name: facts(TASKS[name]),
        "nominal": lambda _: nominal(tallies),
        "perturbed": lambda level: perturbed(tallies, level),
        "styles": lambda _: styles(tallies),
    }
    return BLOCK.sub(lambda m: f"{m[1]}{made[m[2]](m[3] or '')}\n{m[4]}", page)


def facts(task: Task) -> str:
    """Return the table of a task: what it asks, how it is judged, who can do it."""
    goal = " ".join((inspect.getdoc(type(task).goal) or "").split())
    seconds = f"{task.horizon / HZ:g}"
    cannot = [f"`{robot}`: {reason}" for robot, reason in task.impossible.items()]
    unmeant = [f"`{n}`: {why}" for n in VARIATIONS if (why := unfit(n, task)) is not None]
    rows = {
        "told": f"“{task.instruction}”",
        "stages": ", ".join(task.stages),
        "success": f"{goal} Held for {task.hold_s:g} s.",
        "time": f"{task.horizon} control periods, {seconds} s",
        "arms": ", ".join(f"`{robot}`" for robot in able(task)),
        "arms that cannot": "; ".join(cannot),
        "failures of its own": ", ".join(f"`{label}`" for label in labels(task)),
        "state track": state(task),
        "axes without meaning": "; ".join(unmeant),
    }
    lines = [f"| {name} | {text} |" for name, text in rows.items() if text]
    return "\n".join(["| | |", "|---|---|", *lines])


def labels(task: Task) -> list[str]:
    """Return the failure labels that the task itself gives."""
    sims = SimBatch(task, size=2, threads=1)
    start = task.sample(np.random.default_rng(0), sims.spec)
    sims.reset([start, start])
    values = np.repeat(sims.sensors.T[:, None], 2, axis=1)  # (sensors, T + 1, N)
    return list(task.failures(Readings(sims.world.sensors, list(values))))


def state(task: Task) -> str:
    """Return what a policy of the state track reads, and how many numbers that is."""
    joints, words = ROBOTS[task.robot].spec().n, len(task.encode(""))
    told = f"`instruction` ({words}), " if words else ""
    objects = ", ".join(f"`{name}`" for name in task.objects)
    total = joints + words + POSE * len(task.objects)
    return (
        f"`qpos` ({joints} on `{task.robot}`), {told}pose ({POSE} each) of {objects}: "
        f"{total} numbers"
    )


def nominal(tallies: Mapping[Cell, Tally]) -> str:
    """Return the success of clean experts on nominal starts, an arm a row."""
    rows = [
        (f"`{name}`", f"`{robot}`", f"{t.successes} of {t.starts}", rate(t), stuck(t))
        for name, task in TASKS.items()
        for robot in able(task)
        if (t := tallies.get(Cell(name, robot))) is not None
    ]
    return table(("task", "arm", "done", "% (95 % interval)", "failed before stage"), rows)


def perturbed(tallies: Mapping[Cell, Tally], level: str) -> str:
    """Return the success of clean experts on each task's own arm at one level of every axis."""
    axes = [name for name in VARIATIONS if any(name in felt(task) for task in TASKS)]
    rows = []
    for name, task in TASKS.items():
        cells = [Cell(name, task.robot, condition=f"{axis}/{level}") for axis in axes]
        if any(cell in tallies for cell in cells):
            found = [_cell(tallies, cell) for cell in cells]
            rows.append((f"`{name}`", *found))
    return table(("task", *(f"`{axis}`" for axis in axes)), rows)


def _cell(tallies: Mapping[Cell, Tally], cell: Cell) -> str:
    axis = cell.condition.partition("/")[0]
    if axis not in felt(cell.task):
        return "-"
    tally = tallies.get(cell)
    return "" if tally is None else f"{rate(tally)}, {tally.starts}"


def styles(tallies: Mapping[Cell, Tally]) -> str:
    """Return the success of the other styles on nominal starts, a task and arm a row."""
    names = sorted({c.operator for c in tallies if c.condition == NOMINAL} - {"clean"})
    rows = []
    for name, task in TASKS.items():
        for robot in able(task):
            found = [tallies.get(Cell(name, robot, operator)) for operator in names]
            if any(found):
                cells = ("" if t is None else f"{rate(t)}, {t.starts}" for t in found)
                rows.append((f"`{name}`", f"`{robot}`", *cells))
    return table(("task", "arm", *(f"`{name}`" for name in names)), rows)


def rate(tally: Tally) -> str:
    """Return a success rate with its interval in per cent: ``97.5 (94 to 99)``."""
    low, high = (f"{100 * x:.0f}" for x in (tally.interval.low, tally.interval.high))
    return f"{100 * tally.successes / tally.starts:.1f} ({low} to {high})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; where there are no rows, that nothing has been measured."""
    if not rows:
        return "Not measured yet."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
