"""A real rate with the simulation's help: gained from a good simulator, never believed from one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from benchmarks import stats
from benchmarks.stats.powered import MIN_PAIRS

Flags = np.ndarray


def starts(
    real: float, simulated: float, likeness: float, n: int, rng: np.random.Generator
) -> tuple[Flags, Flags]:
    """Draw (n,) real and simulated successes whose latent difficulty is alike to some degree."""
    hard = np.sqrt(likeness) * rng.normal(size=n)
    left = np.sqrt(1 - likeness)
    return (
        hard + left * rng.normal(size=n) < sps.norm.ppf(real),
        hard + left * rng.normal(size=n) < sps.norm.ppf(simulated),
    )


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(0, 200))
def test_every_estimate_lies_in_its_interval_and_both_within_reason(
    seed: int, n: int, extra: int
) -> None:
    rng = np.random.default_rng(seed)
    real, simulated = starts(rng.uniform(0.02, 0.98), rng.uniform(0.02, 0.98), rng.random(), n, rng)
    found = stats.powered_rate(real, simulated, rng.random(extra) < rng.random())
    assert 0 <= found.interval.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.interval.high <= 1
    assert found.interval.half_width > 0
    assert 0 <= found.weight <= 1
    assert found.plain == real.mean()
    assert bool(found.why_not) is (found.weight == 0)
    assert found.weight > 0 or found.interval == found.plain_interval


def test_the_estimate_is_the_published_one() -> None:
    # PPI++ (2311.01453), a mean with weight w: mean(Y) + w (mean of predictions elsewhere - here).
    rng = np.random.default_rng(3)
    real, simulated = starts(0.7, 0.5, 0.9, 400, rng)
    _, extra = starts(0.7, 0.5, 0.9, 2000, rng)
    found = stats.powered_rate(real, simulated, extra)
    assert found.value == pytest.approx(
        real.mean() + found.weight * (extra.mean() - simulated.mean())
    )
    both = np.concatenate([simulated, extra])
    tuned = np.cov(real, simulated)[0, 1] / ((1 + 400 / 2000) * np.var(both, ddof=1))
    assert found.weight == pytest.approx(tuned, abs=0.01)
    variance = tuned**2 * np.var(extra) / 2000 + np.var(real - tuned * simulated) / 400
    reach = 1.96 * np.sqrt(variance)  # the normal interval of the paper, for many trials
    assert found.interval.low == pytest.approx(found.value - reach, abs=0.006)
    assert found.interval.high == pytest.approx(found.value + reach, abs=0.006)


def test_few_pairs_no_other_starts_or_a_useless_simulator_leave_the_plain_rate() -> None:
    rng = np.random.default_rng(0)
    real, simulated = starts(0.7, 0.7, 0.95, 40, rng)
    few = stats.powered_rate(real[: MIN_PAIRS - 1], simulated[: MIN_PAIRS - 1], simulated)
    alone = stats.powered_rate(real, simulated, [])
    against = stats.powered_rate(real, ~simulated, ~simulated)
    assert [f.weight for f in (few, alone, against)] == [0, 0, 0]
    assert few.why_not.startswith("9 pairs; it takes 10")
    assert alone.why_not == "no simulated trials from other starts"
    assert against.why_not == "simulated outcomes do not go with the real ones"
    assert against.interval == stats.cell_interval(int(real.sum()), 40)


def test_pairs_of_unequal_length_and_values_that_are_no_successes_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs must have equal lengths"):
        stats.powered_rate([1, 0], [1], [1])
    with pytest.raises(ValueError, match="simulated must be successes"):
        stats.powered_rate([1, 0], [0.5, 1], [1])


@pytest.mark.parametrize(
    ("real", "simulated", "likeness", "n"),
    [(0.5, 0.5, 0.95, 20), (0.8, 0.7, 0.9, 20), (0.8, 0.3, 0.5, 20), (0.95, 0.8, 0.0, 50),
     (0.8, 0.9, 0.95, 50), (0.6, 0.9, 0.9, 10)],
)  # fmt: skip
def test_the_interval_covers_whether_the_simulator_is_good_or_biased(
    real: float, simulated: float, likeness: float, n: int
) -> None:
    rng = np.random.default_rng(int(1000 * (real + simulated)) + n)
    inside = 0
    for _ in range(600):
        pairs = starts(real, simulated, likeness, n, rng)
        extra = starts(real, simulated, likeness, 200, rng)[1]
        inside += real in stats.powered_rate(*pairs, extra).interval
    assert inside >= 600 * 0.95 - 3 * np.sqrt(600 * 0.95 * 0.05)


def test_a_good_simulator_is_worth_twice_the_real_trials_and_a_useless_one_nothing() -> None:
    rng = np.random.default_rng(7)
    found = {}
    for likeness in (0.0, 0.98):
        many = [
            stats.powered_rate(
                *starts(0.6, 0.6, likeness, 50, rng), starts(0.6, 0.6, likeness, 400, rng)[1]
            )
            for _ in range(100)
        ]
        found[likeness] = (
            np.mean([f.interval.half_width / f.plain_interval.half_width for f in many]),
            np.mean([f.worth for f in many]),
        )
    assert found[0.98][0] < 0.75
    assert found[0.98][1] > 100
    assert found[0.0][0] == pytest.approx(1.0, abs=0.03)
