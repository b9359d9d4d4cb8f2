"""Do two people who watch the same trials call them the same?"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.intervals import Interval, clopper_pearson, quantile

VANISHING = 1e-12
"""A variance below this is none: the table has its trials in cells that say all the same."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Kappa:
    """Agreement of two raters beyond chance.

    Attributes:
        value: Cohen's kappa: 1 all the same, 0 as by chance; None where chance alone agrees always.
        interval: of it; None where kappa is.
        agreed: trials called the same.
        n: trials that both rated.
        chance: share that would agree by chance.
        labels: that were used, sorted.
        table: (labels, labels) counts, rows the first rater.
        why_not: why there is no kappa; empty where there is.
    """

    value: float | None
    interval: Interval | None
    agreed: int
    n: int
    chance: float
    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    why_not: str = ""


def cohen_kappa(
    first: Sequence[Hashable], second: Sequence[Hashable], level: float = 0.95
) -> Kappa:
    """Return Cohen's kappa of two raters (Cohen, 1960) with its interval.

    The standard error is that of Fleiss, Cohen & Everitt (1969). Where it vanishes, as when all
    trials agree, the Clopper-Pearson limits of agreement are turned into limits of kappa, chance
    agreement as observed.

    Args:
        first: (n,) labels by the first rater.
        second: (n,) labels of the same trials by the second.
        level: confidence level.

    Raises:
        ValueError: the raters rated different numbers of trials, or none.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"raters must rate the same trials, got {len(first)} and {len(second)}")
    names = sorted({str(label) for label in (*first, *second)})
    place = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), np.int64)
    for a, b in zip(first, second, strict=True):
        table[place[str(a)], place[str(b)]] += 1
    n, agreed = len(first), int(np.trace(table))
    share = table / n
    chance = float(share.sum(axis=1) @ share.sum(axis=0))
    counts = tuple(tuple(int(x) for x in row) for row in table)
    if len(names) == 1:
        why = f"both called all {n} trials {names[0]}: nothing to tell apart"
        return Kappa(None, None, agreed, n, chance, tuple(names), counts, why)
    value = (agreed / n - chance) / (1 - chance)
    interval = _limits(share, value, chance, n, level)
    return Kappa(value, interval, agreed, n, chance, tuple(names), counts)


def _limits(share: Floats, value: float, chance: float, n: int, level: float) -> Interval:
    variance = kappa_variance(share, n)
    if variance < VANISHING:
        exact = clopper_pearson(round(n * float(np.trace(share))), n, level)
        low, high = ((max(-1.0, (x - chance) / (1 - chance))) for x in (exact.low, exact.high))
        return Interval(min(low, value), max(high, value), "exact bound on agreement", level)
    reach = quantile(level) * np.sqrt(variance)
    low, high = max(-1.0, float(value - reach)), min(1.0, float(value + reach))
    return Interval(low, high, "Fleiss-Cohen-Everitt", level)


def kappa_variance(share: Floats, n: int) -> float:
    """Return the large-sample variance of kappa (Fleiss, Cohen & Everitt, 1969).

    Args:
        share: (labels, labels) shares of the table, not all of them in one cell.
        n: trials.
    """
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    agreed, chance = float(np.trace(share)), float(rows @ columns)
    both = columns[:, None] + rows[None, :]  # of cell (i, j): column share of i, row share of j
    off = share * both**2
    kappa = (agreed - chance) / (1 - chance)
    same = np.sum(np.diag(share) * (1 - (rows + columns) * (1 - kappa)) ** 2)
    apart = (1 - kappa) ** 2 * float(off.sum() - np.trace(off))
    rest = (kappa - chance * (1 - kappa)) ** 2
    return max(0.0, float(same + apart - rest)) / (n * (1 - chance) ** 2)
