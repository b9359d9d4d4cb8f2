"""A real success rate, helped by simulated trials from the same starts.

Real trials are few, simulated ones cheap. Where each real trial has a simulated one from the same
start, the simulation's error is measured on the pairs and taken off its mean over many more starts
(prediction-powered inference: Angelopoulos et al., 2023a). The weight of the simulation is tuned to
the least variance (PPI++: Angelopoulos, Duchi & Zrnic, 2023b): a useless simulator gets none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stats.clustered import Spread, effective_size
from benchmarks.stats.intervals import Interval, cell_interval, wilson
from benchmarks.stats.paired import as_flags

MIN_PAIRS = 10
"""Below this the pairs say too little of how well the simulation predicts."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Powered:
    """A real success rate with the simulation's help, and without.

    Attributes:
        value: estimate; with a weight of 0 the plain rate.
        interval: of it.
        weight: of the simulation, 0 (not used) to 1.
        plain: the real trials alone, k/n.
        plain_interval: of it.
        pairs: real trials, each with a simulated one from its start.
        extra: simulated trials from other starts.
        worth: real trials that would have told as much without the simulation.
        why_not: why the simulation was not used; empty where it was.
    """

    value: float
    interval: Interval
    weight: float
    plain: float
    plain_interval: Interval
    pairs: int
    extra: int
    worth: float
    why_not: str = ""


def powered_rate(
    real: ArrayLike, simulated: ArrayLike, extra: ArrayLike, level: float = 0.95
) -> Powered:
    """Return the real success rate, estimated with the simulation's help.

    ``mean(real) + w (mean(extra) - mean(simulated))`` with
    ``w = cov(real, simulated) / ((1 + n/N) var(simulated))`` within [0, 1], whose variance is
    ``w^2 var(extra)/N + var(real - w simulated)/n`` (PPI++, example of a mean). Trials succeed or
    fail and are few, so covariance and residual come from the table of pairs with 1/2 added to
    every cell (Agresti & Min, 2005): twenty pairs that agree do not prove that all would. The
    interval is Wilson's at the effective number of trials ``p (1 - p) / V (z/t)^2`` (Korn &
    Graubard, 1998), as for training seeds.

    Args:
        real: (n,) successes.
        simulated: (n,) successes of the same policy in simulation, from the same starts.
        extra: (N,) simulated successes from further starts of the same distribution.
        level: confidence level.

    Raises:
        ValueError: real and simulated differ in length, or a value is no success.
    """
    y, f = as_flags(real, "real"), as_flags(simulated, "simulated")
    if y.ndim != 1 or y.shape != f.shape:
        raise ValueError(f"pairs must have equal lengths, got {y.shape} and {f.shape}")
    more = as_flags(extra, "extra") if np.size(extra) else np.zeros(0, np.bool_)
    n, k = len(y), int(y.sum())
    plain = cell_interval(k, n, level)
    tuned = _tune(y, f, more) if n >= MIN_PAIRS and len(more) else None
    if tuned is None or tuned[0] <= 0:
        why = _why_not(n, len(more))
        return Powered(k / n, plain, 0.0, k / n, plain, n, len(more), float(n), why)
    weight, found = tuned
    value = float(np.clip(k / n + weight * (more.mean() - f.mean()), 0.0, 1.0))
    centre = min(max(value, 0.5 / n), 1 - 0.5 / n)  # at 0 and 1 a trial would have no variance
    size = effective_size(centre * (1 - centre), found, level, n + len(more))
    limits = wilson(value * size, size, level)
    interval = Interval(limits.low, limits.high, "prediction-powered, Wilson", level)
    worth = min(centre * (1 - centre) / found.variance, float(n + len(more)))
    return Powered(value, interval, weight, k / n, plain, n, len(more), worth)


def _tune(
    y: NDArray[np.bool_], f: NDArray[np.bool_], more: NDArray[np.bool_]
) -> tuple[float, Spread]:
    """Return the weight of the simulation and the variance of the estimate with it."""
    n, extra = len(y), len(more)
    table = np.array([[np.sum((y == a) & (f == b)) for b in (0, 1)] for a in (0, 1)]) + 0.5
    share = table / table.sum()
    p_y, p_f = share[1].sum(), share[:, 1].sum()
    covariance = share[1, 1] - p_y * p_f
    p_more = (more.sum() + 1) / (extra + 2)
    pooled = (p_f * n + p_more * extra) / (n + extra)
    weight = float(np.clip(covariance / ((1 + n / extra) * pooled * (1 - pooled)), 0.0, 1.0))
    values = np.array([[a - weight * b for b in (0, 1)] for a in (0, 1)])
    residual = float(np.sum(share * values**2) - np.sum(share * values) ** 2)
    parts = (residual / n, weight**2 * p_more * (1 - p_more) / extra)
    total = sum(parts)
    dof = total**2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / max(extra - 1, 1))
    return weight, Spread(total, dof)


def _why_not(pairs: int, extra: int) -> str:
    if pairs < MIN_PAIRS:
        return f"{pairs} pairs; it takes {MIN_PAIRS}"
    if not extra:
        return "no simulated trials from other starts"
    return "simulated outcomes do not go with the real ones"
