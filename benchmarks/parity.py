"""Whether two forms of one policy do the same: the same starts, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import stats
from benchmarks.evaluated import valid
from benchmarks.protocol import DEV
from benchmarks.records import read_run
from benchmarks.run import EvaluateConfig, Job, Workers, evaluate, prepare
from envs.errors import UsageError

Start = tuple[int, int]
Successes = npt.NDArray[np.bool_]

FEWEST = 50
"""Paired trials from which a difference is told."""


@dataclass(frozen=True)
class Parity:
    """Success of two forms of a policy from the same starts.

    Attributes:
        trials: pairs.
        before, after: successes of each.
        same: trials that ended alike.
        both: pairs in which both succeeded.
        diff, low, high: difference of the success rates with its 95 % interval (Tango).
        p: exact McNemar.
    """

    trials: int
    before: int
    after: int
    same: int
    both: int
    diff: float
    low: float
    high: float
    p: float

    def to_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it in one line."""
        return (
            f"{self.after}/{self.trials} after, {self.before}/{self.trials} before: "
            f"{100 * self.diff:+.1f} points [{100 * self.low:+.1f}, {100 * self.high:+.1f}], "
            f"p = {self.p:.2g}; {self.same} trials ended alike"
        )


def plan_parity(folders: tuple[Path, Path], base: EvaluateConfig, trials: int) -> list[Job]:
    """Prepare the nominal trials of the dev split for both; ``UsageError``: too few, or a policy.

    Args:
        folders: checkpoint before and after.
        base: protocol, results and batch.
        trials: pairs.
    """
    if trials < FEWEST:
        raise UsageError(f"--trials must be 0 (none) or at least {FEWEST}, got {trials}")
    settings = {"protocol": base.protocol, "results": base.results, "batch": base.batch}
    own = {"split": DEV, "conditions": ("nominal",), "videos": "none", "trials": trials}
    return [
        prepare(EvaluateConfig(str(folder), **settings, **own))  # type: ignore[arg-type]
        for folder in folders
    ]


def run_parity(jobs: list[Job], pool: Workers, progress: Callable[[int], None]) -> Parity:
    """Run the trials that are missing and compare them start by start.

    A start of which one trial is invalid is no pair.
    """
    wins: list[dict[Start, bool]] = []
    for job in jobs:
        done = evaluate(job.config, progress, job, pool)
        trials = read_run(done.folder).trials
        wins.append({_start(t): t["success"] for t in valid(trials)})
    before, after = pair(*wins)
    found = stats.compare(stats.Outcomes(after), stats.Outcomes(before))
    return Parity(
        trials=len(before),
        before=int(before.sum()),
        after=int(after.sum()),
        same=int((before == after).sum()),
        both=int((before & after).sum()),
        diff=found.diff,
        low=found.low,
        high=found.high,
        p=found.p,
    )


def _start(trial: Mapping[str, Any]) -> Start:
    """Return the number of a trial's start and of its repetition."""
    return int(trial["key"]["ic"]), int(trial["key"]["repeat"])


def pair(before: Mapping[Start, bool], after: Mapping[Start, bool]) -> tuple[Successes, Successes]:
    """Return the successes of the starts that both have, in the order of ``before``."""
    shared = [key for key in before if key in after]
    return np.array([before[k] for k in shared]), np.array([after[k] for k in shared])
