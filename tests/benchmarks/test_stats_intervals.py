"""One proportion, two independent ones, and the bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from benchmarks import stats

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(counts, levels)
def test_wilson_equals_statsmodels(count: tuple[int, int], level: float) -> None:
    found = stats.wilson(*count, level)
    low, high = proportion_confint(*count, alpha=1 - level, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


@given(counts, levels)
def test_clopper_pearson_equals_statsmodels(count: tuple[int, int], level: float) -> None:
    found = stats.clopper_pearson(*count, level)
    low, high = proportion_confint(*count, alpha=1 - level, method="beta")
    expected = (0.0 if count[0] == 0 else low, 1.0 if count[0] == count[1] else high)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


@given(counts)
def test_a_one_sided_bound_is_one_side_of_a_wider_interval(
    count: tuple[int, int],
) -> None:
    both = stats.clopper_pearson(*count, 0.9)
    assert stats.clopper_pearson(*count, 0.95, side="lower").low == pytest.approx(both.low)
    assert stats.clopper_pearson(*count, 0.95, side="upper").high == pytest.approx(both.high)


@given(counts)
def test_intervals_contain_the_estimate_and_mirror_with_failures(count: tuple[int, int]) -> None:
    k, n = count
    for method in (stats.wilson, stats.clopper_pearson, stats.cell_interval):
        found, mirrored = method(k, n), method(n - k, n)
        assert k / n in found
        assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


@given(st.integers(2, 200), st.data())
def test_intervals_rise_with_successes(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    for method in (stats.wilson, stats.clopper_pearson):
        fewer, more = method(k, n), method(k + 1, n)
        assert fewer.low < more.low
        assert fewer.high < more.high


def test_the_half_widths_of_the_design_are_reproduced() -> None:
    expected = {20: 16.8, 50: 10.9, 100: 7.8, 200: 5.5, 500: 3.5}
    for n, points in expected.items():
        assert 100 * stats.wilson(0.8 * n, n).half_width == pytest.approx(points, abs=0.06)


def test_a_cell_is_exact_at_the_ends_and_wilson_between() -> None:
    assert stats.cell_interval(0, 20).high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert stats.cell_interval(20, 20).method == "Clopper-Pearson"
    assert stats.cell_interval(19, 20).method == "Wilson"


@pytest.mark.parametrize("n", [20, 50])
def test_the_coverage_of_a_cell_is_nominal_on_average_and_never_far_below(n: int) -> None:
    limits = [stats.cell_interval(k, n) for k in range(n + 1)]
    rates = np.linspace(0.02, 0.98, 97)
    pmf = sps.binom.pmf(np.arange(n + 1), n, rates[:, None])
    inside = np.array([[p in limit for limit in limits] for p in rates])
    coverage = np.sum(pmf * inside, axis=1)
    assert 0.95 < coverage.mean() < 0.955
    assert coverage.min() > 0.92


@given(counts, counts)
def test_newcombe_equals_statsmodels(a: tuple[int, int], b: tuple[int, int]) -> None:
    found = stats.newcombe(*a, *b)
    low, high = confint_proportions_2indep(*a, *b, compare="diff", method="newcomb")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-7)


def test_newcombe_gives_the_published_example() -> None:
    found = stats.newcombe(56, 70, 48, 80)  # Newcombe (1998), example (a): .0524 to .3339
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="0 <= k <= n"):
        stats.wilson(k, n)


def test_a_level_or_side_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="level must be between"):
        stats.wilson(1, 2, 95)
    with pytest.raises(ValueError, match="side must be"):
        stats.clopper_pearson(1, 2, side="left")


def test_the_bootstrap_of_progress_is_reproducible_and_about_normal() -> None:
    scores = np.random.default_rng(0).integers(0, 7, 200) / 6
    first = stats.progress_interval(scores, np.random.default_rng(1))
    again = stats.progress_interval(scores, np.random.default_rng(1))
    half = 1.96 * scores.std(ddof=1) / np.sqrt(200)
    assert first == again
    assert first.half_width == pytest.approx(half, rel=0.06)
    assert scores.mean() in first


def test_strata_keep_their_share_in_every_resample() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.uniform(0, 0.02, 50), rng.uniform(0.98, 1, 50)])
    labels = np.repeat(["a", "b"], 50)
    apart = stats.progress_interval(scores, np.random.default_rng(0), labels)
    mixed = stats.progress_interval(scores, np.random.default_rng(0))
    assert apart.half_width < 0.002
    assert mixed.half_width > 0.08


def test_strata_that_are_each_constant_claim_no_certainty() -> None:
    found = stats.progress_interval(
        np.repeat([0.0, 1.0], 50), np.random.default_rng(0), np.repeat(["a", "b"], 50)
    )
    one = stats.clopper_pearson(50, 50).low
    assert (found.low, found.high) == pytest.approx((one / 2, 1 - one / 2))


def test_seeds_that_differ_widen_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    alike = rng.random((3, 100)) < 0.7
    apart = rng.random((3, 100)) < np.array([[0.95], [0.7], [0.45]])
    wide = stats.progress_interval(apart, np.random.default_rng(1)).half_width
    assert wide > 2 * stats.progress_interval(alike, np.random.default_rng(1)).half_width


@settings(max_examples=30)
@given(st.floats(0, 1), st.integers(1, 100))
def test_equal_scores_claim_no_certainty(value: float, n: int) -> None:
    found = stats.progress_interval(np.full(n, value), np.random.default_rng(0))
    exact = stats.clopper_pearson(n, n)
    assert found.low - 1e-12 <= value <= found.high + 1e-12
    assert found.high - found.low == pytest.approx(1 - exact.low)


def test_the_mean_over_tasks_is_resampled_within_each_task() -> None:
    rng = np.random.default_rng(0)
    tasks = {"easy": rng.random(100) < 0.9, "hard": rng.random(400) < 0.3}
    found = stats.task_mean_interval(tasks, np.random.default_rng(1))
    error = np.sqrt(sum(np.var(t) / t.size for t in tasks.values())) / 2
    assert np.mean([t.mean() for t in tasks.values()]) in found
    assert found.half_width == pytest.approx(1.96 * error, rel=0.08)
    solved = {"a": np.ones(20), "b": np.zeros(20)}
    assert stats.task_mean_interval(solved, np.random.default_rng(1)).half_width > 0.05


def test_scores_outside_the_unit_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        stats.progress_interval([0.5, 6.0], np.random.default_rng(0))
