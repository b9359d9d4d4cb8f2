"""Intervals for one proportion and for the difference of two independent ones.

The Wald interval is left out on purpose: at n = 20 it covers as little as a third of the time.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats as sps


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower limit.
        high: upper limit.
        method: how it was computed, as shown on the page.
        level: two-sided confidence level (one-sided where the method says so).
    """

    low: float
    high: float
    method: str
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse limits that are out of order or not finite."""
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"an interval must be finite and ordered, got {self.low}, {self.high}")

    def __contains__(self, value: object) -> bool:
        """Tell whether a number lies within the limits, both included."""
        return isinstance(value, (int, float, np.number)) and self.low <= float(value) <= self.high

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2


def check_level(level: float) -> float:
    """Return ``level`` or raise ``ValueError`` if it is no probability strictly inside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    return level


def check_count(k: float, n: float) -> None:
    """Raise ``ValueError`` unless ``0 <= k <= n`` and ``n > 0``."""
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"counts must satisfy 0 <= k <= n with n > 0, got k={k}, n={n}")


def quantile(level: float) -> float:
    """Return the two-sided standard normal quantile: 1.96 at level .95."""
    return float(sps.norm.ppf(0.5 + check_level(level) / 2))


def wilson(k: float, n: float, level: float = 0.95) -> Interval:
    """Return Wilson's score interval for ``k`` successes in ``n`` trials (Wilson, 1927).

    ``n`` may be a fractional effective number of trials.
    """
    check_count(k, n)
    z = quantile(level)
    p, shrink = k / n, z * z / n
    centre = (p + shrink / 2) / (1 + shrink)
    half = z * np.sqrt(p * (1 - p) / n + shrink / (4 * n)) / (1 + shrink)
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return Interval(float(low), float(high), "Wilson", level)


def clopper_pearson(k: float, n: float, level: float = 0.95, side: str = "both") -> Interval:
    """Return the exact interval for ``k`` successes in ``n`` trials (Clopper & Pearson, 1934).

    Args:
        k: successes; beta quantiles extend it to fractional effective counts.
        n: trials.
        level: confidence level. With one side, all the error is on that side.
        side: "both", "lower" (a lower bound, for gates; high is 1) or "upper" (low is 0).
    """
    check_count(k, n)
    tail = (1 - check_level(level)) / (2 if side == "both" else 1)
    if side not in ("both", "lower", "upper"):
        raise ValueError(f"side must be both, lower or upper, got {side!r}")
    low = 0.0 if k == 0 or side == "upper" else float(sps.beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n or side == "lower" else float(sps.beta.ppf(1 - tail, k + 1, n - k))
    name = "Clopper-Pearson" if side == "both" else f"Clopper-Pearson, {side} bound"
    return Interval(low, high, name, level)


def cell_interval(k: int, n: int, level: float = 0.95) -> Interval:
    """Return the interval of one cell: Wilson, or Clopper-Pearson where k is 0 or n.

    Wilson is close to nominal on average; at the ends its coverage dips, and there the exact
    interval is used (Brown, Cai & DasGupta, 2001, discuss both).
    """
    return clopper_pearson(k, n, level) if k in (0, n) else wilson(k, n, level)


def newcombe(k_a: int, n_a: int, k_b: int, n_b: int, level: float = 0.95) -> Interval:
    """Return the interval of p_a - p_b for independent arms (Newcombe, 1998, method 10).

    The Wilson limits of each arm are combined by square and add.
    """
    return square_and_add(
        (k_a / n_a, wilson(k_a, n_a, level)), (k_b / n_b, wilson(k_b, n_b, level)), "Newcombe"
    )


def square_and_add(
    a: tuple[float, Interval], b: tuple[float, Interval], method: str, correlation: float = 0.0
) -> Interval:
    """Return the interval of a difference from the intervals of its two terms.

    Args:
        a: estimate and interval of the first term.
        b: estimate and interval of the second term.
        method: name given to the result.
        correlation: of the two estimates (Newcombe, 1998, for pairs; Zou & Donner, 2008).
    """
    (p, of_a), (q, of_b) = a, b
    down = _hypotenuse(p - of_a.low, of_b.high - q, correlation)
    up = _hypotenuse(of_a.high - p, q - of_b.low, correlation)
    return Interval(max(-1.0, p - q - down), min(1.0, p - q + up), method, of_a.level)


def _hypotenuse(x: float, y: float, correlation: float) -> float:
    """Return the length of x - y for two legs with the given correlation."""
    return float(np.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y)))
