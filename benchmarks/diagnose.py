"""Which of the five classic failure modes fits a run, with the evidence for each.

Each cause gets the share of the failed trials that it can explain: all of them where it is a
property of the policy, else those whose start or path shows it, if such trials fail more often than
others do. The causes are looked at in a fixed order: what a policy computes with, what the arm does
with its commands, where trials begin, what demonstrations disagree on. What none of them explains
is a policy that leaves, by its own errors, what was demonstrated: distribution shift.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.board_commands import again
from benchmarks.evaluated import valid
from benchmarks.failures import AVERAGE, ERROR, HARDWARE, RESETS, SHIFT
from benchmarks.protocol import NOMINAL
from benchmarks.records import Run, read_run
from benchmarks.retrace import Walk, demonstrations, retrace
from benchmarks.symptoms import Answer, Modes, Starts, answer, modes, starts
from benchmarks.symptoms_policy import Forced, Scaling, scaling, teacher_forced
from envs.arm import Array
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet, Reading

CAUSES = (ERROR, HARDWARE, SHIFT, RESETS, AVERAGE)
"""The five, in the order in which they are looked at."""

LEAST = 5
"""Failed trials below which nothing is said."""
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

REMEDIES: Mapping[str, str] = {
    ERROR: "Compare the statistics with the demonstrations and train again; then train longer, "
    "lengthen the chunk, or execute fewer actions of it (armtrials sweep).",
    HARDWARE: "Check zeros, gains and latency of the arm against the one that demonstrated; then "
    "demonstrate on this arm and fine-tune (armtrials train --initial), or train with --randomise "
    "physical (armtrials experiment sim2real).",
    SHIFT: "Demonstrate from where it fails, with recoveries (armtrials collect --recovery), or "
    "let the expert label what the policy visits (armtrials dagger).",
    RESETS: "Reset to more different starts: those proposed are where demonstrations are missing.",
    AVERAGE: "Use a policy that can keep several ways (diffusion, flow, vla), or demonstrate "
    "one way only (armtrials collect --strategy left).",
}


@dataclass(frozen=True)
class Suspect:
    """A cause, how much of the failures it explains, and why.

    Attributes:
        cause: one of ``CAUSES``.
        share: of the failed trials that it can explain, 0..1.
        evidence: in words, with numbers.
    """

    cause: str
    share: float
    evidence: str


@dataclass(frozen=True)
class Diagnosis:
    """What is known of the failures of one condition of a run.

    Attributes:
        run: folder name of the run.
        task: registered task.
        condition: of the trials.
        trials: how many; failed: of them.
        labels: failure label -> trials.
        suspects: the five causes in order of ``CAUSES``.
        cause: the one that fits.
        remedy: what to do.
        notes: what could not be looked at, and why.
        starts, modes, answer: what was measured, for the figures.
        walks: the trials.
        shown: the demonstrations.
    """

    run: str
    task: str
    condition: str
    trials: int
    failed: int
    labels: Mapping[str, int]
    suspects: Sequence[Suspect]
    cause: str
    remedy: str
    notes: Sequence[str]
    starts: Starts
    modes: Modes
    answer: Answer
    walks: Sequence[Walk]
    shown: Sequence[Walk]

    @property
    def lost(self) -> Array:
        """Which trials failed, (N,)."""
        return np.array([not walk.success for walk in self.walks])


def worst(run: Run) -> str:
    """Return the condition with the most failures, the nominal one first among equals."""
    cells = {name: valid(cell) for name, cell in run.cells().items()}
    lost = {name: sum(not t["success"] for t in cell) for name, cell in cells.items()}
    return max(lost, key=lambda name: (lost[name], name == NOMINAL))


def diagnose(
    folder: Path, data: Path, policy: Path | None = None, condition: str | None = None
) -> Diagnosis:
    """Say why the trials of a run failed.

    Args:
        folder: the run, with its trajectories.
        data: the demonstrations that the policy learned from.
        policy: its checkpoint; without one nothing is said of its statistics.
        condition: of the run; None: the one with the most failures.

    Raises:
        UsageError: other demonstrations, another checkpoint, an unknown condition, trajectories
            that were not kept, or too few failures to say anything.
    """
    run = read_run(folder)
    chosen = condition or worst(run)
    if chosen not in run.cells():
        known = ", ".join(run.cells())
        raise UsageError(f"the run has no condition {chosen!r}; known: {known}")
    records = valid(run.cells()[chosen])
    lost = sum(not t["success"] for t in records)
    if lost < LEAST:
        raise UsageError(
            f"{lost} of {len(records)} trials of {chosen} failed: at least {LEAST} failures are "
            "needed to say why"
        )
    _check_trajectories(run, chosen)
    track = run.manifest["track"]
    shown_set = EpisodeSet.load(data, Reading(track))
    _check_data(run, shown_set, data)
    walks, shown = retrace(run, records), demonstrations(shown_set)
    if any(walk.start is None for walk in shown):
        raise UsageError(f"{data}: its episodes do not say where they began")
    spec = ROBOTS[run.manifest["robot"]].spec()
    task, robot, hinges = TASKS[run.manifest["task"]], run.manifest["robot"], spec.hinges
    where = starts(task, task.region_on(spec), shown, walks)
    ways = modes(shown, walks, hinges)
    answers = answer(task.name, robot, walks, hinges)
    usual = answer(task.name, robot, shown[:20], hinges)
    computed, notes = _of_policy(run, policy, shown_set, shown, hinges)
    failed = np.array([not walk.success for walk in walks])
    suspects = [
        _error(computed),
        _hardware(answers, usual),
        _begun(SHIFT, where.outside, failed, "outside of where things are demonstrated"),
        _begun(RESETS, where.uncovered, failed, "inside, but far from every demonstration"),
        _averaged(ways, failed),
    ]
    cause = _verdict(suspects)
    return Diagnosis(
        run=folder.name,
        task=task.name,
        condition=chosen,
        trials=len(walks),
        failed=lost,
        labels=dict(Counter(str(t["failure"]) for t in records if t["failure"]).most_common()),
        suspects=suspects,
        cause=cause,
        remedy=REMEDIES[cause],
        notes=notes,
        starts=where,
        modes=ways,
        answer=answers,
        walks=walks,
        shown=shown,
    )


def _check_trajectories(run: Run, condition: str) -> None:
    if not any((run.folder / "trajectories").glob("*.npz")):
        raise UsageError(
            f"{run.folder} has no trajectories; runs that are committed are kept without them. "
            "Diagnose the run that this makes of the same checkpoint: "
            + again(run.manifest, condition, "CHECKPOINT")
        )


def _check_data(run: Run, data: EpisodeSet, folder: Path) -> None:
    learned = run.manifest["policy"]["data"].get("fingerprint")
    if learned is not None and learned != data.fingerprint:
        raise UsageError(
            f"{folder}: the policy of this run learned from other demonstrations "
            f"({learned[:10]}, these are {data.fingerprint[:10]}): give the folder that it was "
            "trained on"
        )


Computed = tuple[Scaling, Forced | None, bool]
"""Scaling, prediction, and whether the policy was fine-tuned and so keeps another's scaling."""


