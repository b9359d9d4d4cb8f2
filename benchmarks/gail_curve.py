"""GAIL's learning curve, drawn from the log of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.curve_figure import Line, Point, figure
from benchmarks.stats.intervals import cell_interval
from envs.atomic import write_atomic
from policies.train_log import read_log

SVG = "curve.svg"
POINTS = 30
"""At most so many: iterations are taken together, a single one is 32 episodes."""
SHARES = {
    "progress": ("rollout_progress",),
    "discriminator right": ("judge_expert", "judge_policy"),
}
"""Curves without an interval: by name, the columns of the log whose mean they are."""
REQUIRED = {"environment_steps", "episodes", "rollout_success", *sum(SHARES.values(), ())}
"""Columns that a log must have to be drawn."""

Row = Mapping[str, Any]


def write_curve(folder: Path) -> Path:
    """Draw how a GAIL training in ``folder`` went; return the file."""
    rows = read_log(folder)
    size = -(-len(rows) // POINTS)
    groups = [rows[i : i + size] for i in range(0, len(rows), size)]
    spent, before = [], 0.0
    for group in groups:
        before += sum(row["environment_steps"] for row in group)
        spent.append(before)
    lines = [Line("success", [_success(x, group) for x, group in zip(spent, groups, strict=True)])]
    for name, columns in SHARES.items():
        means = [fmean(row[column] for row in group for column in columns) for group in groups]
        lines.append(Line(name, [Point(x, y, y, y) for x, y in zip(spent, means, strict=True)]))
    title = "Roll-outs while GAIL learns, noise included"
    return write_atomic(folder / SVG, figure(title, "environment steps", lines).encode())


def _success(spent: float, group: Sequence[Row]) -> Point:
    """Return the successes of some iterations with their interval."""
    trials = round(sum(row["episodes"] for row in group))
    won = round(sum(row["episodes"] * row["rollout_success"] for row in group))
    limits = cell_interval(won, trials)
    return Point(spent, won / trials, limits.low, limits.high)
