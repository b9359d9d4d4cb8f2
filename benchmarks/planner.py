"""How many trials are enough: exact power of the very test that will decide.

Two policies meet the same initial conditions, so their outcomes are correlated: a hard start is
hard for both. ``correlation`` is that of the two latent difficulties (tetrachoric): a policy
succeeds where a standard normal falls below a threshold, and the two normals share it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as sps

from benchmarks.stats.intervals import quantile, wilson
from benchmarks.stats.paired import tango
from benchmarks.stats.sequential import Stopping, cut_tail
from envs.errors import UsageError

MOST_TRIALS = 20_000  # beyond this the answer is "too close to tell"
RANKING_FLOOR = 50  # at 20 trials the intervals of 80 % and 60 % overlap

Floats = NDArray[np.float64]


def both_succeed(p: float, q: float, correlation: float) -> float:
    """Return P(both succeed) under the latent normal model.

    The bivariate normal integral over the correlation (Drezner & Wesolowsky, 1990) by
    Gauss-Legendre with 64 nodes.
    """
    h, k = sps.norm.ppf(p), sps.norm.ppf(q)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    reach = np.arcsin(correlation) / 2
    angle = reach * (nodes + 1)
    exponent = -(h * h + k * k - 2 * h * k * np.sin(angle)) / (2 * np.cos(angle) ** 2)
    return float(p * q + reach * np.sum(weights * np.exp(exponent)) / (2 * np.pi))


def discordance(better: float, worse: float, correlation: float) -> tuple[float, float]:
    """Return P(only the better succeeds), P(only the worse succeeds).

    Raises:
        UsageError: unless 0 < worse <= better < 1 and 0 <= correlation < 1.
    """
    if not 0 < worse <= better < 1:
        raise UsageError(f"needed: 0 < worse <= better < 1, got better {better}, worse {worse}")
    if not 0 <= correlation < 1:
        raise UsageError(f"correlation must be in [0, 1), got {correlation}")
    both = both_succeed(better, worse, correlation)
    return max(better - both, 0.0), max(worse - both, 0.0)


def mcnemar_power(n: int, plus: float, minus: float, alpha: float = 0.05) -> float:
    """Return the exact power of the two-sided exact McNemar test on n pairs, by enumeration.

    Only rejections in favour of the truly better count (Miettinen, 1968, gives the mixture over
    the number of discordant pairs).

    Args:
        n: pairs.
        plus: P(only the better succeeds).
        minus: P(only the worse succeeds).
        alpha: two-sided level.
    """
    discordant = np.arange(n + 1)
    chance = sps.binom.pmf(discordant, n, plus + minus)
    share = plus / (plus + minus) if plus + minus > 0 else 0.5
    lost = sps.binom.ppf(alpha / 2, discordant, 0.5)  # most losses that may still reject
    lost = np.where(sps.binom.cdf(lost, discordant, 0.5) <= alpha / 2, lost, lost - 1)
    rejects = np.where(lost >= 0, sps.binom.cdf(lost, discordant, 1 - share), 0.0)
    return float(np.sum(chance * rejects))


def trials_needed(
    better: float, worse: float, correlation: float = 0.4, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Return the smallest number of pairs from which on exact McNemar keeps the wanted power.

    Exact power is a saw-tooth in n; we take the n after which it stays above ``power``
    for the next 20 values, so that a lucky tooth is no plan.

    Raises:
        UsageError: if the rates are equal, the ranges are wrong or more than 20000 are needed.
    """
    _check_rates(better, worse, power, alpha)
    plus, minus = discordance(better, worse, correlation)
    low, high = 1, 64
    while mcnemar_power(high, plus, minus, alpha) < power:
        low, high = high, 2 * high
        if high > MOST_TRIALS:
            raise UsageError(f"{better} and {worse} need more than {MOST_TRIALS} trials to tell")
    while high - low > 1:
        middle = (low + high) // 2
        enough = mcnemar_power(middle, plus, minus, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    near = range(max(1, high - 20), high + 21)
    short = [n for n in near if mcnemar_power(n, plus, minus, alpha) < power]
    return max(short, default=near[0] - 1) + 1


def unpaired_needed(better: float, worse: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return the trials an arm for two independent arms (Fleiss, Levin & Paik, 2003, eq. 4.14).

    The normal formula of the two-proportion score test, without continuity correction.
    """
    _check_rates(better, worse, power, alpha)
    mean = (better + worse) / 2
    null = quantile(1 - alpha) * np.sqrt(2 * mean * (1 - mean))
    spread = np.sqrt(better * (1 - better) + worse * (1 - worse))
    return int(np.ceil(((null + sps.norm.ppf(power) * spread) / (better - worse)) ** 2))


def detectable(
    n: int, better: float, correlation: float, power: float, alpha: float
) -> float | None:
    """Return the smallest difference below ``better`` that n pairs detect, or None if none.

    Bisection on the worse rate to .0005; power is exact McNemar's.
    """
    low, high = 0.0005, better
    if mcnemar_power(n, *discordance(better, low, correlation), alpha) < power:
        return None
    while high - low > 0.0005:
        middle = (low + high) / 2
        enough = mcnemar_power(n, *discordance(better, middle, correlation), alpha) >= power
        low, high = (middle, high) if enough else (low, middle)
    return better - low


@dataclass(frozen=True)
class SequentialPower:
    """What the sequential test does for two given policies.

    Attributes:
        power: chance that it says the better one is better.
        wrong: chance that it says the worse one is.
        mean_trials: expected number of pairs until it ends.
        error: standard error of ``power`` from the sampled patterns of discordance.
    """

    power: float
    wrong: float
    mean_trials: float
    error: float


def sequential_power(
    rule: Stopping, plus: float, minus: float, rng: np.random.Generator, patterns: int = 300
) -> SequentialPower:
    """Return power and mean length of the sequential sign test.

    The boundaries depend on which pairs are discordant, so patterns of discordance are sampled,
    and given each pattern everything is enumerated exactly.

    Args:
        rule: alpha and n_max.
        plus: P(only the better succeeds).
        minus: P(only the worse succeeds).
        rng: generator of the patterns.
        patterns: how many.
    """
    discordant = rng.random((rule.n_max, patterns)) < plus + minus
    share = plus / (plus + minus) if plus + minus > 0 else 0.5
    width = int(discordant.sum(axis=0).max()) + 2
    null, truth = np.zeros((2, patterns, width))
    null[:, 0] = truth[:, 0] = 1.0
    spent, right, wrong, length = np.zeros((4, patterns))
    count, wins = np.zeros(patterns, np.int64), np.arange(width)
    for pair, now in enumerate(discordant, 1):
        length += truth.sum(axis=1)
        null[now], truth[now] = _toss(null[now], 0.5), _toss(truth[now], share)
        count += now
        spent += cut_tail(null, rule.alpha / 2 * pair / rule.n_max - spent)
        boundary = width - np.argmax(null[:, ::-1] > 0, axis=1)
        up = wins >= boundary[:, None]
        down = (count[:, None] - wins >= boundary[:, None]) & (wins <= count[:, None])
        right, wrong = right + np.sum(truth * up, 1), wrong + np.sum(truth * down, 1)
        truth[up | down] = 0.0
    error = float(np.std(right, ddof=1) / np.sqrt(patterns))
    return SequentialPower(float(right.mean()), float(wrong.mean()), float(length.mean()), error)


def sequential_needed(
    better: float, worse: float, correlation: float, power: float, alpha: float
) -> tuple[Stopping, SequentialPower]:
    """Return the smallest n_max (to 5 pairs) whose sequential test has the wanted power."""
    plus, minus = discordance(better, worse, correlation)
    low = trials_needed(better, worse, correlation, power, alpha)
    high = int(1.6 * low) + 10
    while high - low > 5:
        middle = (low + high) // 2
        found = sequential_power(Stopping(alpha, middle), plus, minus, np.random.default_rng(0))
        low, high = (low, middle) if found.power >= power else (middle, high)
    rule = Stopping(alpha, high)
    return rule, sequential_power(rule, plus, minus, np.random.default_rng(0))


@dataclass(frozen=True)
class Resolution:
    """What n trials can tell.

    Attributes:
        rate: success rate assumed.
        half_width: of the Wilson interval of one policy.
        paired_half_width: of the Tango interval of the difference of two equally good policies.
        detectable: smallest difference found with the wanted power; None if none is.
    """

    rate: float
    half_width: float
    paired_half_width: float
    detectable: float | None


def resolution(
    n: int, rate: float, correlation: float = 0.4, power: float = 0.8, alpha: float = 0.05
) -> Resolution:
    """Return what n paired trials can tell about policies near success ``rate``."""
    if n < 1:
        raise UsageError(f"trials must be at least 1, got {n}")
    plus, minus = discordance(rate, rate, correlation)
    low, high = tango(plus * n, minus * n, n, quantile(1 - alpha))
    single = wilson(rate * n, n, 1 - alpha).half_width
    found = detectable(n, rate, correlation, power, alpha)
    return Resolution(rate, single, float(high - low) / 2, found)


def power_curve(
    sizes: ArrayLike, better: float, worse: float, correlation: float, alpha: float = 0.05
) -> Floats:
    """Return the exact McNemar power at each number of pairs in ``sizes`` (m,)."""
    shares = discordance(better, worse, correlation)
    return np.array([mcnemar_power(int(n), *shares, alpha) for n in np.asarray(sizes)])


def _toss(chance: Floats, win: float) -> Floats:
    """Return (rows, wins) chances after one more discordant pair."""
    after = chance * (1 - win)
    after[:, 1:] += chance[:, :-1] * win
    return after


def _check_rates(better: float, worse: float, power: float, alpha: float) -> None:
    """Raise ``UsageError`` for rates, power or alpha that no plan can be made from."""
    if not 0 < worse < better < 1:
        raise UsageError(f"needed: 0 < worse < better < 1, got better {better}, worse {worse}")
    if not (0 < alpha < 1 and alpha < power < 1):
        raise UsageError(f"needed: 0 < alpha < power < 1, got alpha {alpha}, power {power}")
