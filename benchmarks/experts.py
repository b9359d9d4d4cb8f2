"""How often the scripted demonstrators succeed: by task, arm and style, nominal and perturbed.

Every one meets the starts of the task's newest protocol, so a perturbed rate is read against the
nominal one start by start. What is measured is kept in one JSON file: the same command continues
after an interruption, and a cell that other code has measured is measured anew.
"""

import functools
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import envs
from benchmarks.expert_cells import Cell, protocol_on
from benchmarks.stats.intervals import Interval, cell_interval
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole
from envs.crew import crew
from envs.errors import UsageError
from envs.expert import Operator
from envs.expert_ways import goes_left
from envs.feasible import redraws
from envs.pool import Pool
from envs.sim import SimArm
from envs.tasks import TASKS
from envs.variation import distractors_of

SCHEMA = 1
SAVE_S = 10.0  # between two writes of the file
NO_START = "no start"
"""Where 100 draws in a row gave no start that the episode can begin from."""


@dataclass(frozen=True)
class Tally:
    """What came of the first starts of a cell.

    Attributes:
        cell: what was measured.
        code: digest of the simulator that measured it.
        starts: how many, from start 0.
        failed: the stage that was not reached, by the number of the start.
        redrawn: draws that were refused because nothing can begin from them.
    """

    cell: Cell
    code: str
    starts: int = 0
    failed: Mapping[int, str] = field(default_factory=dict)
    redrawn: int = 0

    @property
    def successes(self) -> int:
        """Starts from which the task was done, and the goal held."""
        return self.starts - len(self.failed)

    @property
    def interval(self) -> Interval:
        """Of the success rate, 95 %."""
        return cell_interval(self.successes, self.starts)

    def plus(self, outcome: "Outcome") -> "Tally":
        """Return the tally with the outcome of its next start."""
        failed = {self.starts: outcome.missed} if outcome.missed else {}
        return replace(
            self,
            starts=self.starts + 1,
            failed={**self.failed, **failed},
            redrawn=self.redrawn + outcome.redrawn,
        )


class Outcome(NamedTuple):
    """One start: the stage that was not reached, empty after a success; refused draws."""

    missed: str
    redrawn: int


Job = tuple[Cell, int]
"""A cell, and the number of a start."""


def measure(
    cells: Sequence[Cell],
    starts: int,
    out: Path,
    workers: int = 1,
    progress: Callable[[int], None] = lambda n: None,
    keep: bool = False,
) -> list[Tally]:
    """Let demonstrators try the first ``starts`` starts of ``cells``; what ``out`` has is kept.

    Args:
        cells: what to measure.
        starts: of each; fewer where the condition has fewer.
        out: JSON file, made if missing.
        workers: processes; the outcomes do not depend on it.
        progress: called with the number of starts just done.
        keep: continue what other code has measured, too.

    Returns:
        A tally a cell.

    Raises:
        UsageError: too few or many starts, or ``out`` is broken or cannot be written.
    """
    jobs, found = plan(cells, starts, out, keep), read_tallies(out)
    tallies = {cell: _usable(found, cell, keep) for cell in cells}
    saved = time.monotonic()
    with Pool(Prober, min(workers, max(len(jobs), 1))) as pool:
        try:
            for (cell, _), outcome in zip(jobs, pool.run(jobs), strict=True):
                tallies[cell] = tallies[cell].plus(outcome)
                progress(1)
                if time.monotonic() - saved > SAVE_S:
                    write_tallies(out, tallies)
                    saved = time.monotonic()
        finally:
            if jobs:
                write_tallies(out, tallies)
    return list(tallies.values())


def plan(cells: Sequence[Cell], starts: int, out: Path, keep: bool = False) -> list[Job]:
    """Return what is still to be done of the first ``starts`` starts of ``cells``.

    Raises:
        UsageError: fewer than one start, more than a protocol has, or ``out`` is broken.
    """
    found = read_tallies(out)
    jobs: list[Job] = []
    for cell in cells:
        protocol = protocol_on(cell.task, cell.robot)
        if not 1 <= starts <= protocol.trials:
            raise UsageError(f"starts must be 1..{protocol.trials} in {protocol.id}, got {starts}")
        last = min(starts, protocol.size(protocol.condition(cell.condition)))
        jobs += [(cell, ic) for ic in range(_usable(found, cell, keep).starts, last)]
    return jobs


