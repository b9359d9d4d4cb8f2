"""Two raters: kappa as published, and an interval that is never of zero width."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from benchmarks import stats
from benchmarks.stats.raters import kappa_variance

tables = st.integers(2, 4).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, 12), min_size=size, max_size=size), min_size=size, max_size=size
    )
)


def ratings(table: list[list[int]]) -> tuple[list[int], list[int]]:
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row)
             for _ in range(count)]  # fmt: skip
    return [a for a, _ in pairs], [b for _, b in pairs]


def test_the_textbook_table_gives_its_kappa() -> None:
    # 50 grant applications: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no; agreement .7, chance .5.
    found = stats.cohen_kappa(*ratings([[15, 10], [5, 20]]))
    assert (found.agreed, found.chance) == (35, pytest.approx(0.5))
    assert found.value == pytest.approx(0.4)


@given(tables)
def test_kappa_and_its_variance_equal_statsmodels(table: list[list[int]]) -> None:
    counts = np.array(table)
    first, second = ratings(table)
    assume(len(set(first)) > 1 and len(set(second)) > 1)
    assume(0 < np.trace(counts) < counts.sum())  # the reference divides by what is then zero
    found = stats.cohen_kappa(first, second)
    used = counts.sum(axis=0) + counts.sum(axis=1) > 0
    reference = cohens_kappa(counts[np.ix_(used, used)])
    assert found.value == pytest.approx(reference.kappa)
    assert found.agreed == np.trace(counts)
    variance = kappa_variance(counts / counts.sum(), int(counts.sum()))
    assert variance == pytest.approx(max(0.0, reference.var_kappa), abs=1e-9)


@given(tables)
def test_the_raters_may_change_places(table: list[list[int]]) -> None:
    first, second = ratings(table)
    if not first:
        return
    a, b = stats.cohen_kappa(first, second), stats.cohen_kappa(second, first)
    assert a.value == pytest.approx(b.value)
    assert a.table == tuple(zip(*b.table, strict=True))
    if a.value is not None and a.interval is not None:
        assert a.interval.low <= a.value <= a.interval.high
        assert a.interval.half_width > 0


def test_perfect_agreement_on_few_trials_is_no_certainty() -> None:
    found = stats.cohen_kappa([True] * 6 + [False] * 4, [True] * 6 + [False] * 4)
    assert found.value == 1.0
    assert found.interval is not None
    low = stats.clopper_pearson(10, 10).low
    assert found.interval.low == pytest.approx((low - 0.52) / 0.48)
    assert found.interval.high == 1.0


def test_one_label_only_gives_no_kappa_and_the_reason() -> None:
    found = stats.cohen_kappa(["success"] * 5, ["success"] * 5)
    assert (found.value, found.interval) == (None, None)
    assert found.why_not == "both called all 5 trials success: nothing to tell apart"


def test_raters_of_different_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="same trials, got 2 and 1"):
        stats.cohen_kappa([1, 0], [1])
    with pytest.raises(ValueError, match="got 0 and 0"):
        stats.cohen_kappa([], [])


def test_the_interval_covers_the_kappa_of_careful_raters() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):  # both see the truth and err one time in ten: kappa .64 at even odds
        truth = rng.random(60) < 0.5
        first, second = (truth ^ (rng.random(60) < 0.1) for _ in range(2))
        found = stats.cohen_kappa(first.tolist(), second.tolist())
        inside += found.interval is not None and 0.64 in found.interval
    assert inside >= 400 * 0.95 - 3 * np.sqrt(400 * 0.95 * 0.05)
