"""Which of a task's two ways a policy takes: whether it knows both, or one, or their mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.board_runs import Seen


@dataclass(frozen=True)
class Ways:
    """The ways taken in some trials.

    Attributes:
        left: trials that went left.
        right: trials that went right.
        neither: trials that took no way to its end, such as through the middle.
        bits: entropy of left and right among those that took one, 0 (one way only) to 1 (both
            alike); None where none did.
    """

    left: int
    right: int
    neither: int
    bits: float | None


def ways_of(trials: Sequence[Seen]) -> Ways | None:
    """Count the ways of ``trials``; None where the task has no ways."""
    taken = [trial.way for trial in trials if trial.has_way]
    if not taken:
        return None
    left = sum(way is not None and way > 0 for way in taken)
    right = sum(way is not None and way < 0 for way in taken)
    return Ways(left, right, len(taken) - left - right, entropy(left, right))


def entropy(a: int, b: int) -> float | None:
    """Return the entropy [bit] of two outcomes seen ``a`` and ``b`` times (Shannon 1948)."""
    if a + b == 0:
        return None
    shares = np.array([a, b]) / (a + b)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum()) + 0.0
