"""Gaps, retention and exact tests on the same initial conditions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as sps
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from benchmarks import stats
from benchmarks.stats.paired import mcnemar_counts, newcombe_paired, tango, tango_score

tables = st.tuples(*[st.integers(0, 40)] * 4).filter(lambda cells: sum(cells) > 0)
Cells = tuple[int, int, int, int]


def trials(both: int, lost: int, gained: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    sizes = (both, lost, gained, neither)
    return np.repeat([1, 1, 0, 0], sizes), np.repeat([1, 0, 1, 0], sizes)


def test_tango_gives_published_values() -> None:
    # Fagerland, Lydersen & Laake (2014): Bentur 2009 and Cavo 2012; R's PropCIs at level .90.
    for plus, minus, n, level, low, high in [
        (1, 7, 21, 0.95, -0.517, -0.026),
        (6, 16, 161, 0.95, -0.1240, -0.0054),
        (28, 25, 618, 0.90, -0.0148, 0.0247),
    ]:
        found = tango(plus, minus, n, sps.norm.ppf(0.5 + level / 2))
        assert found == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_newcombe_paired_gives_published_values() -> None:
    found = newcombe_paired(59, 6, 16, 80, 0.95)  # Fagerland et al. (2014), Cavo 2012
    assert (found.low, found.high) == pytest.approx((-0.1186, -0.0046), abs=5e-5)


@given(tables)
def test_both_intervals_contain_the_gap_and_mirror_with_it(cells: Cells) -> None:
    _, lost, gained, _ = cells
    before, after = trials(*cells)
    for method in ("tango", "newcombe"):
        gap = stats.paired_gap(before, after, method=method)
        back = stats.paired_gap(after, before, method=method)
        assert gap.diff == pytest.approx((gained - lost) / sum(cells))
        assert (gap.n, gap.both, gap.lost, gap.gained, gap.neither) == (sum(cells), *cells)
        assert -1 <= gap.low <= gap.diff + 1e-9
        assert gap.diff - 1e-9 <= gap.high <= 1
        assert (gap.low, gap.high) == pytest.approx((-back.high, -back.low), abs=1e-9)


@given(tables)
def test_the_limits_of_tango_solve_its_equation(cells: Cells) -> None:
    plus, minus, n = float(cells[0]), float(cells[1]), float(sum(cells))
    low, high = tango(plus, minus, n, 1.96)
    score = [tango_score(*map(np.asarray, (plus, minus, n, end))) for end in (low, high)]
    if low > -1 + 1e-9:
        assert score[0] == pytest.approx(1.96, abs=1e-4)
    if high < 1 - 1e-9:
        assert score[1] == pytest.approx(-1.96, abs=1e-4)


@pytest.mark.parametrize("n", [20, 50])
def test_the_coverage_of_tango_is_nominal_by_enumeration(n: int) -> None:
    b, c = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    b, c = b[b + c <= n], c[b + c <= n]
    low, high = tango(b, c, n, 1.959964)
    coverage = []
    for p, q in product([0.02, 0.05, 0.1, 0.2, 0.3, 0.45], repeat=2):
        chance = sps.multinomial.pmf(np.column_stack([b, c, n - b - c]), n, [p, q, 1 - p - q])
        coverage.append(np.sum(chance[(low <= p - q) & (p - q <= high)]))
    assert 0.945 < np.mean(coverage) < 0.97
    assert np.min(coverage) > 0.945


@given(tables)
def test_mcnemar_equals_statsmodels(cells: Cells) -> None:
    before, after = trials(*cells)
    table = [[cells[0], cells[1]], [cells[2], cells[3]]]
    if cells[1] + cells[2]:
        expected = reference_mcnemar(table, exact=True).pvalue
        assert stats.mcnemar(before, after) == pytest.approx(min(1.0, expected))
    else:
        assert stats.mcnemar(before, after) == 1.0


def test_mcnemar_gives_published_values() -> None:
    assert mcnemar_counts(6, 16) == pytest.approx(0.052479, abs=1e-6)
    assert mcnemar_counts(6, 16, mid_p=True) == pytest.approx(0.034690, abs=1e-6)


def test_the_gap_of_several_seeds_is_wider_than_if_all_pairs_were_independent() -> None:
    rng = np.random.default_rng(3)
    shared = rng.random(60)
    before = np.tile(shared < 0.9, (3, 1))
    after = shared < np.array([[0.9], [0.7], [0.5]])
    clustered = stats.paired_gap(before, after)
    pooled = stats.paired_gap(before.ravel(), after.ravel())
    assert clustered.diff == pytest.approx(pooled.diff)
    assert clustered.interval.half_width > 2 * pooled.interval.half_width
    assert "seed" in clustered.method


def test_a_gap_without_any_change_is_not_certain() -> None:
    one = stats.paired_gap(np.ones(50), np.ones(50))
    three = stats.paired_gap(np.ones((3, 50)), np.ones((3, 50)))
    assert (one.low, one.high) == pytest.approx((-0.0713, 0.0713), abs=5e-4)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_retention_needs_ten_nominal_successes() -> None:
    before, after = trials(both=8, lost=2, gained=1, neither=9)
    assert stats.retention(before, after) == pytest.approx(0.9)
    assert stats.retention(*trials(both=7, lost=2, gained=1, neither=9)) is None


def test_the_compositional_gap_is_zero_where_effects_multiply() -> None:
    assert stats.compositional_gap(0.72, [0.9, 0.8]) == pytest.approx(0.0)
    assert stats.compositional_gap(0.5, [0.9, 0.8]) == pytest.approx(-0.22)
    assert stats.compositional_gap(None, [0.9]) is None
    assert stats.compositional_gap(0.5, [0.9, None]) is None


def test_unpaired_shapes_and_other_values_are_refused() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        stats.paired_gap([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="equal shapes"):
        stats.retention(np.ones(20), np.ones(30))
    with pytest.raises(ValueError, match="must be successes"):
        stats.mcnemar([0.5], [1])
    with pytest.raises(ValueError, match="at least one trial"):
        stats.paired_gap([], [])
    with pytest.raises(ValueError, match="method must be"):
        stats.paired_gap([1], [0], method="wald")
