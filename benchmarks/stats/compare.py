"""Is A better than B? One entry point that picks the test that the data allow."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats as sps

from benchmarks.stats.clustered import (
    MIN_SEEDS,
    Spread,
    algorithm_interval,
    seed_grid,
    spread,
    tango_at,
)
from benchmarks.stats.intervals import newcombe, square_and_add

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """Successes of one row of the leaderboard in one cell.

    Attributes:
        success: (seeds, ics) or (ics,) successes; every seed met the same initial conditions.
        ics: the initial conditions' ids in the order of the columns; 0, 1, ... by default.
        trained: False for a floor without training (hold, random, replay): it has no training
            seed to vary, so it never limits a comparison to a checkpoint claim.
    """

    success: Flags
    ics: Sequence[int] = field(default=())
    trained: bool = True

    def __post_init__(self) -> None:
        """Check the shapes; store a (seeds, ics) boolean array and one id a column."""
        grid = seed_grid(self.success)
        ids = tuple(self.ics) or tuple(range(grid.shape[1]))
        if len(ids) != grid.shape[1] or len(set(ids)) != len(ids):
            raise ValueError(f"ics must be {grid.shape[1]} distinct ids, got {len(ids)}")
        object.__setattr__(self, "success", grid)
        object.__setattr__(self, "ics", ids)

    @property
    def rate(self) -> float:
        """Success over all trials."""
        return float(self.success.mean())

    @property
    def seeds(self) -> int:
        """Number of training seeds."""
        return len(self.success)

    def take(self, ids: Sequence[int]) -> Flags:
        """Return the (seeds, len(ids)) successes on the given initial conditions."""
        column = {ic: place for place, ic in enumerate(self.ics)}
        return self.success[:, [column[ic] for ic in ids]]

    @property
    def sampled(self) -> list[Floats]:
        """The grid whose seeds are a sample of a population: none for a floor."""
        return [self.success.astype(np.float64)] if self.trained else []


@dataclass(frozen=True)
class Comparison:
    """A against B in one cell.

    Attributes:
        diff: success of A minus success of B.
        low: lower limit of the difference.
        high: upper limit of the difference.
        p: two-sided p-value of no difference, not adjusted for other comparisons.
        method: test and interval, as shown on the page.
        claim: "checkpoint" (these weights, new initial conditions) or "algorithm" (weights
            trained anew with new seeds, new initial conditions).
        paired: whether the same initial conditions were used.
        n: number of initial conditions (pairs, or the smaller arm).
        seeds: training seeds of A and of B.
        a_only: mean number of pairs in which only A succeeded (over pairs of seeds).
        b_only: mean number of pairs in which only B succeeded.
        level: confidence level of the limits.
    """

    diff: float
    low: float
    high: float
    p: float
    method: str
    claim: str
    paired: bool
    n: int
    seeds: tuple[int, int]
    a_only: float
    b_only: float
    level: float = 0.95


def compare(a: Outcomes, b: Outcomes, level: float = 0.95) -> Comparison:
    """Compare two rows and say what the comparison is a claim about.

    Paired, over the initial conditions both have (at least half of the smaller set):

    - One seed each: exact McNemar, Tango interval. A *checkpoint* claim: if these two files were
      run on new initial conditions of this protocol, A would succeed more often.
    - At least three seeds in every trained arm: an *algorithm* claim: so it would if both were
      trained anew. Seeds and initial conditions are crossed random effects; the variance is
      the sum of their parts (``clustered.spread``), the degrees of freedom Satterthwaite's, and
      test and interval are Tango's score at the effective number of pairs. (A permutation of
      three against three seeds has 20 arrangements and never reaches p < .1.) The p-value is
      also never below that of the checkpoint test.
    - Anything between: a checkpoint claim on the mean of the given checkpoints, by the exact
      sign-flip test over initial conditions, which with one seed each *is* McNemar's.

    Otherwise "unpaired": Boschloo and Newcombe for one seed each, Welch's test and the clustered
    intervals combined by square and add for more.

    Args:
        a: outcomes of A.
        b: outcomes of B in the same cell.
        level: confidence level of the interval.
    """
    shared = sorted(set(a.ics) & set(b.ics))
    if 2 * len(shared) < min(len(a.ics), len(b.ics)):
        return _unpaired(a, b, level)
    return _paired(_only(a, shared), _only(b, shared), level)


def claim_of(*rows: Outcomes) -> str:
    """Return "algorithm" where every trained row has three seeds or more, else "checkpoint"."""
    trained = [row.seeds for row in rows if row.trained]
    return "algorithm" if trained and min(trained) >= MIN_SEEDS else "checkpoint"


def _only(row: Outcomes, ids: Sequence[int]) -> Outcomes:
    """Return the row on the given initial conditions only."""
    return Outcomes(row.take(ids), ids, row.trained)


def _paired(a: Outcomes, b: Outcomes, level: float) -> Comparison:
    """Compare two rows over the same initial conditions in the same order."""
    x, y = a.success.mean(axis=0), b.success.mean(axis=0)
    ics, claim = len(x), claim_of(a, b)
    plus, minus = float(np.mean(x * (1 - y))), float(np.mean((1 - x) * y))
    p = sign_flip(a.success, b.success)
    if (a.seeds, b.seeds) == (1, 1) and claim == "checkpoint":
        found, method = None, "exact McNemar, Tango"
    elif claim == "checkpoint":
        found, method = spread(x - y, []), "exact sign flip, Tango, clustered by initial condition"
    else:
        found = spread(x - y, a.sampled + b.sampled)
        method = "Tango, clustered by seed and initial condition"
        p = max(p, _score_p(plus, minus, found, ics * max(a.seeds, b.seeds)))
    low, high = tango_at((plus, minus), found, (ics, ics * max(a.seeds, b.seeds)), level)
    n, seeds = ics, (a.seeds, b.seeds)
    only = (plus * ics, minus * ics)
    return Comparison(plus - minus, low, high, p, method, claim, True, n, seeds, *only, level)


def sign_flip(a: Flags, b: Flags) -> float:
    """Return the exact two-sided p-value of swapping A and B at random in each initial condition.

    With one seed each it is the exact McNemar test. The distribution of the sum of signed
    differences is built by convolution (Fisher, 1935; the counts are small integers).

    Args:
        a: (seeds of A, ics) successes.
        b: (seeds of B, ics) successes.
    """
    difference = a.sum(axis=0) * len(b) - b.sum(axis=0) * len(a)
    sizes = np.abs(difference[difference != 0]).astype(int)
    reach = int(sizes.sum())
    chance = np.zeros(2 * reach + 1)  # chance[k] is that of a sum of k - reach
    chance[reach] = 1.0
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    tail = reach - abs(int(difference.sum()))
    return min(1.0, 2 * float(np.sum(chance[: tail + 1])))


def _score_p(plus: float, minus: float, found: Spread, most: int) -> float:
    """Return the p-value of Tango's score for no difference at the effective number of pairs."""
    if plus + minus == 0:
        return 1.0
    unit = plus + minus - (plus - minus) ** 2
    size = unit / found.variance if found.variance > 0 else 0.0
    size = min(float(most), size) if size > 0 else float(most)
    score = abs(plus - minus) * np.sqrt(size / (plus + minus))
    return float(2 * sps.t.sf(score, found.dof))


