"""Means over training seeds x initial conditions, where neither axis is made of independent trials.

Model of a trial: success = mean + seed effect + initial-condition effect + the rest. Every seed
meets every initial condition, so the two effects are crossed and pooling all trials as if they
were independent gives intervals that are too short.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as sps

from benchmarks.stats.intervals import Interval, cell_interval, clopper_pearson, quantile, wilson
from benchmarks.stats.paired import as_flags, tango

MIN_SEEDS = 3  # fewer training seeds than this say nothing about the algorithm

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Sampling variance of an estimate and how well that variance is known.

    Attributes:
        variance: of the estimate.
        dof: degrees of freedom of the variance (Satterthwaite, 1946).
    """

    variance: float
    dof: float


def seed_grid(success: ArrayLike, what: str = "success") -> NDArray[np.bool_]:
    """Return successes as (seeds, ics); a flat array is one seed."""
    grid = np.atleast_2d(as_flags(success, what))
    if grid.ndim != 2:
        raise ValueError(f"{what} must be (seeds, initial conditions), got shape {grid.shape}")
    return grid


def spread(per_condition: Floats, arms: list[Floats]) -> Spread:
    """Return the variance of a mean over initial conditions and over the seeds of some arms.

    ``V = V_conditions + sum over arms V_seeds``: the variance between initial conditions over
    their number plus that between seeds over theirs, degrees of freedom by Satterthwaite (1946).
    The residual of the crossed layout is in both parts; the usual moment estimate (Searle,
    Casella & McCulloch, 1992) takes it off once. We leave it in: taking it off with three seeds
    makes type I error .06 to .07 for a moderate seed variance, leaving it in .01 to .04.
    With no arms the seeds are fixed and only the initial conditions are sampled.

    Args:
        per_condition: (ics,) the mean (or difference of means) in each initial condition.
        arms: (seeds >= 2, ics) outcomes of each arm whose seeds are a sample.
    """
    ics = len(per_condition)
    between = float(np.var(per_condition, ddof=1)) / ics if ics > 1 else 0.25
    parts = [(between, max(1, ics - 1))]
    for values in arms:
        seeds = len(values)
        parts.append((float(np.var(values.mean(axis=1), ddof=1)) / seeds, seeds - 1))
    total = sum(variance for variance, _ in parts)
    below = sum(variance * variance / dof for variance, dof in parts)
    most = parts[0][1]
    return Spread(total, min(float(most), total * total / below) if below > 0 else float(most))


def algorithm_interval(success: ArrayLike, level: float = 0.95) -> Interval:
    """Return the interval of a success rate over training seeds, honest about clustering.

    Wilson (or Clopper-Pearson at 0 and 1) at the effective number of trials
    ``p (1 - p) / V * (z / t)^2`` (Korn & Graubard, 1998), with V the crossed variance. Where all
    trials agree V cannot be estimated and the effective number is that of initial conditions.

    - one seed: the plain interval of the cell (a statement on that checkpoint);
    - two seeds: clustered by initial condition, still on those two checkpoints;
    - three or more: on the algorithm, that is, on checkpoints trained with new seeds.

    Args:
        success: (seeds, ics) outcomes, every seed on the same initial conditions.
        level: confidence level.
    """
    grid = seed_grid(success)
    seeds, ics = grid.shape
    if seeds == 1:
        return cell_interval(int(grid.sum()), ics, level)
    name = (
        "clustered by initial condition"
        if seeds < MIN_SEEDS
        else "clustered by seed and initial condition"
    )
    p = float(grid.mean())
    if p in (0.0, 1.0):
        exact = clopper_pearson(p * ics, ics, level)
        return Interval(exact.low, exact.high, f"Clopper-Pearson, {name}", level)
    values = grid.astype(np.float64)
    found = spread(values.mean(axis=0), [values] if seeds >= MIN_SEEDS else [])
    shape = effective_size(p * (1 - p), found, level, grid.size)
    limits = wilson(p * shape, shape, level)
    return Interval(limits.low, limits.high, f"Wilson, {name}", level)


def effective_size(unit_variance: float, found: Spread, level: float, most: int) -> float:
    """Return the number of independent trials that would know as much, at most ``most``.

    Args:
        unit_variance: variance of one trial.
        found: the variance of the estimate.
        level: confidence level; the t quantile enters as (z / t)^2.
        most: number of trials run.
    """
    t = float(sps.t.ppf(0.5 + level / 2, found.dof))
    size = float(most) if found.variance <= 0 else min(float(most), unit_variance / found.variance)
    return size * (quantile(level) / t) ** 2


def tango_at(
    shares: tuple[float, float], found: Spread | None, sizes: tuple[int, int], level: float
) -> tuple[float, float]:
    """Return Tango's limits of a paired difference at the effective number of pairs.

    Args:
        shares: of pairs that only the first won, and only the second.
        found: variance of the difference; None for independent pairs.
        sizes: number of initial conditions, and most independent pairs possible.
        level: confidence level.
    """
    plus, minus = shares
    unit = plus + minus - (plus - minus) ** 2
    size = float(sizes[0])
    if found is not None and unit > 1e-12:
        size = effective_size(unit, found, level, sizes[1])
    low, high = tango(plus * size, minus * size, size, quantile(level))
    return float(low), float(high)
