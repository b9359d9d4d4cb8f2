"""Power by enumeration, trials needed, what a number of trials can tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from benchmarks import planner, stats
from envs.errors import UsageError


@pytest.mark.parametrize(("correlation", "pairs"), [(0.4, 243), (0.6, 201), (0.8, 151)])
def test_the_pairs_of_the_design_are_reproduced_exactly(correlation: float, pairs: int) -> None:
    assert planner.trials_needed(0.8, 0.7, correlation) == pairs


def test_the_unpaired_trials_of_the_design_are_reproduced_exactly() -> None:
    assert planner.unpaired_needed(0.8, 0.7) == 294


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(0, 0.95))
@settings(max_examples=30)
def test_the_chance_of_a_shared_success_equals_the_bivariate_normal(
    p: float, q: float, correlation: float
) -> None:
    normal = sps.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    expected = normal.cdf(sps.norm.ppf([p, q]))
    assert planner.both_succeed(p, q, correlation) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("n", [6, 15])
def test_the_power_equals_a_sum_over_all_tables(n: int) -> None:
    plus, minus, alpha = 0.35, 0.1, 0.1
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            reject = b > c and stats.paired.mcnemar_counts(b, c) <= alpha
            cells = [b, c, n - b - c]
            total += reject * sps.multinomial.pmf(cells, n, [plus, minus, 1 - plus - minus])
    assert planner.mcnemar_power(n, plus, minus, alpha) == pytest.approx(total)


@settings(max_examples=15)
@given(st.floats(0.2, 0.9), st.floats(0.1, 0.4), st.sampled_from([0.0, 0.4, 0.8]))
def test_the_planned_number_has_the_power_and_correlation_saves_trials(
    better: float, gap: float, correlation: float
) -> None:
    worse = max(0.05, better - gap)
    n = planner.trials_needed(better, worse, correlation)
    power = planner.power_curve(range(n, n + 10), better, worse, correlation)
    assert power.min() >= 0.8
    assert planner.power_curve([n - 1], better, worse, correlation)[0] < 0.8
    assert n <= planner.trials_needed(better, worse, 0.0)


def test_the_sequential_plan_needs_fewer_trials_on_average_and_more_at_most() -> None:
    fixed = planner.trials_needed(0.9, 0.7, 0.4)
    rule, found = planner.sequential_needed(0.9, 0.7, 0.4, 0.8, 0.05)
    assert found.power >= 0.8
    assert found.mean_trials < fixed < rule.n_max


def test_what_trials_can_tell_narrows_with_their_number() -> None:
    few, many = planner.resolution(20, 0.8), planner.resolution(200, 0.8)
    assert many.half_width == pytest.approx(0.055, abs=5e-4)
    assert many.paired_half_width < few.paired_half_width
    assert many.detectable is not None
    assert planner.trials_needed(0.8, 0.8 - many.detectable) == pytest.approx(200, abs=8)
    assert planner.resolution(5, 0.8).detectable is None


def test_the_curve_rises_to_one() -> None:
    power = planner.power_curve(np.arange(50, 1000, 50), 0.8, 0.7, 0.4)
    assert np.all(np.diff(power) > -0.01)
    assert power[-1] > 0.99


@pytest.mark.parametrize(
    ("better", "worse", "correlation", "message"),
    [
        (0.7, 0.8, 0.4, "0 < worse < better < 1"),
        (1.0, 0.8, 0.4, "0 < worse < better < 1"),
        (0.8, 0.7, 1.0, r"correlation must be in \[0, 1\)"),
        (0.8, 0.7999, 0.4, "more than 20000"),
    ],
)
def test_an_impossible_plan_is_a_usage_error(
    better: float, worse: float, correlation: float, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        planner.trials_needed(better, worse, correlation)
