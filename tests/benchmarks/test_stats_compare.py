"""A against B: which test, which claim, and whether its error rate is what it says."""

import numpy as np
import pytest
from calibration import World, calibrate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from benchmarks import stats
from benchmarks.stats.clustered import spread
from benchmarks.stats.compare import sign_flip

flags = st.lists(st.booleans(), min_size=1, max_size=60)


@given(flags, st.randoms())
def test_one_seed_each_is_exact_mcnemar(a: list[bool], random: object) -> None:
    b = list(a)
    random.shuffle(b)  # type: ignore[attr-defined]
    found = stats.compare(stats.Outcomes(np.array(a)), stats.Outcomes(np.array(b)))
    assert found.p == pytest.approx(stats.mcnemar(a, b))
    assert found.claim == "checkpoint"
    assert found.paired
    gap = stats.paired_gap(b, a)
    assert (found.low, found.high) == pytest.approx((gap.low, gap.high))


def test_the_sign_flip_test_is_the_enumeration_of_all_swaps() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 8)) < 0.7, rng.random((3, 8)) < 0.4
    difference = a.sum(axis=0) * 3 - b.sum(axis=0) * 2
    signs = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    sums = signs @ difference
    tail = np.mean(sums <= -abs(difference.sum()))
    assert sign_flip(a, b) == pytest.approx(min(1.0, 2 * tail))


@pytest.mark.parametrize(
    ("seeds", "trained", "claim"),
    [
        ((1, 1), (True, True), "checkpoint"),
        ((2, 2), (True, True), "checkpoint"),
        ((3, 1), (True, True), "checkpoint"),
        ((3, 3), (True, True), "algorithm"),
        ((3, 1), (True, False), "algorithm"),
        ((1, 1), (True, False), "checkpoint"),
        ((3, 3), (False, False), "checkpoint"),
    ],
)
@pytest.mark.parametrize("paired", [True, False])
def test_the_claim_follows_from_the_seeds_of_the_trained_arms(
    seeds: tuple[int, int], trained: tuple[bool, bool], claim: str, paired: bool
) -> None:
    rng = np.random.default_rng(0)
    a = stats.Outcomes(rng.random((seeds[0], 80)) < 0.9, trained=trained[0])
    ids = range(80) if paired else range(100, 180)
    b = stats.Outcomes(rng.random((seeds[1], 80)) < 0.4, ids, trained=trained[1])
    found = stats.compare(a, b)
    assert (found.claim, found.paired) == (claim, paired)
    assert found.method.startswith("unpaired") is not paired
    assert found.low <= found.diff <= found.high
    assert found.low > 0
    assert found.p < 0.05
    assert found.a_only - found.b_only == pytest.approx(80 * found.diff)


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 30), st.integers(0, 10_000))
def test_swapping_the_arms_mirrors_the_comparison(s: int, t: int, ics: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = stats.Outcomes(rng.random((s, ics)) < 0.8), stats.Outcomes(rng.random((t, ics)) < 0.5)
    there, back = stats.compare(a, b), stats.compare(b, a)
    assert there.p == pytest.approx(back.p)
    assert (there.diff, there.low) == pytest.approx((-back.diff, -back.high), abs=1e-9)
    assert -1 <= there.low <= there.diff + 1e-9
    assert 0 <= there.p <= 1


def test_pairs_are_found_by_id_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(50) < 0.9, rng.random(50) < 0.6
    order = rng.permutation(50)
    straight = stats.compare(stats.Outcomes(a), stats.Outcomes(b))
    shuffled = stats.compare(stats.Outcomes(a), stats.Outcomes(b[order], order.tolist()))
    assert straight == shuffled


def test_different_initial_conditions_are_compared_by_boschloo_and_labelled() -> None:
    a, b = (
        stats.Outcomes(np.repeat([1, 0], [16, 4])),
        stats.Outcomes(np.repeat([1, 0], [9, 11]), range(20, 40)),
    )
    found = stats.compare(a, b)
    assert found.method == "unpaired: Boschloo, Newcombe"
    assert found.p == pytest.approx(sps.boschloo_exact([[16, 9], [4, 11]]).pvalue)
    assert (found.low, found.high) == pytest.approx(
        (stats.newcombe(16, 20, 9, 20).low, stats.newcombe(16, 20, 9, 20).high)
    )


def test_three_perfect_seeds_against_three_failing_ones_differ_and_are_not_certain() -> None:
    best, worst = stats.Outcomes(np.ones((3, 50))), stats.Outcomes(np.zeros((3, 50)))
    apart, same = stats.compare(best, worst), stats.compare(best, best)
    assert apart.p < 1e-9
    assert apart.low < 1.0
    assert (same.p, same.diff) == (1.0, 0.0)
    assert same.high > 0.05


def test_three_seeds_that_swing_do_not_make_an_algorithm_claim() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((3, 200)) < np.array([[0.95], [0.9], [0.5]])
    b = rng.random((3, 200)) < np.array([[0.75], [0.6], [0.5]])
    found = stats.compare(stats.Outcomes(a), stats.Outcomes(b))
    assert sign_flip(a, b) < 1e-6  # these six files do differ
    assert found.p > 0.05  # their algorithms are not shown to


@pytest.mark.parametrize(("seeds", "seed_sd"), [(3, 0.0), (3, 0.3), (3, 1.0), (5, 0.5)])
def test_calibration_of_the_algorithm_claim_and_interval(seeds: int, seed_sd: float) -> None:
    rng = np.random.default_rng(int(10 * seed_sd) + seeds)
    found = calibrate(World(seeds, 100, (seed_sd, seed_sd)), rng, runs=200)
    assert found.rejected <= 0.085  # at a rate of .05 more than 17 of 200 has probability .01
    assert found.difference >= 0.915
    assert found.clustered >= 0.88  # .92 to .99 in the long run
    assert found.pooled < found.clustered - 0.03
    if seed_sd >= 0.5:
        assert found.naive > 0.2  # what the same data would claim with the seeds taken as fixed


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 10_000))
def test_the_algorithm_interval_contains_the_rate(seeds: int, ics: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = rng.random((seeds, ics)) < rng.random()
    found = stats.algorithm_interval(grid)
    assert found.low - 1e-12 <= grid.mean() <= found.high + 1e-12
    assert 0 <= found.low < found.high <= 1
    if seeds == 1:
        assert found == stats.cell_interval(int(grid.sum()), ics)


def test_three_perfect_seeds_count_as_many_trials_as_initial_conditions() -> None:
    found = stats.algorithm_interval(np.ones((3, 100)))
    assert found.low == pytest.approx(stats.clopper_pearson(100, 100).low)


def test_the_spread_of_three_swinging_seeds_has_two_degrees_of_freedom() -> None:
    grid = np.repeat([[1.0], [0.5], [0.0]], 100, axis=1)
    found = spread(grid.mean(axis=0), [grid])
    assert (found.variance, found.dof) == pytest.approx((0.25 / 3, 2.0))


def test_outcomes_refuse_repeated_ids_and_values_that_are_no_success() -> None:
    with pytest.raises(ValueError, match="2 distinct ids"):
        stats.Outcomes(np.ones(2), (5, 5))
    with pytest.raises(ValueError, match="must be successes"):
        stats.Outcomes(np.array([0.2, 1.0]))
    with pytest.raises(ValueError, match="seeds, initial conditions"):
        stats.Outcomes(np.ones((2, 2, 2)))
