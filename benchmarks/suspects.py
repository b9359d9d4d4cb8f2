"""How much of a run's failures each of the five causes explains, and which of them fits.

A sign of a trial (where it began, which way it went) explains failures only where trials without it
fail less often. Where nothing is told so and the policy was not seen to be right where it learned,
nothing is decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.failures import AVERAGE, ERROR, HARDWARE, SHIFT
from benchmarks.stats import newcombe
from benchmarks.symptoms import Answer, Modes
from benchmarks.symptoms_policy import Forced, Scaling
from envs.arm import Array

UNDECIDED = "not decided"

LEAST = 5
"""Trials below which nothing is said of them."""
ENOUGH = 0.5
"""Share of the failures that a cause must explain."""
OFF, FACTOR = 0.1, 1.15
"""Scaling this far off (in scales; ratio) is not the demonstrations'."""
BAD = 0.5
"""A policy whose error on the demonstrations is this share of that of standing still is wrong."""
APART_RAD = 0.002
"""Joints this far from the nominal simulation answer differently; encoders resolve as much."""
TWO, MAIN = 4.5, 0.8
"""Separation of two ways, and the share of what differs that they explain."""
FEW = 0.2
"""Share of the failures between the ways from which on averaging is looked at at all."""


@dataclass(frozen=True)
class Suspect:
    """A cause, how much of the failures it explains, and why.

    Attributes:
        cause: one of the five.
        share: of the failed trials that it can explain, 0..1.
        evidence: in words, with numbers.
    """

    cause: str
    share: float
    evidence: str


@dataclass(frozen=True)
class Computed:
    """What was measured of a policy.

    Attributes:
        scale: its statistics.
        forced: its predictions in the demonstrations' own states; None where it sees pictures.
        tuned: whether it was fine-tuned and so keeps another's scaling.
    """

    scale: Scaling
    forced: Forced | None
    tuned: bool

    @property
    def mismatched(self) -> bool:
        """Whether its statistics are not those of the demonstrations."""
        return self.scale.off > OFF or self.scale.factor > FACTOR

    @property
    def right(self) -> bool:
        """Whether it was seen to predict what was demonstrated."""
        return self.forced is not None and self.forced.ratio <= BAD


@dataclass(frozen=True)
class Sign:
    """Something that trials show.

    Attributes:
        shown: (N,) trials of the condition that show it.
        failed: (N,) those that failed.
        others: (M,) whether nominal trials of the run without it failed: they count where the
            condition has fewer than ``LEAST`` without it.
        right: demonstrations in whose states the policy was seen to be right: they count as
            trials without it that did not fail.
    """

    shown: Array
    failed: Array
    others: Array
    right: int

    @property
    def lost(self) -> float:
        """Share of the failures that show it."""
        return float(self.shown[self.failed].mean())

    @property
    def _others(self) -> str:
        own = "the demonstrations, where the policy is right"
        return f"the others and {own}" if self.right else "the others"

    def explained(self) -> tuple[float, str]:
        """Return the share of the failures that it explains, and who fails how often in words.

        Trials that show it fail more often than those that do not: the interval of the difference
        lies above 0.
        """
        if not self.shown.any():
            return 0.0, "no trial does"
        lost, without = self.failed[self.shown], self.failed[~self.shown]
        if len(without) < LEAST:
            without = np.concatenate([without, self.others]).astype(bool)
        told = f"{lost.mean():.0%} of such trials fail"
        without = np.concatenate([without, np.zeros(self.right, bool)])
        if not len(without):
            return 0.0, f"{told}, and there are no others"
        more = newcombe(int(lost.sum()), len(lost), int(without.sum()), len(without))
        told += (
            f", {without.mean():.0%} of {self._others} (difference, 95 % interval: "
            f"{100 * more.low:.0f} to {100 * more.high:.0f} points)"
        )
        return (self.lost if more.low > 0 else 0.0), told


def computed(found: Computed | None) -> Suspect:
    """Suspect what the policy computes with; None: it was not looked at."""
    if found is None:
        return Suspect(ERROR, 0.0, "not looked at")
    scale, forced = found.scale, found.forced
    told, share = ["statistics as the demonstrations ask for"], 0.0
    if found.mismatched:
        about = "as fine-tuning keeps them" if found.tuned else "not those of the demonstrations"
        told = [
            f"statistics {about}: {scale.where} is off by {scale.off:.2f} of its scale and scaled "
            f"by {scale.factor:.2f}"
        ]
        share = 0.0 if found.tuned else 1.0
    if forced is not None:
        told.append(
            f"in the demonstrations' own states its joints are predicted {1e3 * forced.error:.1f} "
            f"mrad off, {forced.ratio:.2f} of the error of standing still"
        )
        share = max(share, float(not found.right))
    return Suspect(ERROR, share, "; ".join(told))


def hardware(found: Answer, usual: Answer) -> Suspect:
    """Suspect an arm that answered as ``found`` where the demonstrating one does as ``usual``."""
    if not len(found.apart):
        return Suspect(HARDWARE, 0.0, "no trial has enough steps to look at")
    limit = max(APART_RAD, 3 * float(np.median(usual.apart)) if len(usual.apart) else 0.0)
    share = float(np.mean(found.apart > limit))
    middle = 1e3 * float(np.median(found.apart))
    told = (
        f"sent the same commands, the nominal simulation is {middle:.1f} mrad away from this arm "
        f"(from the one that demonstrated: {1e3 * float(np.median(usual.apart)):.1f}); delay "
        f"{20 * found.delay} ms, noise {1e3 * found.noise:.1f} mrad, the rest "
        f"{1e3 * found.rest:.1f} mrad"
    )
    return Suspect(HARDWARE, share, told)


def begun(cause: str, there: Sign, where: str) -> Suspect:
    """Suspect starts that lie ``there``, in words ``where``."""
    share, told = there.explained()
    return Suspect(cause, share, f"{there.lost:.0%} of the failures begin {where}; {told}")


def averaged(found: Modes, failed: Array, right: int) -> Suspect:
    """Suspect the mean of two ways; ``right`` as in ``Sign``."""
    two = found.separation > TWO and found.share > MAIN
    told = (
        f"demonstrations from like starts {'go two ways' if two else 'go one way'} (separation "
        f"{found.separation:.1f}, {found.share:.0%} of what differs)"
    )
    if not two:
        return Suspect(AVERAGE, 0.0, told)
    between = Sign(found.between, failed, np.zeros(0, bool), right)
    share, how = between.explained()
    return Suspect(
        AVERAGE, share, f"{told}; {between.lost:.0%} of the failures go between them; {how}"
    )


def verdict(suspects: Sequence[Suspect], right: bool) -> str:
    """Return the first cause that explains enough, or the one that explains most.

    Where none explains anything, a policy that is ``right`` in the demonstrations' own states
    leaves, by its own errors, what was demonstrated: distribution shift. Else nothing is decided.
    """
    enough = [s for s in suspects if s.share >= ENOUGH]
    if enough:
        return enough[0].cause
    most = max(suspects, key=lambda s: s.share)
    if most.share >= FEW:
        return most.cause
    return SHIFT if right else UNDECIDED