def _of_policy(
    run: Run, folder: Path | None, data: EpisodeSet, shown: Sequence[Walk], hinges: Array
) -> tuple[Computed | None, list[str]]:
    """Measure the checkpoint; say what could not be."""
    if folder is None:
        return None, ["Statistics and predictions were not looked at: give --policy for that."]
    policy = load_checkpoint(folder)
    if policy.hashes["weights"] != run.manifest["policy"]["hashes"].get("weights"):
        raise UsageError(f"{folder} is not the policy of this run: its weights have another hash")
    tuned = "initial" in policy.provenance.get("identity", {})
    if policy.spec.images:
        note = "Predictions on the demonstrations were not looked at: the policy sees pictures."
        return (scaling(policy.normalizer, data), None, tuned), [note]
    forced = teacher_forced(policy, shown, hinges)
    return (scaling(policy.normalizer, data), forced, tuned), []


def _error(found: Computed | None) -> Suspect:
    if found is None:
        return Suspect(ERROR, 0.0, "not looked at")
    scale, forced, tuned = found
    told, share = [], 0.0
    if scale.off > OFF or scale.factor > FACTOR:
        about = "as fine-tuning keeps them" if tuned else "not those of the demonstrations"
        told.append(
            f"statistics {about}: {scale.where} is off by {scale.off:.2f} of its scale and scaled "
            f"by {scale.factor:.2f}"
        )
        share = 0.0 if tuned else 1.0
    else:
        told.append("statistics as the demonstrations ask for")
    if forced is not None:
        told.append(
            f"in the demonstrations' own states its joints are predicted {1e3 * forced.error:.1f} "
            f"mrad off, {forced.ratio:.2f} of the error of standing still"
        )
        share = max(share, float(forced.ratio > BAD))
    return Suspect(ERROR, share, "; ".join(told))


