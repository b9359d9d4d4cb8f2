"""What a perturbation costs: paired gap, retention, compositional gap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stats.clustered import MIN_SEEDS, seed_grid, spread, tango_at
from benchmarks.stats.intervals import Interval
from benchmarks.stats.paired import MIN_NOMINAL_SUCCESSES, Gap, newcombe_paired

Floats = NDArray[np.float64]


def paired_gap(
    nominal: ArrayLike, perturbed: ArrayLike, level: float = 0.95, method: str = "tango"
) -> Gap:
    """Return the change of success from nominal to perturbed over the same initial conditions.

    Args:
        nominal: (n,) or (seeds, n) successes.
        perturbed: the same shape: the same checkpoints and initial conditions, factor added.
        level: confidence level.
        method: "tango" or "newcombe" (flat arrays only).

    Several seeds are clustered: the Tango interval at the effective number of pairs, over the
    seeds too where there are at least three.
    """
    before, after = seed_grid(nominal, "nominal"), seed_grid(perturbed, "perturbed")
    if before.shape != after.shape:
        raise ValueError(f"pairs must have equal shapes, got {before.shape} and {after.shape}")
    both, neither = int(np.sum(before & after)), int(np.sum(~before & ~after))
    lost, gained = int(np.sum(before & ~after)), int(np.sum(~before & after))
    if method not in ("tango", "newcombe") or (method == "newcombe" and len(before) > 1):
        raise ValueError(f"method must be tango, or newcombe with one seed, got {method!r}")
    if method == "newcombe":
        limits = newcombe_paired(both, gained, lost, neither, level)
    else:
        limits = _tango_interval(after.astype(np.float64) - before, level)
    diff = (gained - lost) / before.size
    counts = (before.size, both, lost, gained, neither)
    return Gap(diff, limits.low, limits.high, *counts, limits.method, level)


def _tango_interval(change: Floats, level: float) -> Interval:
    """Return the interval of the mean of (seeds, ics) changes in {-1, 0, 1}."""
    seeds, ics = change.shape
    shares = (float(np.mean(change > 0)), float(np.mean(change < 0)))
    if seeds == 1:
        found, name = None, "Tango"
    elif seeds < MIN_SEEDS:
        found, name = spread(change.mean(axis=0), []), "Tango, clustered by initial condition"
    else:
        found = spread(change.mean(axis=0), [change])
        name = "Tango, clustered by seed and initial condition"
    return Interval(*tango_at(shares, found, (ics, change.size), level), name, level)


def retention(nominal: ArrayLike, perturbed: ArrayLike) -> float | None:
    """Return perturbed success over nominal success, or None below 10 nominal successes.

    Args:
        nominal: successes of any shape.
        perturbed: successes of the matched perturbed trials.
    """
    before, after = seed_grid(nominal, "nominal"), seed_grid(perturbed, "perturbed")
    if before.shape != after.shape:
        raise ValueError(f"pairs must have equal shapes, got {before.shape} and {after.shape}")
    if int(before.sum()) < MIN_NOMINAL_SUCCESSES:
        return None
    return float(after.mean() / before.mean())


def compositional_gap(combined: float | None, single: Sequence[float | None]) -> float | None:
    """Return the retention of all factors together minus the product of the single retentions.

    Negative: the factors hurt more together than their separate effects explain.

    Args:
        combined: retention under ``combined``.
        single: retention under each factor alone at the same level.

    Returns:
        The gap, or None where a retention is missing.
    """
    known = [value for value in single if value is not None]
    if combined is None or not known or len(known) < len(single):
        return None
    return combined - float(np.prod(known))
