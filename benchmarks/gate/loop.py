"""The complete loop: the policy drives an arm through its real drivers and the safety chain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.drive import NO_ACTION, POLICY_ERROR, SERVER_GONE, Period, Pilot, drive
from benchmarks.execution import Execution
from benchmarks.gate.check import Check, failed, passed, skipped
from benchmarks.gate.live import SPLIT, Thresholds
from benchmarks.gate.twin import OnTwin
from benchmarks.protocol import NOMINAL, EvalProtocol
from benchmarks.stats import sparc
from envs.arm import Arm, Array
from envs.tasks import TASKS
from policies.base import Policy, PolicySpec
from real.verdict import INVALID_HARDWARE

NAME = "loop"
NOTICED = 0.05
"""A target that a limit moves by less is as good as sent [rad, opening]: at the seam of two chunks
the limit on the acceleration moves a healthy policy's targets by some hundredths."""

Factory = Callable[[PolicySpec], Arm]
"""Makes the arm to drive for a policy: the twin, a real arm, or (in tests) a simulated one.

Where the arm has them, its ``outcome`` (of the safety chain), ``contact_n()`` (force on the table
[N]) and ``done`` (the task is) are read; else clamping is told from the limits.
"""

CAUSES: Mapping[str, str] = {
    POLICY_ERROR: "raises an error",
    SERVER_GONE: "its server is gone",
    INVALID_HARDWARE: "the hardware failed",
}
"""What a trial was cut by, where it was not the safety chain."""

TWINS: Mapping[str, Factory] = {"viperx": OnTwin, "koch": OnTwin}
"""What stands in for a robot, by name."""


@dataclass(frozen=True)
class Driven:
    """What came of driving an arm for one trial.

    Attributes:
        steps: control periods.
        clamped: of these, in how many the chain moved the target by more than ``NOTICED``, or
            refused it.
        targets: what was asked for, (steps, n).
        force_n: largest force on the table, None where the arm does not tell.
        ends: who ended the trial early and how: one of ``CAUSES``, or a verdict of the safety
            chain; empty where nobody did.
        ended: why, in words.
        done: whether the task was done, as far as the arm tells.
    """

    steps: int
    clamped: int
    targets: Array
    force_n: float | None
    ended: str
    done: bool = False
    ends: str = ""


def check_loop(
    factory: Factory | None,
    policy: Policy,
    protocol: EvalProtocol,
    execution: Execution,
    limits: Thresholds,
    trials: int = 2,
) -> Check:
    """Drive trials on the twin; hold clamping, smoothness and contact against the limits."""
    if factory is None:
        return skipped(NAME, f"not run: no twin of {protocol.robot} is connected")
    arm = factory(policy.spec)
    try:
        driven = [drive_trial(arm, policy, protocol, execution, ic) for ic in range(trials)]
    finally:
        arm.close()
    steps = sum(one.steps for one in driven)
    share = sum(one.clamped for one in driven) / max(1, steps)
    smooth = min(smoothness(one.targets, policy.spec.control_hz) for one in driven)
    forces = [one.force_n for one in driven if one.force_n is not None]
    shown: dict[str, Any] = {
        "trials": trials, "control periods": steps, "clamped": round(share, 4),
        "SPARC": round(smooth, 2), "force [N]": max(forces) if forces else None,
        "done": sum(one.done for one in driven),
    }  # fmt: skip
    problem = _problem(driven, share, smooth, forces, limits)
    if problem is not None:
        return failed(NAME, *problem, **shown)
    told = f"{trials} trials, {steps} control periods: {share:.1%} clamped, SPARC {smooth:.1f}"
    return passed(NAME, told, **shown)


def _problem(
    driven: list[Driven], share: float, smooth: float, forces: list[float], limits: Thresholds
) -> tuple[str, str] | None:
    cut = next((one for one in driven if one.ended), None)
    if cut is not None:
        silent = "not finite or of another shape" if cut.ended == NO_ACTION else ""
        return silent or CAUSES.get(cut.ends, "stopped by the safety chain"), cut.ended
    if share > limits.clamped:
        told = f"{share:.1%} of the actions were clamped, allowed {limits.clamped:.0%}"
        return "clamped too often", told
    if smooth < limits.sparc:
        return "not smooth", f"SPARC {smooth:.1f}, allowed {limits.sparc:.1f}"
    if forces and max(forces) > limits.contact_n:
        return "presses on the table", f"{max(forces):.0f} N, allowed {limits.contact_n:.0f} N"
    return None


def drive_trial(
    arm: Arm, policy: Policy, protocol: EvalProtocol, execution: Execution, ic: int
) -> Driven:
    """Run one trial from a nominal start for as long as the task gives."""
    task = TASKS[protocol.task]
    start = protocol.start(NOMINAL, ic, SPLIT)
    pilot = Pilot(execution.controller(policy))
    pilot.begin(task.instruct(start), protocol.seeds(ic, SPLIT)["policy"])
    targets, clamped, forces = [np.array(start.qpos)], 0, []
    contact = getattr(arm, "contact_n", None)

    def watch(period: Period) -> bool:
        nonlocal clamped
        clamped += _changed(arm, period.action, targets[-1])
        targets.append(arm.spec.clamp(period.action, targets[-1]))
        forces.extend([] if contact is None else [float(contact())])
        return bool(getattr(arm, "done", False))

    ended = drive(arm, arm.home(start), pilot.act, task.horizon, watch)
    force, done = max(forces, default=None), bool(getattr(arm, "done", False))
    steps = len(targets) - 1
    return Driven(steps, clamped, np.array(targets), force, ended.reason, done, ended.ends)


def _changed(arm: Arm, target: Array, previous: Array) -> bool:
    outcome = getattr(arm, "outcome", None)
    if outcome is not None and outcome.cleared is None:
        return True
    sent = arm.spec.clamp(target, previous) if outcome is None else outcome.cleared.target
    return bool((np.abs(sent - target) > NOTICED).any())


def smoothness(targets: Array, hz: float) -> float:
    """Return SPARC of the joint speed that was asked for; 0 is as smooth as can be."""
    speed = np.linalg.norm(np.diff(targets, axis=0), axis=1) * hz
    found = sparc(speed, hz)
    return 0.0 if found is None else found
