"""One condition of one row: successes over seeds and initial conditions, gap, failure mix."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats as sps

from benchmarks import stats
from benchmarks.board_runs import Loaded, Seen
from benchmarks.stats.clustered import MIN_SEEDS, spread

NOMINAL = "nominal"
COMBINED = "combined"

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value 0..1 with its interval; ``k`` of ``n`` where it is a share of trials."""

    value: float
    low: float
    high: float
    method: str
    k: int | None = None
    n: int | None = None


@dataclass(frozen=True)
class Change:
    """A paired difference, perturbed minus nominal, over ``n`` pairs, with its interval."""

    diff: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95


@dataclass(frozen=True)
class Grid:
    """The trials of one row in one condition, rectangular.

    Attributes:
        units: initial conditions (with repeat) that every seed has, in order.
        trials: seeds x units trials.
    """

    units: tuple[int, ...]
    trials: tuple[tuple[Seen, ...], ...] = field(repr=False)

    @property
    def success(self) -> Flags:
        """Sustained success (seeds, units)."""
        return np.array([[t.success for t in row] for row in self.trials], np.bool_)

    @property
    def progress(self) -> Floats:
        """Progress scores (seeds, units)."""
        return np.array([[t.progress for t in row] for row in self.trials], np.float64)

    def all(self) -> list[Seen]:
        """Return the trials in one list."""
        return [trial for row in self.trials for trial in row]

    def only(self, units: Sequence[int]) -> "Grid":
        """Return the grid on some of its units."""
        place = {unit: i for i, unit in enumerate(self.units)}
        rows = tuple(tuple(row[place[u]] for u in units) for row in self.trials)
        return Grid(tuple(units), rows)


def make_grid(runs: Sequence[Loaded], condition: str) -> Grid | None:
    """Return the trials that all ``runs`` have in ``condition``, or None where there are none."""
    cells = [run.cell(condition) for run in runs]
    units = sorted(set.intersection(*(set(cell) for cell in cells))) if cells else []
    if not units:
        return None
    return Grid(tuple(units), tuple(tuple(cell[u] for u in units) for cell in cells))


def matched(a: Grid, b: Grid) -> tuple[Grid, Grid] | None:
    """Return both grids on the units they share, or None where they share none."""
    units = sorted(set(a.units) & set(b.units))
    return (a.only(units), b.only(units)) if units else None


@dataclass(frozen=True)
class Cell:
    """One condition of one row.

    Attributes:
        condition: its name, ``<axis>/<level>`` or ``nominal``.
        axis: first part of the name.
        level: second part, empty for nominal.
        success: sustained success.
        success_any: trials with success at some step (older benchmarks report this).
        success_final: trials with success at the last step.
        progress: mean progress score.
        failures: number of trials by failure label.
        invalid: trials excluded as invalid.
        gap: change against the matched nominal trials, None for nominal.
        retention: success over matched nominal success, None below 10 nominal successes.
    """

    condition: str
    axis: str
    level: str
    success: Estimate
    success_any: int
    success_final: int
    progress: float
    failures: dict[str, int]
    invalid: int
    gap: Change | None
    retention: float | None


def make_cell(condition: str, grid: Grid, nominal: Grid | None, invalid: int) -> Cell:
    """Describe one condition; ``nominal`` is the row's nominal grid."""
    axis, _, level = condition.partition("/")
    trials = grid.all()
    gap = kept = None
    pair = matched(nominal, grid) if nominal is not None and condition != NOMINAL else None
    if pair is not None:
        gap = gap_of(*pair)
        kept = stats.retention(pair[0].success, pair[1].success)
    return Cell(
        condition=condition,
        axis=axis,
        level=level,
        success=success_of(grid),
        success_any=sum(t.success_any for t in trials),
        success_final=sum(t.success_final for t in trials),
        progress=float(grid.progress.mean()),
        failures=dict(sorted(Counter(t.failure for t in trials if t.failure).items())),
        invalid=invalid,
        gap=gap,
        retention=kept,
    )


def success_of(grid: Grid) -> Estimate:
    """Return k of n with the interval that fits the number of training seeds."""
    success = grid.success
    found = stats.algorithm_interval(success)
    k, n = int(success.sum()), int(success.size)
    return Estimate(k / n, found.low, found.high, found.method, k, n)


def progress_of(grid: Grid) -> Estimate:
    """Return mean progress with its bootstrap interval (fixed generator: the same each time)."""
    found = stats.progress_interval(grid.progress, np.random.default_rng(0))
    return Estimate(float(grid.progress.mean()), found.low, found.high, found.method)


def gap_of(nominal: Grid, perturbed: Grid, level: float = 0.95) -> Change:
    """Return the paired gap on matched grids."""
    gap = stats.paired_gap(nominal.success, perturbed.success, level)
    return Change(gap.diff, gap.low, gap.high, gap.n, gap.method, level)


def mean_gap(nominal: Grid, perturbed: Sequence[Grid], level: float = 0.95) -> Change | None:
    """Return the gap averaged over conditions, on the units that all of them share.

    The mean change of each (seed, unit) lies in [-1, 1]; its mean has a t interval with the
    variance clustered by unit, and by seed where there are at least three. Where all changes
    agree that variance says nothing, and the exact bound of equal scores is used instead.
    """
    shared = set(nominal.units).intersection(*(set(g.units) for g in perturbed))
    if not perturbed or len(shared) < 2:
        return None
    units = sorted(shared)
    before = nominal.only(units).success.astype(np.float64)
    after = np.mean([g.only(units).success for g in perturbed], axis=0)
    change = after - before
    diff = float(change.mean())
    if np.ptp(change) == 0:
        bound = stats.progress_interval((change + 1) / 2, np.random.default_rng(0), level=level)
        limits = (2 * bound.low - 1, 2 * bound.high - 1)
        return Change(diff, *limits, int(change.size), bound.method, level)
    found = spread(change.mean(axis=0), [change] if len(change) >= MIN_SEEDS else [])
    reach = float(sps.t.ppf(0.5 + level / 2, found.dof)) * found.variance**0.5
    low, high = max(-1.0, diff - reach), min(1.0, diff + reach)
    return Change(diff, low, high, int(change.size), "t, clustered", level)
