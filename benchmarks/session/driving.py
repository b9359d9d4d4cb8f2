"""A trial driven by a policy, described as records describe it."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.drive import POLICY_ERROR
from benchmarks.execution import Wanted
from benchmarks.failures import Trace, label
from benchmarks.latency import NOT_TIMED, percentiles
from benchmarks.real_trial import RealTrial
from benchmarks.session.rig import Ran
from benchmarks.trial import actions_digest, quality
from envs.task import Task
from policies.base import Policy
from policies.chunking import Controller
from real.verdict import REJECTED, STOPPED

ENDS = {
    STOPPED: "safety_stop", "blocked": "safety_stop", REJECTED: POLICY_ERROR,
    POLICY_ERROR: POLICY_ERROR,
}  # fmt: skip
"""What a trial that ended early is suggested to have failed by."""

NO_QUALITY: Mapping[str, float | None] = {"sparc": None, "path_ratio": None, "contact_peak_n": None}


def driving(policies: Sequence[Policy], wanted: Wanted, held: ExitStack) -> list[Controller]:
    """Return what carries out the chunks of each policy as ``wanted``, until ``held`` is closed.

    Raises:
        UsageError: they cannot be carried out so.
    """
    return [
        held.enter_context(wanted.execution(policy.spec).driving(policy)) for policy in policies
    ]


def described(trial: RealTrial, sensed: Trace | None, task: Task) -> Ran:
    """Return a trial as it is kept.

    Args:
        trial: what happened.
        sensed: what is true of it, where somebody knows.
        task: what was to be done.
    """
    steps = len(trial.actions)
    predicting = 1e3 * trial.predicting[trial.predicting > 0]
    latency = (
        {**percentiles(predicting.tolist()), "missed": trial.lost} if len(predicting) else NOT_TIMED
    )
    ends = trial.ends
    told = {
        "automatic": _automatic(trial, sensed, task),
        "steps": steps,
        "duration_s": round(steps / trial.hz, 3),
        "quality": dict(NO_QUALITY),
        "latency": dict(latency),
        "lost_ticks": trial.lost,
        "clamps": sum(n for name, n in trial.verdicts.items() if name != "passed"),
        "ends": ends,
        "reason": trial.reason,
        "actions_sha256": actions_digest(trial.actions),
        "final_sha256": hashlib.sha256(
            np.ascontiguousarray(trial.joints[-1:], "<f8").tobytes()
        ).hexdigest(),
    }
    if sensed is not None and steps:
        told["quality"] = quality(sensed, 0, task, task.subject(trial.start))
    arrays = {
        "actions": trial.actions,
        "joints": np.asarray(trial.joints),
        "stages": trial.stages,
        "stamps": trial.stamps,
    }
    void = ""
    if trial.void:
        void = trial.reason if trial.reason.startswith(ends) else f"{ends}: {trial.reason}"
    return Ran(void, told, arrays)


def _automatic(trial: RealTrial, sensed: Trace | None, task: Task) -> dict[str, Any]:
    """Return what can be told without a person: of an arm alone only how it ended."""
    failure = ENDS.get(trial.ends, "")
    if sensed is None:
        return {"success": None, "stage": trial.stage, "failure": failure or None}
    if trial.success:
        return {"success": True, "stage": trial.stage, "failure": None}
    found = label(sensed, task)[0][0]
    return {"success": False, "stage": trial.stage, "failure": failure or found or "other"}
