"""A whole table at once: every pair compared, adjusted, lettered and ranked; floors checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.stats.compare import Comparison, Outcomes, compare
from benchmarks.stats.ranking import holm, letters, rank_sets


@dataclass(frozen=True)
class Ranking:
    """The rows of one (task, track, protocol) in the order given.

    Attributes:
        names: row names.
        comparisons: by (a, b), for a before b in ``names``.
        adjusted: Holm-adjusted p-value of each comparison.
        letters: compact letters by name: a shared letter means "not shown to differ".
        rank_sets: by name the ranks the row may hold, first and last.
        alpha: family-wise error rate.
    """

    names: tuple[str, ...]
    comparisons: Mapping[tuple[str, str], Comparison]
    adjusted: Mapping[tuple[str, str], float]
    letters: Mapping[str, str]
    rank_sets: Mapping[str, tuple[int, int]]
    alpha: float


def rank(rows: Mapping[str, Outcomes], alpha: float = 0.05) -> Ranking:
    """Compare all pairs of rows, adjust by Holm, and give letters and rank sets.

    Args:
        rows: outcomes by name, all from the same cell.
        alpha: family-wise error rate over all pairs.
    """
    names = tuple(rows)
    pairs = list(combinations(names, 2))
    found = {(a, b): compare(rows[a], rows[b], 1 - alpha) for a, b in pairs}
    adjusted = dict(zip(pairs, map(float, holm([found[pair].p for pair in pairs])), strict=True))
    place = {name: index for index, name in enumerate(names)}
    differ = np.zeros((len(names), len(names)), np.bool_)
    for (a, b), p in adjusted.items():
        differ[place[a], place[b]] = differ[place[b], place[a]] = p <= alpha
    rates = [rows[name].rate for name in names]
    shown = dict(zip(names, letters(rates, differ), strict=True))
    sets = dict(zip(names, rank_sets(rates, differ), strict=True))
    return Ranking(names, found, adjusted, shown, sets, alpha)


@dataclass(frozen=True)
class FloorCheck:
    """Whether a policy beats every floor.

    Attributes:
        comparisons: policy against each floor, by the floor's name.
        beaten: names of the floors it is significantly better than.
        passed: True if that is all of them.
    """

    comparisons: Mapping[str, Comparison]
    beaten: tuple[str, ...]
    passed: bool


def against_floors(
    policy: Outcomes, floors: Mapping[str, Outcomes], alpha: float = 0.05
) -> FloorCheck:
    """Compare a policy with every floor (open-loop replay, hold, random, blind).

    "Better than all floors" is an intersection-union claim: each test is made at alpha and no
    adjustment is needed (Berger, 1982). With no floors the check does not pass.

    Args:
        policy: outcomes of the policy.
        floors: outcomes of each floor in the same cell.
        alpha: error rate of each comparison, two-sided.
    """
    found = {name: compare(policy, floor, 1 - alpha) for name, floor in floors.items()}
    beaten = tuple(name for name, c in found.items() if c.p <= alpha and c.diff > 0)
    return FloorCheck(found, beaten, bool(floors) and len(beaten) == len(found))