def _hardware(found: Answer, usual: Answer) -> Suspect:
    limit = max(APART_RAD, 3 * float(np.median(usual.apart)) if len(usual.apart) else 0.0)
    share = float(np.mean(found.apart > limit)) if len(found.apart) else 0.0
    middle = 1e3 * float(np.median(found.apart)) if len(found.apart) else 0.0
    told = (
        f"sent the same commands, the nominal simulation is {middle:.1f} mrad away from this arm "
        f"(from the one that demonstrated: {1e3 * float(np.median(usual.apart)):.1f}); delay "
        f"{20 * found.delay} ms, noise {1e3 * found.noise:.1f} mrad, the rest "
        f"{1e3 * found.rest:.1f} mrad"
    )
    return Suspect(HARDWARE, share, told)


def _explained(flagged: Array, failed: Array) -> tuple[float, float, float]:
    """Return the share of failures that is flagged, and the failure rate with and without flag.

    The share is 0 where flagged trials fail less often than the others.
    """
    inside = float(flagged[failed].mean()) if failed.any() else 0.0
    yes = float(failed[flagged].mean()) if flagged.any() else 0.0
    no = float(failed[~flagged].mean()) if (~flagged).any() else 0.0
    return (inside if yes >= no else 0.0), yes, no


def _begun(cause: str, there: Array, failed: Array, where: str) -> Suspect:
    """Suspect starts that lie ``there`` (trials,), in words ``where``."""
    share, yes, no = _explained(there, failed)
    told = (
        f"{there[failed].mean():.0%} of the failures begin {where}; {yes:.0%} of such trials fail, "
        f"{no:.0%} of the others"
    )
    return Suspect(cause, share, told)


def _averaged(found: Modes, failed: Array) -> Suspect:
    two = found.separation > TWO and found.share > MAIN
    told = (
        f"demonstrations from like starts {'go two ways' if two else 'go one way'} (separation "
        f"{found.separation:.1f}, {found.share:.0%} of what differs)"
    )
    if not two:
        return Suspect(AVERAGE, 0.0, told)
    share, yes, no = _explained(found.between, failed)
    told += (
        f"; {found.between[failed].mean():.0%} of the failures go between them, where {yes:.0%} "
        f"of the trials fail, elsewhere {no:.0%}"
    )
    return Suspect(AVERAGE, share, told)


def _verdict(suspects: Sequence[Suspect]) -> str:
    """Return the first cause that explains enough, or the one that explains most.

    Where none explains anything, it is distribution shift: the policy leaves, by its own errors,
    what was demonstrated.
    """
    enough = [s for s in suspects if s.share >= ENOUGH]
    if enough:
        return enough[0].cause
    most = max(suspects, key=lambda s: s.share)
    return most.cause if most.share >= FEW else SHIFT
