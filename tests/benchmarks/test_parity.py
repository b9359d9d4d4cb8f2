"""Two forms of a policy are compared on the starts that both have."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.parity import Start, pair

OUTCOMES = st.dictionaries(
    st.tuples(st.integers(0, 9), st.integers(0, 2)), st.booleans(), max_size=20
)


@given(OUTCOMES, OUTCOMES)
def test_a_start_of_one_alone_is_no_pair(
    before: dict[Start, bool], after: dict[Start, bool]
) -> None:
    first, second = pair(before, after)
    shared = sorted(before.keys() & after.keys())
    expected = sorted((key, before[key], after[key]) for key in shared)
    order = [key for key in before if key in after]
    assert sorted(zip(order, first.tolist(), second.tolist(), strict=True)) == expected
