"""A trial driven by a policy, described as records describe it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.drive import POLICY_ERROR
from benchmarks.failures import Trace, label
from benchmarks.latency import NOT_TIMED, percentiles
from benchmarks.real_trial import RealTrial, trials_of
from benchmarks.session.rig import Ran
from benchmarks.trial import actions_digest, quality
from envs.arm import Array, InitialCondition
from envs.task import Task
from policies.base import Policy, PolicySpec
from real.real_arm import RealArm
from real.verdict import INVALID_HARDWARE, REJECTED, STOPPED

ENDS = {STOPPED: "safety_stop", "blocked": "safety_stop", REJECTED: "policy_error"}
"""What a trial that ended early is suggested to have failed by."""

NO_QUALITY: Mapping[str, float | None] = {"sparc": None, "path_ratio": None, "contact_peak_n": None}


class Caught:
    """A policy whose errors are answers that are not finite: they end its trial, not the session.

    Attributes:
        error: what it raised last in this trial.
    """

    def __init__(self, policy: Policy) -> None:
        """Pass ``policy`` through."""
        self.policy, self.name, self.spec = policy, policy.name, policy.spec
        self.error = ""

    def reset(self, instructions: Any, seeds: Any) -> None:  # noqa: ANN401  (as Policy)
        """Begin new trials."""
        self.error = ""
        self.policy.reset(instructions, seeds)

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return the policy's actions, NaN where it raised."""
        try:
            return self.policy.act(obs)
        except Exception as error:  # any crash of a policy is a result of its trial
            self.error = f"{type(error).__name__}: {error}"
            spec: PolicySpec = self.spec
            return np.full((1, spec.chunk, spec.n), np.nan, np.float32)


class Drive:
    """Lets one policy drive an arm, trial by trial."""

    def __init__(self, arm: RealArm, policy: Policy) -> None:
        """Let ``policy`` drive ``arm``.

        Raises:
            UsageError: a policy for another arm, or one that reads what nobody sees.
        """
        self._policy = Caught(policy)
        self._trials = trials_of(arm, self._policy)

    def run(self, start: InitialCondition, seed: int) -> tuple[RealTrial, str]:
        """Run a trial; return it and what the policy did wrong, empty where nothing."""
        trial = self._trials.run(start, seed)
        wrong = self._policy.error
        if not wrong and trial.ends == POLICY_ERROR:
            wrong = trial.reason
        return trial, wrong


def described(trial: RealTrial, wrong: str, sensed: Trace | None, task: Task) -> Ran:
    """Return a trial as it is kept.

    Args:
        trial: what happened.
        wrong: what the policy did wrong, empty where nothing.
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
        "automatic": _automatic(trial, wrong, sensed, task),
        "steps": steps,
        "duration_s": round(steps / trial.hz, 3),
        "quality": dict(NO_QUALITY),
        "latency": dict(latency),
        "lost_ticks": trial.lost,
        "clamps": sum(n for name, n in trial.verdicts.items() if name != "passed"),
        "ends": ends,
        "reason": wrong or trial.reason,
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
    if ends == INVALID_HARDWARE:
        void = trial.reason if trial.reason.startswith(ends) else f"{ends}: {trial.reason}"
    return Ran(void, told, arrays)


def _automatic(trial: RealTrial, wrong: str, sensed: Trace | None, task: Task) -> dict[str, Any]:
    """Return what can be told without a person: of an arm alone only how it ended."""
    failure = "policy_error" if wrong else ENDS.get(trial.ends, "")
    if sensed is None:
        return {"success": None, "stage": trial.stage, "failure": failure or None}
    if trial.success:
        return {"success": True, "stage": trial.stage, "failure": None}
    found = label(sensed, task)[0][0]
    return {"success": False, "stage": trial.stage, "failure": failure or found or "other"}
