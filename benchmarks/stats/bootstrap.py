"""Intervals of means that are not proportions: progress scores, means over tasks."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stats.clustered import MIN_SEEDS
from benchmarks.stats.intervals import Interval, check_level, clopper_pearson

Floats = NDArray[np.float64]


def progress_interval(
    progress: ArrayLike,
    rng: np.random.Generator,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 4000,
) -> Interval:
    """Return the percentile bootstrap interval of mean progress (Efron & Tibshirani, 1993).

    Initial conditions are drawn with replacement within their stratum, all seeds of one together;
    with at least three seeds those are drawn too (Owen's pigeonhole bootstrap, 2007). Where all
    values agree the bootstrap would claim certainty; there the Clopper-Pearson bound on "the
    next trial gives the same value" is turned into one on the mean, valid for any score in [0, 1].

    Args:
        progress: (ics,) or (seeds, ics) scores in [0, 1]: furthest ordered stage / stages.
        rng: generator; the same generator state gives the same interval.
        strata: (ics,) labels, for instance the condition, if several are pooled.
        level: confidence level.
        draws: number of resamples.
    """
    values = _scores(progress)
    if np.ptp(values) == 0:
        return _constant(float(values.flat[0]), values.shape[1], level)
    labels = np.zeros(values.shape[1], np.int64) if strata is None else np.asarray(strata)
    if labels.shape != (values.shape[1],):
        raise ValueError(f"strata must be ({values.shape[1]},), got {labels.shape}")
    means = _resampled_means(values, labels, rng, draws)
    return _percentiles(means, "stratified bootstrap", level)


def task_mean_interval(
    tasks: Mapping[str, ArrayLike],
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 4000,
) -> Interval:
    """Return the interval of the unweighted mean over tasks, resampled within each task.

    Tasks are fixed, not a sample: the claim is on these tasks (Agarwal et al., 2021, stratify
    in the same way).

    Args:
        tasks: (ics,) or (seeds, ics) success or progress of each task.
        rng: generator.
        level: confidence level.
        draws: number of resamples.
    """
    grids = [_scores(values) for _, values in sorted(tasks.items())]
    if not grids:
        raise ValueError("tasks must hold at least one task, got none")
    if all(np.ptp(grid) == 0 for grid in grids):
        parts = [_constant(float(g.flat[0]), g.shape[1], level) for g in grids]
        low, high = (float(np.mean([getattr(p, side) for p in parts])) for side in ("low", "high"))
        return Interval(low, high, parts[0].method, level)
    one = [np.zeros(grid.shape[1], np.int64) for grid in grids]
    means = [_resampled_means(g, s, rng, draws) for g, s in zip(grids, one, strict=True)]
    return _percentiles(np.mean(means, axis=0), "bootstrap stratified by task", level)


def _scores(progress: ArrayLike) -> Floats:
    """Return scores as (seeds, ics), or raise ``ValueError`` if they leave [0, 1]."""
    values = np.atleast_2d(np.asarray(progress, dtype=np.float64))
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"progress must be (seeds, initial conditions), got {values.shape}")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("progress must lie in [0, 1]")
    return values


def _resampled_means(
    values: Floats, labels: NDArray[np.generic], rng: np.random.Generator, draws: int
) -> Floats:
    """Return (draws,) means of resampled seeds and initial conditions."""
    seeds = len(values)
    weight = np.full((draws, seeds), 1 / seeds)
    if seeds >= MIN_SEEDS:
        weight = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    total: Floats = np.zeros(draws)
    for label in np.unique(labels):
        block = values[:, labels == label]
        size = block.shape[1]
        counts = rng.multinomial(size, np.full(size, 1 / size), size=draws)
        total += np.einsum("ds,di,si->d", weight, counts.astype(np.float64), block, optimize=True)
    return np.asarray(total / values.shape[1])


def _percentiles(means: Floats, method: str, level: float) -> Interval:
    """Return the central part of a bootstrap distribution."""
    tail = (1 - check_level(level)) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high), method, level)


def _constant(value: float, n: int, level: float) -> Interval:
    """Return the interval of a mean in [0, 1] when all of n initial conditions gave ``value``."""
    same = clopper_pearson(n, n, level).low
    return Interval(value * same, value * same + 1 - same, "exact bound, equal scores", level)
