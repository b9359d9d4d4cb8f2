"""A trial on a real arm or its twin: a policy drives, and what happened is kept with its times."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.drive import SERVER_GONE, VOID, Ended, Period, Pilot, drive
from benchmarks.trial import check_seen
from envs.arm import Array, InitialCondition, Observation
from envs.errors import UsageError
from envs.expert import Expert
from envs.task import Task
from policies.base import Policy, PolicySpec
from policies.chunking import Controller
from policies.remote import PolicyGoneError
from real.control import FarArm
from real.emulators.twin import Truth
from real.machine import MachineError
from real.real_arm import RealArm
from real.safe_arm import SafeArm, StoppedError
from real.verdict import INVALID_HARDWARE

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
            ``policy_error``, ``server_gone``; empty where the policy had all its time.
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
        calibration_hash: identity of the arm's calibration; empty: nominal.
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
    calibration_hash: str = ""

    @property
    def void(self) -> bool:
        """Whether it says nothing about the policy: the hardware failed, or the policy's server."""
        return self.ends in VOID

    @property
    def periods(self) -> Array:
        """Time from one observation to the next (T,) [s]."""
        return np.diff(self.stamps)

    @property
    def lost(self) -> int:
        """Control periods in which the arm waited for the policy or for the computer."""
        return int((self.periods > LATE / self.hz).sum())


class Mind(Protocol):
    """What decides; a ``Pilot`` of a policy is one.

    Attributes:
        seconds: what the last action took to compute [s].
    """

    seconds: float

    def begin(self, instruction: str, seed: int) -> None:
        """Begin a trial; the arm is at its start."""

    def act(self, observation: Observation) -> Array:
        """Return the targets (n,) of this control period."""


class Scripted:
    """The task's demonstrator, who looks at what is true of a twin; a ``Mind``."""

    seconds = 0.0

    def __init__(self, truth: Truth, expert: Expert) -> None:
        """Let ``expert`` act on ``truth``."""
        self._truth, self._expert = truth, expert

    def begin(self, instruction: str, seed: int) -> None:
        """Plan from the start that the twin was set up with."""
        self._expert.reset(self._truth.start(), np.random.default_rng(seed))

    def act(self, observation: Observation) -> Array:
        """Return what the demonstrator wants (n,)."""
        return np.asarray(self._expert.act(self._truth.readings()))


def trials_of(arm: RealArm, driver: Policy | Controller) -> "Trials":
    """Let a policy drive ``arm``: as it does by itself, or as a ``Controller`` carries it out.

    Raises:
        UsageError: a policy for another arm, or one that reads what nobody sees.
    """
    controller = driver if isinstance(driver, Controller) else Controller(driver)
    check_fits(controller.policy, arm)
    return Trials(arm, Pilot(controller))


class Trials:
    """Runs trials of one mind on one arm, one after the other."""

    def __init__(self, arm: RealArm, mind: Mind) -> None:
        """Let ``mind`` drive ``arm``."""
        self.arm, self.mind = arm, mind

    def run(self, start: InitialCondition, seed: int = 0) -> RealTrial:
        """Run one trial from ``start`` until success, the horizon, or a stop.

        Where the arm is stopped on the way to the start, there are no actions.
        """
        arm, mind = self.arm, self.mind
        before = chain_counts(arm)
        goal, notes, ended = len(arm.task.stages), _Notes(), Ended()
        try:
            seen = arm.home(start)
        except (StoppedError, MachineError) as error:
            ended = Ended(getattr(error, "ends", INVALID_HARDWARE), str(error))
            seen = arm.observe()
        try:
            mind.begin(arm.task.instruct(start), seed)
        except PolicyGoneError as gone:
            ended = Ended(SERVER_GONE, str(gone))
        notes.add(arm, seen)

        def watch(period: Period) -> bool:
            notes.predicting.append(mind.seconds)
            notes.actions.append(period.action)
            notes.add(arm, period.after)
            return arm.stage >= goal

        if not ended.ends and arm.stage < goal:
            ended = drive(arm, seen, mind.act, arm.task.horizon, watch)
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
            start, not ended.ends and arm.stage == goal, arm.stage, ended.ends, ended.reason,
            np.array(notes.actions, np.float32).reshape(-1, n), np.array(notes.joints),
            np.array(notes.stages), np.array(notes.stamps), np.array(notes.predicting),
            np.array(notes.ages), verdicts, findings, arm.spec.control_hz,
            arm.calibration_hash,
        )  # fmt: skip


def check_fits(policy: Policy, arm: RealArm) -> None:
    """Refuse, with ``UsageError``, a policy for another arm, or that reads what nobody sees."""
    if tuple(policy.spec.joints) != arm.spec.joints:
        raise UsageError(
            f"the policy drives {', '.join(policy.spec.joints)}; this arm has "
            f"{', '.join(arm.spec.joints)}"
        )
    check_seen(policy.spec, arm.task, arm.spec)
    check_seeing(policy.spec, arm.task, arm.senses.sees(arm.task.manipulated))


def check_seeing(spec: PolicySpec, task: Task, sees: bool) -> None:
    """Refuse, with ``UsageError``, a policy that reads where its object is and nobody ``sees``."""
    name = task.manipulated
    if f"objects/{name}" in spec.observations and not sees:
        raise UsageError(
            f"the policy reads where {name} is, and nobody sees it: give --tags FILE that names "
            "its tags, --calibration FILE and --cameras overhead=SOURCE"
        )


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