def _unpaired(a: Outcomes, b: Outcomes, level: float) -> Comparison:
    """Compare two rows that were run on different initial conditions."""
    n, claim, seeds = min(len(a.ics), len(b.ics)), claim_of(a, b), (a.seeds, b.seeds)
    if seeds == (1, 1) and claim == "checkpoint":
        counts = (int(a.success.sum()), len(a.ics), int(b.success.sum()), len(b.ics))
        limits, p = newcombe(*counts, level), boschloo(*counts)
        method = "unpaired: Boschloo, Newcombe"
    else:
        of_a, of_b = (algorithm_interval(row.success, level) for row in (a, b))
        limits = square_and_add((a.rate, of_a), (b.rate, of_b), "clustered")
        p = _welch(a, b, claim)
        method = "unpaired: Welch, clustered by seed and initial condition"
    diff = a.rate - b.rate
    only = (a.rate * (1 - b.rate) * n, b.rate * (1 - a.rate) * n)
    return Comparison(
        diff, limits.low, limits.high, p, method, claim, False, n, seeds, *only, level
    )


def boschloo(k_a: int, n_a: int, k_b: int, n_b: int) -> float:
    """Return the two-sided p-value of Boschloo's exact test of two proportions (Boschloo, 1970)."""
    if k_a + k_b in (0, n_a + n_b):
        return 1.0
    table = [[k_a, k_b], [n_a - k_a, n_b - k_b]]
    return min(1.0, float(sps.boschloo_exact(table).pvalue))


def _welch(a: Outcomes, b: Outcomes, claim: str) -> float:
    """Return the p-value of Welch's test on the two clustered variances."""
    parts = [
        spread(row.success.mean(axis=0), row.sampled if claim == "algorithm" else [])
        for row in (a, b)
    ]
    total = sum(part.variance for part in parts)
    if total <= 0:
        n_a, n_b = len(a.ics), len(b.ics)
        return boschloo(round(a.rate * n_a), n_a, round(b.rate * n_b), n_b)
    dof = total**2 / sum(part.variance**2 / part.dof for part in parts)
    return float(2 * sps.t.sf(abs(a.rate - b.rate) / np.sqrt(total), dof))
