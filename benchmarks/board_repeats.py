"""More than one sealed run of the same checkpoint: one counts, the others may reproduce it.

Trials are a function of policy, protocol and versions, so a second run must end as the first one
did. Where it does in every trial, the row is reproduced, as if it had been verified
(`benchmarks.verify`); where it does not, the row says in how many.
"""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.board_runs import Loaded, Seen


def one_run_a_checkpoint(runs: Sequence[Loaded]) -> tuple[list[Loaded], list[str]]:
    """Keep the run with the most trials where one checkpoint was evaluated more than once.

    Returns:
        The runs that count, each with what the others reproduced of it, and notes on the others.
    """
    by_weights: dict[tuple[object, object], list[Loaded]] = {}
    for run in runs:
        policy = run.manifest["policy"]
        by_weights.setdefault((policy["seed"], policy["hashes"].get("weights")), []).append(run)
    kept, notes = [], []
    for same in by_weights.values():
        best = min(same, key=lambda r: (bool(r.problems), -len(r.trials), r.name))
        again = best.reproduced
        for other in same:
            if other is not best:
                count, note = compared(best, other)
                again = max(again, count)
                notes.append(note)
        kept.append(replace(best, reproduced=again))
    return kept, notes


def compared(run: Loaded, other: Loaded) -> tuple[int, str]:
    """Compare a run with another one of the same checkpoint.

    Returns:
        How many trials the other one reproduced (0 unless all that both have ended alike), and
        what to say of it.
    """
    left_out = f"{other.name} repeats {run.name} and is left out"
    if run.problems or other.problems:
        return 0, left_out
    if other.head == run.head:
        return 0, f"{other.name} is a copy of {run.name} and is left out"
    mine, theirs = ({(t.condition, t.unit): t for t in r.trials} for r in (run, other))
    shared = sorted(mine.keys() & theirs.keys())
    apart = sum(outcome(mine[key]) != outcome(theirs[key]) for key in shared)
    if apart:
        return 0, f"{left_out}: {apart} of {len(shared)} trials ended otherwise"
    return len(shared), f"{left_out}: all of {len(shared)} trials ended alike"


def outcome(trial: Seen) -> tuple[object, ...]:
    """Return what must be the same when a trial is run again."""
    flags = (trial.success, trial.success_any, trial.success_final)
    return (*flags, trial.progress, trial.failure, trial.tags, trial.duration_s, trial.place)
