"""Do two raters agree beyond chance: Cohen's kappa."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.stats.intervals import quantile


@dataclass(frozen=True)
class Kappa:
    """How two raters agree on yes or no.

    Attributes:
        n: cases both rated.
        agree: share of equal verdicts.
        kappa: Cohen's kappa; None where chance alone explains everything (one verdict only).
        low, high: its confidence limits, within -1..1; None with it, and where no case spreads.
    """

    n: int
    agree: float
    kappa: float | None
    low: float | None
    high: float | None


def cohen(first: Sequence[bool], second: Sequence[bool], level: float = 0.95) -> Kappa:
    """Return Cohen's kappa (Cohen, 1960) with the interval of Fleiss, Cohen & Everitt (1969).

    Args:
        first: verdicts of one rater (n,).
        second: of the other, on the same cases.
        level: of the interval, from the large-sample variance: wide and rough at few cases.

    Raises:
        ValueError: no case, or not as many verdicts.
    """
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"two raters need the same cases, got {a.shape} and {b.shape}")
    n = len(a)
    share = np.array([[np.mean((a == i) & (b == j)) for j in (False, True)] for i in (False, True)])
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    agree, chance = float(np.trace(share)), float(rows @ columns)
    if np.isclose(chance, 1.0):
        return Kappa(n, agree, None, None, None)
    kappa = (agree - chance) / (1 - chance)
    diagonal = sum(
        share[i, i] * ((1 - chance) - (rows[i] + columns[i]) * (1 - agree)) ** 2 for i in (0, 1)
    )
    beside = (1 - agree) ** 2 * sum(
        share[i, j] * (columns[i] + rows[j]) ** 2 for i, j in ((0, 1), (1, 0))
    )
    variance = diagonal + beside - (agree * chance - 2 * chance + agree) ** 2
    error = np.sqrt(max(float(variance), 0.0) / n) / (1 - chance) ** 2
    if error < 1e-9:  # every case on one side: so few say nothing of the spread
        return Kappa(n, agree, kappa, None, None)
    reach = quantile(level) * error
    return Kappa(n, agree, kappa, max(-1.0, kappa - reach), min(1.0, kappa + reach))