def _usable(found: Mapping[Cell, Tally], cell: Cell, keep: bool) -> Tally:
    """Return what this code (``keep``: any) has found of a cell, else an empty tally."""
    tally = found.get(cell, Tally(cell, code()))
    return replace(tally, code=code()) if keep or tally.code == code() else Tally(cell, code())


class Prober:
    """Lets demonstrators try one start after another in one process."""

    def __call__(self, job: Job) -> Outcome:
        """Demonstrate from one start of a cell."""
        cell, ic = job
        protocol = protocol_on(cell.task, cell.robot)
        try:
            start = protocol.start(cell.condition, ic)
        except UsageError:
            return Outcome(NO_START, 0)
        more = distractors_of(protocol.condition(cell.condition).axes)
        sim = _arm(cell.task, cell.robot, more).sim
        expert = TASKS[cell.task].expert(sim.world, _operator(cell.operator, ic))
        sim.reset((start,))
        expert.reset(start, np.random.default_rng(protocol.seeds(ic)["policy"]))
        while not sim.done[0]:
            sim.step(np.asarray(expert.act(sim.readings))[None])
        stage = int(sim.stage[0])
        stages = TASKS[cell.task].stages
        return Outcome("" if sim.success[0] else stages[stage], redraws(start))


@functools.lru_cache(maxsize=8)
def _arm(task: str, robot: str, distractors: int) -> SimArm:
    return SimArm(TASKS[task], robot, distractors=distractors)


def _operator(name: str, ic: int) -> Operator:
    """Return who demonstrates from start ``ic``; of a task's two ways each is taken in turn."""
    members = crew(name)
    return replace(members[ic % len(members)], left=float(goes_left("mixed", ic)))


@functools.cache
def code() -> str:
    """Return a digest of the simulator's source: of what an outcome is a function of."""
    folder = Path(envs.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def read_tallies(path: Path) -> dict[Cell, Tally]:
    """Return what a file holds, nothing where there is none.

    Raises:
        UsageError: the file is broken or of another version.
    """
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError("another schema")
        tallies = [_tally(row) for row in data["cells"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: is broken ({error}); choose another --out") from error
    return {tally.cell: tally for tally in tallies}


def _tally(row: Mapping[str, Any]) -> Tally:
    cell = Cell(row["task"], row["robot"], row["operator"], row["condition"])
    failed = {int(ic): str(stage) for ic, stage in row["failed"].items()}
    if not 0 <= len(failed) <= row["starts"]:
        raise ValueError(f"{astuple(cell)} failed more often than it was tried")
    return Tally(cell, row["code"], row["starts"], failed, row["redrawn"])


def write_tallies(path: Path, tallies: Mapping[Cell, Tally]) -> None:
    """Put tallies into a file, a line a cell, sorted; other cells stay as they are.

    Raises:
        UsageError: it is broken or cannot be written.
    """
    tallies = {**read_tallies(path), **tallies}
    rows = []
    for cell in sorted(tallies):
        tally = tallies[cell]
        values = {k: v for k, v in asdict(tally).items() if k != "cell"}
        if tally.starts:
            rows.append(json.dumps({**asdict(cell), **values}))
    text = f'{{"schema": {SCHEMA}, "cells": [\n' + ",\n".join(rows) + "\n]}\n"
    with refuse_disk_errors(path.parent, "--out"):
        write_whole(path, text.encode())


def stuck(tally: Tally) -> str:
    """Say where the failures ended: ``lift 3, no start 1``."""
    counts: dict[str, int] = {}
    for stage in tally.failed.values():
        counts[stage] = counts.get(stage, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{stage} {count}" for stage, count in ordered)
