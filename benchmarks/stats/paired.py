"""Two sets of trials from the same initial conditions: gaps, retention, exact tests."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as sps

from benchmarks.stats.intervals import Interval, square_and_add, wilson

MIN_NOMINAL_SUCCESSES = 10  # below this a ratio to nominal says more about noise than robustness

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def as_flags(values: ArrayLike, what: str) -> Flags:
    """Return success values as a boolean array, or raise ``ValueError`` if they are not 0 or 1."""
    array = np.asarray(values)
    if array.size == 0:
        raise ValueError(f"{what} must hold at least one trial, got none")
    if not np.all((array == 0) | (array == 1)):
        raise ValueError(f"{what} must be successes (0 or 1), got {array.dtype} values")
    return array.astype(np.bool_)


def mcnemar(a: ArrayLike, b: ArrayLike, mid_p: bool = False) -> float:
    """Return the two-sided p-value of the exact McNemar test (McNemar, 1947).

    Given the discordant pairs, wins of ``a`` are Binomial(discordant, 1/2) under the null.

    Args:
        a: (n,) successes.
        b: (n,) successes on the same initial conditions in the same order.
        mid_p: count half of the observed outcome's probability (Fagerland et al., 2013). Closer
            to nominal, but its type I error may pass alpha; never the default.
    """
    first, second = as_flags(a, "a"), as_flags(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"pairs must have equal shapes, got {first.shape} and {second.shape}")
    return mcnemar_counts(int(np.sum(first & ~second)), int(np.sum(~first & second)), mid_p)


def mcnemar_counts(a_only: int, b_only: int, mid_p: bool = False) -> float:
    """Return the exact McNemar p-value from the two discordant counts."""
    fewer, total = min(a_only, b_only), a_only + b_only
    p = 2 * float(sps.binom.cdf(fewer, total, 0.5))
    if mid_p:
        p -= float(sps.binom.pmf(fewer, total, 0.5))
    return min(1.0, p)


def tango(plus: ArrayLike, minus: ArrayLike, n: ArrayLike, z: ArrayLike) -> tuple[Floats, Floats]:
    """Return the limits of Tango's score interval for a paired difference (Tango, 1998).

    The limits solve ``score(delta) = +-z`` where the variance is that of the maximum-likelihood
    estimate restricted to a difference of delta. All arguments broadcast.

    Args:
        plus: pairs where only the first succeeded; counts may be fractional.
        minus: pairs where only the second succeeded.
        n: number of pairs.
        z: normal (or t) quantile.

    Returns:
        Lower and upper limits of (plus - minus) / n.
    """
    b, c, n_, z_ = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (plus, minus, n, z)))
    low, mirrored = _lowest(np.stack([b, c]), np.stack([c, b]), n_, z_)
    return np.asarray(low), np.asarray(-mirrored)


def tango_score(plus: Floats, minus: Floats, n: Floats, delta: Floats) -> Floats:
    """Return Tango's score statistic for a difference of ``delta``; 0/0 counts as 0."""
    b_term = -plus - minus + (2 * n - plus + minus) * delta
    c_term = -minus * delta * (1 - delta)
    root = np.sqrt(np.maximum(0.0, b_term**2 - 8 * n * c_term))
    minus_share = np.maximum(0.0, (root - b_term) / (4 * n))
    variance = n * (2 * minus_share + delta * (1 - delta))
    top = plus - minus - n * delta
    safe = np.sqrt(np.maximum(variance, 1e-300))
    score = np.where(variance > 1e-14, top / safe, np.copysign(np.inf, top))
    return np.where(np.abs(top) < 1e-12, 0.0, score)


def _lowest(b: Floats, c: Floats, n: Floats, z: Floats) -> Floats:
    """Return the smallest delta that the score test does not reject, by halving to 1e-13."""
    low, high = np.full(b.shape, -1.0), (b - c) / n
    for _ in range(44):
        middle = (low + high) / 2
        rejected = tango_score(b, c, n, middle) > z
        low, high = np.where(rejected, middle, low), np.where(rejected, high, middle)
    return high


@dataclass(frozen=True)
class Gap:
    """A paired difference of success, perturbed minus nominal: negative means it got worse.

    Attributes:
        diff: estimate in [-1, 1].
        low: lower limit.
        high: upper limit.
        n: number of pairs.
        both: pairs in which both succeeded.
        lost: pairs that succeeded nominally and failed perturbed.
        gained: pairs that failed nominally and succeeded perturbed.
        neither: pairs in which both failed.
        method: how the interval was computed.
        level: confidence level.
    """

    diff: float
    low: float
    high: float
    n: int
    both: int
    lost: int
    gained: int
    neither: int
    method: str
    level: float = 0.95

    @property
    def interval(self) -> Interval:
        """The limits as an ``Interval``."""
        return Interval(self.low, self.high, self.method, self.level)


def newcombe_paired(both: int, plus: int, minus: int, neither: int, level: float) -> Interval:
    """Return Newcombe's paired interval (Newcombe, 1998, paired method 10).

    Wilson limits of the two marginals are combined by square and add with the correlation of
    the table, continuity-corrected where it is positive.
    """
    n = both + plus + minus + neither
    k_a, k_b = both + plus, both + minus
    product = float(k_a) * (n - k_a) * k_b * (n - k_b)
    cross = float(both * neither - plus * minus)
    corrected = max(cross - n / 2, 0.0) if cross > 0 else cross
    correlation = corrected / np.sqrt(product) if product > 0 else 0.0
    a, b = (k_a / n, wilson(k_a, n, level)), (k_b / n, wilson(k_b, n, level))
    return square_and_add(a, b, "Newcombe paired", correlation)
