"""Which of the five classic failure modes fits a run, with the evidence for each.

Each cause gets the share of the failed trials that it can explain: all of them where it is a
property of the policy, else those whose start or path shows it, if such trials fail more often than
others do. The causes are looked at in a fixed order: what a policy computes with, what the arm does
with its commands, where trials begin, what demonstrations disagree on. What none of them explains
is a policy that leaves, by its own errors, what was demonstrated: distribution shift. That is said
only of a policy that was seen to be right in the demonstrations' own states; else nothing is
decided.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.board_commands import again
from benchmarks.evaluated import LONGEST, valid
from benchmarks.failures import AVERAGE, ERROR, HARDWARE, RESETS, SHIFT
from benchmarks.lines import Record
from benchmarks.protocol import NOMINAL
from benchmarks.records import Run, read_run
from benchmarks.retrace import Walk, demonstrations, retrace
from benchmarks.suspects import (
    LEAST,
    UNDECIDED,
    Computed,
    Sign,
    Suspect,
    averaged,
    begun,
    computed,
    hardware,
    verdict,
)
from benchmarks.symptoms import Answer, Modes, Starts, answer, modes, starts
from benchmarks.symptoms_policy import scaling, teacher_forced
from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet, Reading
from policies.wire import shortened

CAUSES = (ERROR, HARDWARE, SHIFT, RESETS, AVERAGE)
"""The five, in the order in which they are looked at."""

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
UNSEEN = (
    "Nothing sets the trials that failed apart from the others. Give the checkpoint (--policy "
    "DIR): its statistics and what it predicts in the demonstrations' own states decide it."
)
PICTURED = (
    "Nothing sets the trials that failed apart from the others, and the policy sees pictures: "
    "armtrials gate --policy DIR --data DATA asks it with those of the demonstrations."
)
STILL = (
    "No trial took a step, so there is no path to diagnose from: mend what stopped them first, and "
    "evaluate again"
)


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
        cause: the one that fits, or ``UNDECIDED``.
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
    shown_set = EpisodeSet.load(data, Reading(run.manifest["track"]))
    _check_data(run, shown_set, data)
    walks, shown = retrace(run, records), demonstrations(shown_set)
    if any(walk.start is None for walk in shown):
        raise UsageError(f"{data}: its episodes do not say where they began")
    spec, task = ROBOTS[run.manifest["robot"]].spec(), TASKS[run.manifest["task"]]
    answers = answer(task.name, spec.name, walks, spec.hinges)
    usual = answer(task.name, spec.name, shown[:20], spec.hinges)
    made, notes = _of_policy(run, policy, shown_set, shown)
    moved = any(map(len, walks))
    right = moved and made is not None and made.right
    failed = np.array([not walk.success for walk in walks])
    where, ways = starts(task, task.region_on(spec), shown, walks), modes(shown, walks, spec.hinges)
    own = len(shown) if right else 0
    signs = _signs(where, failed, _nominal(run, chosen, shown), own)
    suspects = [
        computed(made),
        hardware(answers, usual),
        begun(SHIFT, signs[0], "outside of where things are demonstrated"),
        begun(RESETS, signs[1], "inside, but far from every demonstration"),
        averaged(ways, failed, own),
    ]
    cause = verdict(suspects, right)
    return Diagnosis(
        run=folder.name,
        task=task.name,
        condition=chosen,
        trials=len(walks),
        failed=lost,
        labels=dict(Counter(str(t["failure"]) for t in records if t["failure"]).most_common()),
        suspects=suspects,
        cause=cause,
        remedy=_undecided(moved, made, records) if cause == UNDECIDED else REMEDIES[cause],
        notes=[*notes, *_stepless(walks)],
        starts=where,
        modes=ways,
        answer=answers,
        walks=walks,
        shown=shown,
    )


def _undecided(moved: bool, made: Computed | None, records: Sequence[Record]) -> str:
    """Say why nothing was decided, and what would."""
    if moved:
        return UNSEEN if made is None else PICTURED
    reasons = Counter(t["reason"] or str(t["failure"]) for t in records if not t["success"])
    told = " ".join(reasons.most_common(1)[0][0].split())
    return f"{STILL} ({shortened(told, LONGEST)})."


def _stepless(walks: Sequence[Walk]) -> list[str]:
    """Say how many trials have no path."""
    count = sum(not len(walk) for walk in walks)
    told = f"{count} of {len(walks)} trials ended before their first step: they have no path."
    return [told] * bool(count)


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


def _nominal(run: Run, condition: str, shown: Sequence[Walk]) -> tuple[Starts, Array] | None:
    """Return where the run's nominal trials began and which failed; None where they are looked at.

    They are not stepped again: where they began is in their records.
    """
    records = valid(run.cells().get(NOMINAL, ()))
    if condition == NOMINAL or not records:
        return None
    walks = [
        Walk("", {}, np.zeros((0, 0)), bool(t["success"]), InitialCondition.from_json(t["start"]))
        for t in records
    ]
    spec, task = ROBOTS[run.manifest["robot"]].spec(), TASKS[run.manifest["task"]]
    failed = np.array([not walk.success for walk in walks])
    return starts(task, task.region_on(spec), shown, walks), failed


def _signs(
    where: Starts, failed: Array, nominal: tuple[Starts, Array] | None, right: int
) -> tuple[Sign, Sign]:
    """Return starting outside, and inside but uncovered, as signs; ``right`` as in ``Sign``."""
    others = (np.zeros(0, bool), np.zeros(0, bool))
    if nominal is not None:
        there, lost = nominal
        others = lost[~there.outside], lost[~there.uncovered]
    return (
        Sign(where.outside, failed, others[0], right),
        Sign(where.uncovered, failed, others[1], right),
    )


def _of_policy(
    run: Run, folder: Path | None, data: EpisodeSet, shown: Sequence[Walk]
) -> tuple[Computed | None, list[str]]:
    """Measure the checkpoint; say what could not be."""
    if folder is None:
        return None, ["Statistics and predictions were not looked at: give --policy for that."]
    policy = load_checkpoint(folder)
    if policy.hashes["weights"] != run.manifest["policy"]["hashes"].get("weights"):
        raise UsageError(f"{folder} is not the policy of this run: its weights have another hash")
    tuned = "initial" in policy.provenance.get("identity", {})
    scale = scaling(policy.normalizer, data)
    if policy.spec.images:
        note = "Predictions on the demonstrations were not looked at: the policy sees pictures."
        return Computed(scale, None, tuned), [note]
    hinges = ROBOTS[run.manifest["robot"]].spec().hinges
    return Computed(scale, teacher_forced(policy, shown, hinges), tuned), []
