"""A trial on a real arm or its twin: a policy drives, and what happened is kept with its times."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.drive import Period, Pilot, drive
from benchmarks.trial import check_seen
from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from policies.base import Policy
from policies.chunking import Controller
from real.control import FarArm
from real.real_arm import RealArm
from real.safe_arm import SafeArm

LATE = 1.5
"""A control period longer than so many of them counts as a lost one."""


@dataclass(frozen=True, eq=False)
class RealTrial:
    """What happened in one trial.

    Attributes:
        start: how it was set up.
        success: whether the goal was held, as the table saw it.
        stage: stages reached in order.
        ends: why it ended early: ``rejected``, ``blocked``, ``invalid_hardware``, ``stopped``,
            ``policy_error``; empty where the policy had all its time.
        reason: that in words.
        actions: what the policy asked for (T, n).
        joints: what was measured (T + 1, n).
        stages: reached after each control period (T + 1,).
        stamps: when each observation was made, on the arm's clock (T + 1,) [s].
        predicting: what each action took to compute (T,) [s]; 0 where one of a chunk was at hand.
        ages: age of the oldest frame or object in each observation (T + 1,) [s].
        verdicts: control periods by what the safety chain decided.
        findings: control periods by what it found.
        hz: control rate of the arm [Hz].
    """

    start: InitialCondition
    success: bool
    stage: int
    ends: str
    reason: str
    actions: Array
    joints: Array
    stages: Array
    stamps: Array
    predicting: Array
    ages: Array
    verdicts: Mapping[str, int]
    findings: Mapping[str, int]
    hz: float

    @property
    def periods(self) -> Array:
        """Time from one observation to the next (T,) [s]."""
        return np.diff(self.stamps)

    @property
    def lost(self) -> int:
        """Control periods in which the arm waited for the policy or for the computer."""
        return int((self.periods > LATE / self.hz).sum())


class Trials:
    """Runs trials of one policy on one arm, one after the other."""

    def __init__(self, arm: RealArm, policy: Policy, execute: int | None = None) -> None:
        """Let ``policy`` drive ``arm``; ``execute`` are the actions of a chunk that are used.

        Raises:
            UsageError: a policy for another arm, or one that reads what nobody sees.
        """
        check_fits(policy, arm)
        self.arm, self.policy = arm, policy
        self.pilot = Pilot(Controller(policy, execute))

    def run(self, start: InitialCondition, seed: int = 0) -> RealTrial:
        """Run one trial from ``start`` until success, the horizon, or a stop.

        Raises:
            StoppedError: the start pose was not reached.
        """
        arm, pilot = self.arm, self.pilot
        before = chain_counts(arm)
        seen = arm.home(start)
        pilot.begin(arm.task.instruct(start), seed)
        goal, notes = len(arm.task.stages), _Notes()
        notes.add(arm, seen)

        def watch(period: Period) -> bool:
            notes.predicting.append(pilot.seconds)
            notes.actions.append(period.action)
            notes.add(arm, period.after)
            return arm.stage >= goal

        left = arm.task.horizon if arm.stage < goal else 0
        ended = drive(arm, seen, pilot.act, left, watch)
        after = chain_counts(arm)
        verdicts, findings = (
            {
                name: count - old.get(name, 0)
                for name, count in new.items()
                if count != old.get(name)
            }
            for old, new in zip(before, after, strict=True)
        )
        n = arm.spec.n
        return RealTrial(
            start, arm.stage == goal, arm.stage, ended.ends, ended.reason,
            np.array(notes.actions, np.float32).reshape(-1, n), np.array(notes.joints),
            np.array(notes.stages), np.array(notes.stamps), np.array(notes.predicting),
            np.array(notes.ages), verdicts, findings, arm.spec.control_hz,
        )  # fmt: skip


def check_fits(policy: Policy, arm: RealArm) -> None:
    """Refuse, with ``UsageError``, a policy for another arm, or that reads what nobody sees."""
    if tuple(policy.spec.joints) != arm.spec.joints:
        raise UsageError(
            f"the policy drives {', '.join(policy.spec.joints)}; this arm has "
            f"{', '.join(arm.spec.joints)}"
        )
    check_seen(policy.spec, arm.task, arm.spec)


class _Notes:
    """What is kept of every control period."""

    def __init__(self) -> None:
        self.actions: list[Array] = []
        self.joints: list[Array] = []
        self.stages: list[int] = []
        self.stamps: list[float] = []
        self.predicting: list[float] = []
        self.ages: list[float] = []

    def add(self, arm: RealArm, seen: Mapping[str, Array]) -> None:
        self.joints.append(seen["qpos"])
        self.stages.append(arm.stage)
        self.stamps.append(arm.stamp)
        self.ages.append(max(arm.ages.values(), default=0.0))


def chain_counts(arm: RealArm) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return the safety log's counts so far: verdicts, findings."""
    if isinstance(arm.joints, FarArm):
        return arm.joints.log()
    if isinstance(arm.joints, SafeArm):
        return dict(arm.joints.log.verdicts), dict(arm.joints.log.findings)
    return {}, {}
