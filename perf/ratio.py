"""A measured ratio: two pieces of work done alternately, several times."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

Clock = Callable[[], float]
WALL: Clock = time.perf_counter
CPU: Clock = time.process_time


@dataclass(frozen=True)
class Ratio:
    """How many times faster ``ours`` is than ``theirs``.

    Attributes:
        what: what is compared.
        goal: the least ratio wanted.
        ratio: median over the rounds.
        low, high: smallest and largest round.
        ours_s, theirs_s: median time of each [s].
        clock: ``wall`` or ``cpu`` time.
    """

    what: str
    goal: float
    ratio: float
    low: float
    high: float
    ours_s: float
    theirs_s: float
    clock: str

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal

    def per_piece(self, ours: int, theirs: int) -> "Ratio":
        """Return the ratio for one piece, where a round did ``ours`` and ``theirs`` of them."""
        scale = ours / theirs
        return replace(
            self,
            ratio=self.ratio * scale,
            low=self.low * scale,
            high=self.high * scale,
            ours_s=self.ours_s / ours,
            theirs_s=self.theirs_s / theirs,
        )

    def to_json(self) -> dict[str, Any]:
        """Return all fields and whether the goal is met."""
        return {**asdict(self), "met": self.met}


@dataclass(frozen=True)
class Seconds:
    """A time to reach something, against the longest wanted [s]; ``None``: not reached."""

    what: str
    goal: float
    seconds: float | None

    @property
    def met(self) -> bool:
        """Whether it was reached in time."""
        return self.seconds is not None and self.seconds <= self.goal

    def to_json(self) -> dict[str, Any]:
        """Return all fields and whether the goal is met."""
        return {**asdict(self), "met": self.met}


def compare(
    what: str,
    goal: float,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int = 7,
    clock: Clock = WALL,
) -> Ratio:
    """Time ``ours`` and ``theirs`` in turn, ``rounds`` times after one round to warm up.

    Each round gives one ratio; the median is robust to a machine that is busy now and then.
    ``clock``: ``CPU`` for work of one thread, ``WALL`` where threads or processes are compared.
    """
    pairs = [(_time(ours, clock), _time(theirs, clock)) for _ in range(rounds + 1)][1:]
    ratios = [b / a for a, b in pairs]
    return Ratio(
        what=what,
        goal=goal,
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        ours_s=statistics.median(a for a, _ in pairs),
        theirs_s=statistics.median(b for _, b in pairs),
        clock="cpu" if clock is CPU else "wall",
    )


def _time(work: Callable[[], object], clock: Clock) -> float:
    started = clock()
    work()
    return clock() - started
