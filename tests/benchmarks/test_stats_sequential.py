"""The stopping rule: exact under the null, powerful, replayable."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import stats
from benchmarks.planner import discordance, sequential_power

Decision = stats.Decision
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


def feed(rule: stats.Stopping, outcomes: list[tuple[bool, bool]]) -> stats.SignTest:
    test = stats.SignTest(rule)
    for a, b in outcomes:
        if test.update(a, b) is not Decision.CONTINUE:
            break
    return test


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_calibration_type_one_error_is_exact_for_every_pattern_of_discordance(alpha: float) -> None:
    length = 7
    rule = stats.Stopping(alpha, length)
    for pattern in product([False, True], repeat=length):
        ways = list(product([False, True], repeat=sum(pattern)))
        verdicts = []
        for winners in ways:
            winner = iter(winners)
            outcomes = [(w := next(winner), not w) if d else (True, True) for d in pattern]
            verdicts.append(feed(rule, outcomes).decision)
        for side in (Decision.A_BETTER, Decision.B_BETTER):
            assert verdicts.count(side) / len(ways) <= alpha / 2 + 1e-12


@pytest.mark.parametrize("discordant", [0.02, 0.1, 0.3, 0.6, 1.0])
def test_calibration_type_one_error_stays_below_alpha_over_a_null_grid(discordant: float) -> None:
    rule, rng = stats.Stopping(0.05, 200), np.random.default_rng(0)
    found = sequential_power(rule, discordant / 2, discordant / 2, rng, patterns=60)
    assert found.power + found.wrong <= 0.05
    assert found.power == pytest.approx(found.wrong)
    if discordant >= 0.1:
        assert found.power + found.wrong > 0.04  # and is not wasted


def test_calibration_type_one_error_by_simulation_with_starts_of_unequal_difficulty() -> None:
    rng = np.random.default_rng(0)
    rule, stopped = stats.Stopping(0.1, 60), 0
    for _ in range(400):
        chance = rng.beta(1, 0.5, size=60)
        a, b = rng.random((2, 60)) < chance
        ended = feed(rule, list(zip(a.tolist(), b.tolist(), strict=True)))
        stopped += ended.decision in (Decision.A_BETTER, Decision.B_BETTER)
    assert stopped <= 56  # at a rate of .10 more than 56 of 400 has probability .004


def test_the_power_of_the_design_is_reproduced() -> None:
    rule, shares = stats.Stopping(0.1, 200), discordance(0.8, 0.7, 0.6)  # .05 a side
    found = sequential_power(rule, *shares, np.random.default_rng(0))
    assert found.power == pytest.approx(0.84, abs=0.01)
    assert found.mean_trials == pytest.approx(116, abs=3)
    assert found.wrong < 0.001


def test_the_planner_agrees_with_the_test_itself() -> None:
    rng = np.random.default_rng(1)
    rule, (plus, minus) = stats.Stopping(0.1, 80), (0.25, 0.08)
    promised = sequential_power(rule, plus, minus, rng)
    u = rng.random((300, 80))
    runs = [feed(rule, [(x < plus, plus <= x < plus + minus) for x in row]) for row in u]
    power = np.mean([run.decision is Decision.A_BETTER for run in runs])
    assert power == pytest.approx(promised.power, abs=0.08)
    assert np.mean([run.pairs for run in runs]) == pytest.approx(promised.mean_trials, abs=4)


@given(pairs)
def test_a_decision_replays_and_swapping_the_arms_swaps_it(
    outcomes: list[tuple[bool, bool]],
) -> None:
    rule = stats.Stopping(0.2, 60)
    test = feed(rule, outcomes)
    again = stats.SignTest.replay(rule, outcomes[: test.pairs])
    mirrored = feed(rule, [(b, a) for a, b in outcomes])
    swap = {Decision.A_BETTER: Decision.B_BETTER, Decision.B_BETTER: Decision.A_BETTER}
    assert (again.decision, again.boundary) == (test.decision, test.boundary)
    assert mirrored.decision is swap.get(test.decision, test.decision)


def test_a_clear_winner_stops_early_and_equals_end_undecided() -> None:
    rule = stats.Stopping(0.05, 100)
    clear, equal = feed(rule, [(True, False)] * 100), feed(rule, [(True, True)] * 100)
    assert (clear.decision, equal.decision) == (Decision.A_BETTER, Decision.UNDECIDED)
    assert clear.pairs < 15
    assert equal.pairs == 100


def test_pairs_after_the_end_are_refused() -> None:
    rule = stats.Stopping(0.05, 3)
    with pytest.raises(ValueError, match=r"ended \(undecided\) at pair 3"):
        stats.SignTest.replay(rule, [(True, True)] * 4)


@pytest.mark.parametrize(("alpha", "n_max"), [(0.0, 10), (1.0, 10), (0.05, 0)])
def test_an_impossible_rule_is_refused(alpha: float, n_max: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        stats.Stopping(alpha, n_max)
