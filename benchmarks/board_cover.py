"""Did the demonstrations of a row cover the starts it was tried from?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.board_cells import NOMINAL
from benchmarks.board_runs import Loaded, Seen
from benchmarks.board_starts import known_starts
from benchmarks.coverage import Bin, coverage
from benchmarks.stats import cell_interval

MOVED = "object_pose/"
"""Conditions that start elsewhere; all others start where the nominal trials do."""
BINS = 5

Board = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """The trials of one kind.

    Attributes:
        trials: how many.
        share: success, None without a trial.
        low, high: its 95 % interval.
    """

    trials: int
    share: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Covered:
    """What a row's demonstrations cover.

    Attributes:
        label: of the row.
        demonstrations: in the training split.
        radius: distance within which nearly every demonstration has another.
        shares: share of the starts within it, by condition.
        near, far: trials that started within it, and farther away.
        bins: success by distance to the nearest demonstration.
    """

    label: str
    demonstrations: int
    radius: float
    shares: Mapping[str, float]
    near: Part
    far: Part
    bins: tuple[Bin, ...]


def covers(table: Board, runs: Mapping[str, Loaded]) -> list[Covered]:
    """Return the coverage of every row whose records say where its demonstrations started."""
    found = []
    for row in table["rows"]:
        used = [runs[part["run"]] for part in row["provenance"] if part["used"]]
        made = covered(row["label"], used[0]) if used else None
        if made is not None:
            found.append(made)
    return found


def covered(label: str, run: Loaded) -> Covered | None:
    """Return the coverage of one run (a row's first training seed); None where it cannot be told.

    One seed only: trials of several seeds from one start are not independent.
    """
    table = known_starts(run.manifest["policy"]["data"].get("starts"))
    conditions = list(dict.fromkeys(t.condition for t in run.trials))
    moved = [c for c in conditions if c == NOMINAL or c.startswith(MOVED)]
    trials = [t for t in run.trials if t.condition in moved]
    if table is None or not trials:
        return None
    columns, rows = table
    if any(name not in trial.spots for trial in trials for name in columns):
        return None
    starts = np.array([[trial.spots[name] for name in columns] for trial in trials])
    found = coverage(rows, starts, [trial.success for trial in trials], bins=BINS)
    inside = found.nearest <= found.radius
    which = np.array([trial.condition for trial in trials])
    return Covered(
        label,
        len(rows),
        found.radius,
        {c: float(inside[which == c].mean()) for c in moved},
        _part([t for t, near in zip(trials, inside, strict=True) if near]),
        _part([t for t, near in zip(trials, inside, strict=True) if not near]),
        found.bins,
    )


def _part(trials: Sequence[Seen]) -> Part:
    if not trials:
        return Part(0, None, 0.0, 1.0)
    k, n = sum(t.success for t in trials), len(trials)
    limits = cell_interval(k, n)
    return Part(n, k / n, limits.low, limits.high)
