"""Intervals of means that are not proportions: progress scores, means over tasks."""

from collections.abc import Mapping, Sequence

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
    labels = np.zeros(values.shape[1], np.int64) if strata is None else np.asarray(strata)
    if labels.shape != (values.shape[1],):
        raise ValueError(f"strata must be ({values.shape[1]},), got {labels.shape}")
    blocks = [values[:, labels == label] for label in np.unique(labels)]
    seeds = [_seed_weights(len(values), rng, draws)] * len(blocks)  # the same in every stratum
    shares = np.array([block.shape[1] for block in blocks]) / values.shape[1]
    means = shares @ [_means(b, w, rng) for b, w in zip(blocks, seeds, strict=True)]
    return _limits(means, blocks, shares, "stratified bootstrap", level)


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
    blocks = [_scores(values) for _, values in sorted(tasks.items())]
    if not blocks:
        raise ValueError("tasks must hold at least one task, got none")
    shares = np.full(len(blocks), 1 / len(blocks))
    means = shares @ [_means(b, _seed_weights(len(b), rng, draws), rng) for b in blocks]
    return _limits(means, blocks, shares, "bootstrap stratified by task", level)


def _scores(progress: ArrayLike) -> Floats:
    """Return scores as (seeds, ics), or raise ``ValueError`` if they leave [0, 1]."""
    values = np.atleast_2d(np.asarray(progress, dtype=np.float64))
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"progress must be (seeds, initial conditions), got {values.shape}")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("progress must lie in [0, 1]")
    return values


def _seed_weights(seeds: int, rng: np.random.Generator, draws: int) -> Floats:
    """Return (draws, seeds) weights: drawn with replacement from three seeds on, else equal."""
    if seeds < MIN_SEEDS:
        return np.full((draws, seeds), 1 / seeds)
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds


def _means(block: Floats, seed_weights: Floats, rng: np.random.Generator) -> Floats:
    """Return (draws,) means of (seeds, ics) scores with initial conditions drawn anew."""
    size = block.shape[1]
    counts = rng.multinomial(size, np.full(size, 1 / size), size=len(seed_weights))
    return np.asarray(np.sum((counts @ block.T) * seed_weights, axis=1) / size)


def _limits(
    means: Floats, blocks: Sequence[Floats], shares: Floats, method: str, level: float
) -> Interval:
    """Return the central part of the resampled means, or the exact bound where they all agree."""
    tail = (1 - check_level(level)) / 2
    if np.ptp(means) > 1e-12:
        low, high = np.quantile(means, [tail, 1 - tail])
        return Interval(float(low), float(high), method, level)
    same = np.array([clopper_pearson(b.shape[1], b.shape[1], level).low for b in blocks])
    low = float(np.sum(shares * same * [block.mean() for block in blocks]))
    return Interval(
        low, low + float(np.sum(shares * (1 - same))), "exact bound, equal scores", level
    )
