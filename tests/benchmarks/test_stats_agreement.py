"""Cohen's kappa, against figures that others published and an independent library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats.agreement import cohen


def raters(both: int, first: int, second: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return a, b


def test_the_textbook_table_gives_its_kappa() -> None:
    # 50 grant applications: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no; p_o .7, p_e .5.
    found = cohen(*raters(20, 5, 10, 15))
    assert found.agree == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.4 < found.high


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=60))
def test_it_is_what_statsmodels_says(pairs: list[tuple[bool, bool]]) -> None:
    oracle = pytest.importorskip("statsmodels.stats.inter_rater")
    a, b = [one for one, _ in pairs], [other for _, other in pairs]
    found = cohen(a, b)
    assert found.kappa == cohen(b, a).kappa or found.kappa == pytest.approx(cohen(b, a).kappa)
    table = np.array([[sum(x == i and y == j for x, y in pairs) for j in (0, 1)] for i in (0, 1)])
    if found.kappa is None:
        return
    with np.errstate(all="ignore"):  # it divides by a spread of nothing
        theirs = oracle.cohens_kappa(table)
    assert found.kappa == pytest.approx(theirs.kappa, abs=1e-9)
    if found.low is not None and found.high is not None:
        assert found.low == pytest.approx(max(-1.0, theirs.kappa_low), abs=1e-6)
        assert found.high == pytest.approx(min(1.0, theirs.kappa_upp), abs=1e-6)


def test_one_verdict_only_defines_no_kappa_and_no_case_is_refused() -> None:
    assert cohen([True] * 5, [True] * 5).kappa is None
    assert cohen([True, False], [True, False]).kappa == 1.0
    assert cohen([True, False], [True, False]).low is None
    with pytest.raises(ValueError, match="need the same cases"):
        cohen([], [])
