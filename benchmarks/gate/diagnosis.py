"""Do the answers to recorded observations fit what was demonstrated, and if not, why not?"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gate import pictures
from benchmarks.gate.check import Check, failed, passed
from benchmarks.gate.recorded import Recorded, answers, errors, follow, spread_rows, typical
from benchmarks.gate.repairs import Repair, repairs
from envs.arm import ArmSpec, Array
from policies.base import Policy
from policies.dataset import EpisodeSet
from policies.trained import LearnedPolicy

NAME = "actions"
JOINT = 0.45
"""Largest typical error of a joint, in shares of its spread in the demonstrations. Policies of the
leaderboard have at most .23 (two_ways, where a demonstrator has a choice)."""
TOGETHER = 0.15
"""Largest typical error of all joints; policies of the leaderboard have at most .09."""
MENDED = 2.0
"""A repair counts where it makes the error so many times smaller."""
ASKED = 150
"""Observations for which a repair is tried."""
OVERFIT = 3.0
"""An over-fit policy errs so many times more on held-out episodes."""
HELD_OUT = 0.12
"""Typical error on held-out episodes below which nobody speaks of over-fitting."""


@dataclass(frozen=True)
class Fit:
    """How answers fit: the error of each joint (median), and the typical one."""

    joints: Array
    typical: float

    @classmethod
    def of(cls, error: Array) -> "Fit":
        """Summarise errors (N, n)."""
        clean = np.nan_to_num(error, nan=np.inf)
        return cls(np.median(clean, axis=0), typical(error))

    @property
    def good(self) -> bool:
        """Whether every joint is near enough, and all together."""
        return bool((self.joints <= JOINT).all()) and self.typical <= TOGETHER


def check_actions(
    policy: Policy, arm: ArmSpec, recorded: Recorded, predicted: Array, data: EpisodeSet
) -> Check:
    """Compare answers with demonstrated actions; name the mistake where they do not fit.

    Args:
        policy: as it will act, adapter included.
        arm: what it acts on.
        recorded: observations with their actions.
        predicted: what it answered to them.
        data: the demonstrations, for trials that follow an episode.
    """
    error = errors(predicted, recorded, policy.spec)
    fit = Fit.of(error)
    shown = _evidence(fit, arm)
    if not fit.good:
        cause, tried = diagnose(policy, arm, recorded, predicted, fit)
        told = f"the answers are off by {fit.typical:.2f} of the spread of what was demonstrated"
        return failed(NAME, cause, f"{told}: {cause}", **shown, tried=tried)
    late = _follows(policy, data, fit)
    if late is not None:
        return failed(NAME, *late, **shown)
    wrong = pictures.unseen(policy, recorded) or pictures.mistaken(policy, recorded)
    if wrong is not None:
        return failed(NAME, wrong.cause, wrong.text, **shown, tried=list(wrong.tried))
    if _ignores_objects(policy, recorded):
        told = "other poses of the objects change nothing: the policy does not see them"
        return failed(NAME, "does not see objects", told, **shown)
    over = _overfits(error, recorded)
    if over:
        return failed(NAME, "over-fit", over, **shown)
    told = (
        f"absolute targets in rad, joints and gripper as demonstrated: typically off by "
        f"{fit.typical:.3f} of the spread; {policy.spec.control_hz:g} Hz, {policy.spec.execute} of "
        f"{policy.spec.chunk} actions executed"
    )
    return passed(NAME, told, **shown)


def _evidence(fit: Fit, arm: ArmSpec) -> dict[str, Any]:
    joints = [
        {"joint": name, "error": _finite(value)}
        for name, value in zip(arm.joints, fit.joints, strict=True)
    ]
    return {"typical error": _finite(fit.typical), "limit for a joint": JOINT, "joints": joints}


def _finite(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def diagnose(
    policy: Policy, arm: ArmSpec, recorded: Recorded, predicted: Array, fit: Fit
) -> tuple[str, list[dict[str, object]]]:
    """Return the mistake that explains answers which do not fit, and what was tried (best first).

    Where no repair helps, the answers themselves are described.
    """
    if dark := pictures.unseen(policy, recorded):
        return dark.cause, []
    rows = spread_rows(len(recorded), ASKED)
    few, said = recorded.part(rows), predicted[rows]
    found: list[tuple[float, Repair]] = []
    seen = pictures.of_pictures(pictures.cameras(policy))
    for repair in itertools.chain(repairs(policy, arm, recorded), seen):
        mended = _mended(policy, repair, few, said)
        found.append((mended.typical if mended.typical <= JOINT else np.inf, repair))
        if found[-1][0] * MENDED * 3 <= fit.typical:
            break  # that is it
    found.sort(key=lambda one: one[0])
    tried = [
        {"mistake": r.cause, "error if undone": round(e, 4)} for e, r in found[:5] if np.isfinite(e)
    ]
    best, repair = found[0]
    if best * MENDED <= fit.typical:
        return repair.cause, tried
    if odd := pictures.mistaken(policy, recorded):
        return odd.cause, [dict(one) for one in odd.tried]
    return _described(policy, predicted, recorded), tried


def _mended(policy: Policy, repair: Repair, few: Recorded, said: Array) -> Fit:
    with np.errstate(all="ignore"):
        if repair.see is not None:
            said = answers(policy, few.seeing(repair.see(few.observations)))
        if repair.say is not None:
            said, few = repair.say(said, few)
        return Fit.of(errors(said, few, policy.spec))


def _described(policy: Policy, predicted: Array, recorded: Recorded) -> str:
    """Say what is to be seen of answers that nothing mends."""
    if not np.isfinite(predicted).all():
        return "not finite"
    moves = (predicted.std(0) / recorded.scale).mean()
    if moves < 0.1:
        return "answers the same whatever it sees"
    if _ignores_objects(policy, recorded):
        return "does not see objects"
    return "does not act as demonstrated (untrained, or of another task)"


def _follows(policy: Policy, data: EpisodeSet, fit: Fit) -> tuple[str, str] | None:
    """Say whether the policy still fits at later predictions of a trial."""
    calls = 3
    found = follow(policy, data, range(len(data)), calls)
    if len(found) and found[1:].min() > max(4 * max(found[0], fit.typical), JOINT / 2):
        later = found[1:].min()
        told = f"a trial's first prediction is off by {found[0]:.2f}, later ones by {later:.2f}"
        return "stale: later predictions of a trial do not follow from what is seen then", told
    return None


def _ignores_objects(policy: Policy, recorded: Recorded) -> bool:
    """Whether the poses of the objects could be any others without a difference."""
    keys = [key for key in policy.spec.vectors if key.startswith("objects/")]
    if not keys or (isinstance(policy, LearnedPolicy) and policy.provenance.get("blind")):
        return False
    rows = spread_rows(len(recorded), ASKED // 3)
    few = recorded.part(rows)
    other = dict(few.observations)
    other |= {k: np.roll(other[k], len(rows) // 2, axis=0) for k in keys}
    moved = np.abs(answers(policy, few.seeing(other)) - answers(policy, few)) / few.scale
    return float(moved.mean()) < 1e-3


def _overfits(error: Array, recorded: Recorded) -> str:
    learned, held = typical(error[recorded.learned]), typical(error[~recorded.learned])
    if recorded.learned.all() or not recorded.learned.any():
        return ""
    if held > HELD_OUT and held > OVERFIT * learned:
        return f"off by {held:.2f} on held-out episodes, by {learned:.3f} on those it learned from"
    return ""
