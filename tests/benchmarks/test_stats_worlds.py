"""Simulation against reality: correlation, rank violation, and what few policies cannot tell."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from benchmarks import stats
from benchmarks.stats.worlds import METHOD

rates = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=2, max_size=9)


@st.composite
def both_worlds(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    simulated = draw(rates)
    size = len(simulated)
    return simulated, draw(st.lists(st.sampled_from(np.linspace(0, 1, 21).tolist()),
                                    min_size=size, max_size=size))  # fmt: skip


def grids(
    probabilities: np.ndarray, trials: int, rng: np.random.Generator
) -> dict[str, stats.Outcomes]:
    return {f"p{i}": stats.Outcomes(rng.random(trials) < p) for i, p in enumerate(probabilities)}


@given(both_worlds())
def test_pearson_equals_scipy(case: tuple[list[float], list[float]]) -> None:
    simulated, real = case
    found = float(stats.pearson(simulated, real))
    if np.ptp(simulated) < 1e-12 or np.ptp(real) < 1e-12:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(sps.pearsonr(simulated, real).statistic, abs=1e-9)


@given(both_worlds())
def test_rank_violation_is_none_exactly_where_both_worlds_order_alike(
    case: tuple[list[float], list[float]],
) -> None:
    simulated, real = case
    same = all(
        np.sign(a - b) == np.sign(c - d) or c == d
        for a, c in zip(simulated, real, strict=True)
        for b, d in zip(simulated, real, strict=True)
    )
    found = float(stats.rank_violation(simulated, real))
    assert (found == 0) is same
    assert 0 <= found <= np.ptp(real) + 1e-12
    order = np.argsort(np.random.default_rng(0).random(len(real)))
    moved = stats.rank_violation(np.array(simulated)[order], np.array(real)[order])
    assert float(moved) == pytest.approx(found)  # no tie depends on the order of policies


def test_rank_violation_reads_as_in_the_paper() -> None:
    # Real .9, .5, .4; simulation swaps the last two: each of them violates by .1, the first not.
    assert float(stats.rank_violation([0.8, 0.3, 0.6], [0.9, 0.5, 0.4])) == pytest.approx(0.2 / 3)
    # Simulation turns everything round: each violates by its largest real difference.
    assert float(stats.rank_violation([0.1, 0.2, 0.3], [0.9, 0.5, 0.4])) == pytest.approx(
        (0.5 + 0.4 + 0.5) / 3
    )


@given(both_worlds())
def test_the_same_line_correlates_fully(case: tuple[list[float], list[float]]) -> None:
    simulated, _ = case
    assume(np.ptp(simulated) > 0)
    assert float(stats.pearson(simulated, np.array(simulated) * 0.5)) == pytest.approx(1.0)


def test_five_policies_are_too_few_and_the_reason_is_given() -> None:
    rng = np.random.default_rng(0)
    five, six = (grids(np.linspace(0.2, 0.9, k), 40, rng) for k in (5, 6))
    none = stats.sim_to_real(five, six, rng)
    assert (none.policies, none.pearson, none.violation) == (5, None, None)
    assert none.why_not.startswith("5 policies in both worlds; from 6 on")
    found = stats.sim_to_real(six, grids(np.linspace(0.2, 0.9, 6), 20, rng), rng)
    assert found.pearson is not None
    assert found.violation is not None
    assert found.pearson[1].method == METHOD
    assert not found.why_not


def test_policies_that_all_fail_in_one_world_say_nothing() -> None:
    rng = np.random.default_rng(0)
    six = grids(np.linspace(0.2, 0.9, 6), 40, rng)
    found = stats.sim_to_real(six, grids(np.zeros(6), 20, rng), rng)
    assert found.pearson is None
    assert found.why_not == "all policies have the same success in reality"


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_the_interval_holds_the_estimate_and_repeats_with_the_generator(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.1, 0.95, 8)
    worlds = grids(true, 60, rng), grids(np.clip(true - 0.1, 0, 1), 30, rng)
    a, b = (stats.sim_to_real(*worlds, np.random.default_rng(5), draws=800) for _ in range(2))
    assert a == b
    assert a.pearson is not None
    assert -1 <= a.pearson[1].low <= a.pearson[0] <= a.pearson[1].high <= 1
    assert a.violation is not None
    assert 0 <= a.violation[1].low <= a.violation[1].high <= 1


def test_a_useless_simulator_of_four_policies_often_looks_useful() -> None:
    rng = np.random.default_rng(0)
    lucky = stats.pearson(rng.random((20000, 4)), rng.random((20000, 4))) >= 0.8
    assert np.mean(lucky) == pytest.approx(0.10, abs=0.01)
    assert np.mean(stats.pearson(rng.random((20000, 8)), rng.random((20000, 8))) >= 0.8) < 0.02


def test_the_interval_of_useless_simulators_seldom_excludes_no_correlation() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(120):
        simulated, real = (grids(rng.uniform(0.1, 0.9, 8), 40, rng) for _ in range(2))
        found = stats.sim_to_real(simulated, real, rng, draws=400)
        wrong += found.pearson is not None and 0.0 not in found.pearson[1]
    assert wrong <= 14  # .05 is nominal; 14 of 120 or more have probability .002 at it


def test_policies_without_shared_starts_are_drawn_apart() -> None:
    rng = np.random.default_rng(0)
    true = np.linspace(0.2, 0.9, 6)
    apart = {
        f"p{i}": stats.Outcomes(rng.random(20) < p, ics=tuple(range(100 * i, 100 * i + 20)))
        for i, p in enumerate(true)
    }
    found = stats.sim_to_real(apart, grids(true, 30, rng), rng, draws=500)
    assert found.pearson is not None
    assert found.pearson[1].low < found.pearson[0]
