"""Stopping early without cheating: an alpha-spending sign test on discordant pairs.

The sequential form of McNemar's test. Under the null the winner of each discordant pair is a
fair coin, whatever the success rates and however pairs and initial conditions vary. So, given
which pairs are discordant, the distribution of wins among the paths that have not stopped yet is
known exactly, and a boundary can be placed pair by pair so that the probability of ever crossing
it stays within what was allowed so far (Lan & DeMets, 1983, with linear spending; conditional on
discordance as in McNemar, 1947).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.intervals import check_level

Floats = NDArray[np.float64]
_SLACK = 1e-15  # of rounding, when a tail exactly equals its budget


class Decision(Enum):
    """What the test says so far."""

    CONTINUE = "continue"
    A_BETTER = "a"
    B_BETTER = "b"
    UNDECIDED = "undecided"  # all n_max pairs are in and no boundary was crossed


@dataclass(frozen=True)
class Stopping:
    """The frozen part of a stopping rule, written in the protocol before the first trial.

    Attributes:
        alpha: two-sided error rate; half is spent on each side.
        n_max: pairs at which the test ends.
    """

    alpha: float = 0.05
    n_max: int = 200

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_level(self.alpha)
        if self.n_max < 1:
            raise ValueError(f"n_max must be at least 1, got {self.n_max}")


class SignTest:
    """The sequential test itself: feed pairs in protocol order until it decides.

    The state is a function of the pairs alone, so that a decision replays from the records.
    A_BETTER and B_BETTER each have probability <= alpha / 2 under the null, for any pattern of
    discordance.
    """

    def __init__(self, rule: Stopping) -> None:
        """Start before the first pair."""
        self.rule = rule
        self.pairs = 0
        self.wins = 0
        self.losses = 0
        self.decision = Decision.CONTINUE
        self._alive: Floats = np.ones(1)  # chance of w wins and no earlier crossing
        self._spent = 0.0

    @property
    def boundary(self) -> int:
        """Wins (or losses) at which the test now stops; beyond the discordant pairs: none yet."""
        return int(np.flatnonzero(self._alive)[-1]) + 1

    def update(self, a: bool, b: bool) -> Decision:
        """Add one pair of outcomes on the same initial condition and return the decision.

        Raises:
            ValueError: if the test has ended already.
        """
        if self.decision is not Decision.CONTINUE:
            raise ValueError(f"the test has ended ({self.decision.value}) at pair {self.pairs}")
        self.pairs += 1
        if a != b:
            self.wins, self.losses = self.wins + bool(a), self.losses + bool(b)
            self._alive = (np.append(self._alive, 0.0) + np.append(0.0, self._alive)) / 2
        allowed = self.rule.alpha / 2 * self.pairs / self.rule.n_max - self._spent
        self._spent += float(cut_tail(self._alive, np.asarray(allowed)))
        self.decision = self._decide()
        return self.decision

    def _decide(self) -> Decision:
        """Compare wins and losses with the boundary; it is the same for both by symmetry."""
        if self.wins >= self.boundary:
            return Decision.A_BETTER
        if self.losses >= self.boundary:
            return Decision.B_BETTER
        return Decision.UNDECIDED if self.pairs >= self.rule.n_max else Decision.CONTINUE

    @classmethod
    def replay(cls, rule: Stopping, pairs: Iterable[tuple[bool, bool]]) -> "SignTest":
        """Return the test after the recorded pairs, in protocol order.

        Raises:
            ValueError: if there are pairs after the test has ended.
        """
        test = cls(rule)
        for a, b in pairs:
            test.update(bool(a), bool(b))
        return test


def cut_tail(alive: Floats, allowed: Floats) -> Floats:
    """Set the largest upper tail that fits ``allowed`` to zero in place; return its mass.

    Args:
        alive: (..., wins + 1) chances of the surviving paths; each row is cut by itself.
        allowed: (...,) mass that each row may spend now.
    """
    tail = np.cumsum(alive[..., ::-1], axis=-1)[..., ::-1]
    cut = tail <= np.asarray(allowed)[..., None] + _SLACK
    mass = np.max(tail, axis=-1, where=cut, initial=0.0)
    alive[cut] = 0.0
    return np.asarray(mass)
