"""Holm, letters, rank sets, whole tables and floors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps
from statsmodels.stats.multitest import multipletests

from benchmarks import stats

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=15)


@st.composite
def significance(draw: st.DrawFn) -> tuple[list[float], np.ndarray]:
    size = draw(st.integers(1, 9))
    flags = draw(st.lists(st.booleans(), min_size=size * size, max_size=size * size))
    upper = np.triu(np.array(flags).reshape(size, size), 1)
    scores = draw(st.lists(st.floats(0, 1), min_size=size, max_size=size, unique=True))
    return scores, upper | upper.T


@settings(max_examples=10)  # the reference collects garbage at every call
@given(p_values)
def test_holm_equals_statsmodels_and_is_monotone(p: list[float]) -> None:
    adjusted = stats.holm(p)
    assert adjusted == pytest.approx(multipletests(p, method="holm")[1])
    assert np.all(adjusted >= np.array(p) - 1e-15)
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0)


def test_holm_of_nothing_is_nothing_and_of_nonsense_refused() -> None:
    assert stats.holm([]).size == 0
    with pytest.raises(ValueError, match="p-values must be"):
        stats.holm([0.5, 1.5])


@given(significance())
def test_two_rows_share_a_letter_exactly_when_they_do_not_differ(
    case: tuple[list[float], np.ndarray],
) -> None:
    scores, differ = case
    named = stats.letters(scores, differ)
    for i in range(len(scores)):
        assert named[i]
        for j in range(i):
            assert bool(set(named[i]) & set(named[j])) is not bool(differ[i, j])
    assert "a" in named[int(np.argmax(scores))]


def test_letters_read_as_in_a_textbook() -> None:
    differ = np.zeros((4, 4), bool)
    for i, j in [(0, 2), (0, 3), (1, 3)]:
        differ[i, j] = differ[j, i] = True
    assert stats.letters([0.9, 0.8, 0.7, 0.6], differ) == ["a", "ab", "bc", "c"]
    order = [2, 0, 3, 1]
    shuffled = stats.letters([[0.9, 0.8, 0.7, 0.6][i] for i in order], differ[np.ix_(order, order)])
    assert shuffled == ["bc", "a", "c", "ab"]


@given(significance())
def test_rank_sets_hold_the_observed_rank(case: tuple[list[float], np.ndarray]) -> None:
    scores, differ = case
    ranks = np.argsort(np.argsort(-np.array(scores))) + 1
    for (first, last), rank in zip(stats.rank_sets(scores, differ), ranks, strict=True):
        assert 1 <= first <= rank <= last <= len(scores)


def test_a_matrix_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="significant must be"):
        stats.rank_sets([0.1, 0.2], np.zeros((3, 2)))
    with pytest.raises(ValueError, match="symmetric"):
        stats.letters([0.1, 0.2], [[0, 1], [0, 0]])


def test_rank_sets_of_a_table_contain_all_true_ranks_at_least_as_often_as_promised() -> None:
    rates = np.array([0.8, 0.8, 0.7, 0.5])
    first = np.array([1, 1, 3, 4])  # ties share the best rank ...
    last = np.array([2, 2, 3, 4])  # ... and the worst
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(100):
        hard = rng.random(100)
        rows = {
            str(i): stats.Outcomes((0.5 * hard + 0.5 * rng.random(100)) < np.sqrt(p / 2))
            for i, p in enumerate(rates)
        }
        sets = np.array(list(stats.rank(rows).rank_sets.values()))
        missed += bool(np.any((sets[:, 0] > first) | (sets[:, 1] < last)))
    assert missed <= 9  # at a rate of .05 more than 9 of 100 has probability .03


@pytest.mark.parametrize(("n", "size"), [(20, 4.5), (200, 1.4)])
def test_the_rank_set_sizes_of_the_design_are_reproduced(n: int, size: float) -> None:
    rng = np.random.default_rng(1)
    sizes = []
    for _ in range(30):
        hard = rng.normal(size=n)  # starts are correlated .4 between policies
        rows = {
            str(p): stats.Outcomes(
                np.sqrt(0.4) * hard + np.sqrt(0.6) * rng.normal(size=n) < sps.norm.ppf(p)
            )
            for p in (0.9, 0.8, 0.7, 0.6, 0.4)
        }
        sizes += [1 + high - low for low, high in stats.rank(rows).rank_sets.values()]
    assert np.mean(sizes) == pytest.approx(size, abs=0.2)


def test_a_table_orders_letters_by_success_and_keeps_names() -> None:
    rng = np.random.default_rng(0)
    rows = {
        name: stats.Outcomes(rng.random((3, 200)) < p)
        for name, p in {"bc": 0.5, "act": 0.95, "diffusion": 0.94}.items()
    }
    rows["floor:hold"] = stats.Outcomes(np.zeros(200), trained=False)
    ranking = stats.rank(rows)
    assert ranking.letters == {"bc": "b", "act": "a", "diffusion": "a", "floor:hold": "c"}
    assert ranking.rank_sets["floor:hold"] == (4, 4)
    assert all(c.claim == "algorithm" for c in ranking.comparisons.values())
    assert len(ranking.adjusted) == 6


def test_one_row_alone_has_rank_one() -> None:
    ranking = stats.rank({"act": stats.Outcomes(np.ones(5))})
    assert ranking.rank_sets == {"act": (1, 1)}
    assert ranking.letters == {"act": "a"}


@settings(max_examples=10)
@given(st.integers(0, 100))
def test_a_policy_passes_only_when_it_beats_every_floor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    policy = stats.Outcomes(rng.random(200) < 0.9)
    hold = stats.Outcomes(np.zeros(200), trained=False)
    replay = stats.Outcomes(policy.success, trained=False)
    assert stats.against_floors(policy, {"hold": hold}).passed
    both = stats.against_floors(policy, {"hold": hold, "replay": replay})
    assert both.beaten == ("hold",)
    assert not both.passed
    assert not stats.against_floors(policy, {}).passed
