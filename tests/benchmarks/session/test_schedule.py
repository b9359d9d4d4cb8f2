"""The schedule: randomised complete blocks."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.session.schedule import draw
from envs.errors import UsageError

SIZES = st.tuples(st.integers(0, 9), st.integers(1, 30), st.integers(1, 6))


@given(SIZES)
def test_every_block_holds_every_policy_once_and_every_code_is_another(
    size: tuple[int, int, int],
) -> None:
    seed, blocks, arms = size
    schedule = draw(seed, blocks, arms, 0.2)
    for block in range(blocks):
        mine = [trial for trial in schedule if trial.block == block]
        assert sorted(trial.arm for trial in mine) == list(range(arms))
        assert {trial.ic for trial in mine} == {block}
    assert len({trial.code for trial in schedule}) == blocks * arms
    assert [trial.place for trial in schedule] == list(range(blocks * arms))
    assert schedule == draw(seed, blocks, arms, 0.2)


def test_the_order_within_blocks_is_drawn_anew_and_evenly() -> None:
    first = Counter(trial.arm for trial in draw(0, 2000, 2, 0.0) if trial.place % 2 == 0)
    assert abs(first[0] - 1000) < 4 * 500**0.5  # four standard deviations
    assert draw(1, 30, 2, 0.0) != draw(2, 30, 2, 0.0)


@given(SIZES, st.floats(0.01, 1.0))
def test_whole_blocks_are_rated_the_first_among_them(
    size: tuple[int, int, int], share: float
) -> None:
    seed, blocks, arms = size
    rated = [trial for trial in draw(seed, blocks, arms, share) if trial.rated]
    assert {trial.block for trial in rated} >= {0}
    assert len(rated) % arms == 0
    assert abs(len(rated) / arms - share * blocks) < 1.0 or len(rated) == arms
    assert not any(trial.rated for trial in draw(seed, blocks, arms, 0.0))


@pytest.mark.parametrize("wrong", [(0, 0, 2, 0.2), (0, 2, 0, 0.2), (-1, 2, 2, 0.2), (0, 2, 2, 1.5),
                                   (0, 9000, 2, 0.2)])  # fmt: skip
def test_numbers_that_make_no_schedule_are_refused(wrong: tuple[int, int, int, float]) -> None:
    with pytest.raises(UsageError):
        draw(*wrong)
