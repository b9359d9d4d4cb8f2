"""The sentences about a table: what is said of differences and of the doubt in them."""

from benchmarks.board_cells import NOMINAL
from benchmarks.board_tables import Family, Pair
from benchmarks.board_words import _order

LABELS = {"flow": "flow", "act": "act", "bc": "bc"}


def pair(a: str, b: str, p_holm: float) -> Pair:
    return Pair(a, b, 0.04, 0.011, 0.079, p_holm / 3, p_holm, 200, 8, 1, "Tango", "checkpoint")


def family(*pairs: Pair) -> Family:
    order = tuple(dict.fromkeys(name for one in pairs for name in (one.a, one.b)))
    return Family(NOMINAL, 200, order, pairs, (), ())


def test_a_corrected_p_beside_an_interval_that_is_not_is_said_to_be_so() -> None:
    tied, behind = pair("flow", "act", 0.15), pair("flow", "bc", 0.0002)
    first, second = _order(family(tied, behind, pair("act", "bc", 0.004)), LABELS, False)
    assert first == (
        "On nominal starts flow and act cannot be told apart (p after Holm for 3 comparisons, "
        "intervals for each alone): flow over act by 4.0 points [+1.1,\u00a0+7.9], p\u00a0=\u00a0"
        "0.15."
    )
    assert second.startswith("Ahead beyond chance: flow over bc")
    led = _order(
        family(behind, pair("flow", "act", 0.001), pair("act", "bc", 0.004)), LABELS, False
    )
    assert led[0] == "On nominal starts flow leads all others."
    assert led[1].startswith("Ahead beyond chance (p after Holm for 3 comparisons, intervals for")


def test_a_single_comparison_has_nothing_to_correct() -> None:
    (said,) = _order(family(pair("flow", "act", 0.15)), LABELS, False)
    assert "Holm" not in said
