"""What came out of an evaluation, in a few lines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drive import POLICY_ERROR
from benchmarks.latency import by_wave, missed_told
from benchmarks.lines import Record
from benchmarks.records import read_run
from policies.wire import shortened

LONGEST = 200
"""Characters of a policy's error that are told; the record has all."""


@dataclass(frozen=True)
class Evaluated:
    """What came out of ``evaluate``.

    Attributes:
        folder: the run folder.
        trials: trials in it.
        ran: trials that this call ran.
        sealed_before: the run had been finished by an earlier call; nothing was done.
    """

    folder: Path
    trials: int
    ran: int
    sealed_before: bool

    def summary(self) -> list[str]:
        """Return a line a condition: successes of trials, and the commonest failures.

        One more line where predictions took longer than they may, and a last one, where the policy
        failed in a trial of its own accord, says how at first.
        """
        run = read_run(self.folder)
        lines, cells = [], run.cells()
        for condition, cell in cells.items():
            trials = valid(cell)
            failures = Counter(t["failure"] for t in trials if t["failure"]).most_common(3)
            why = f" ({', '.join(f'{label} {n}' for label, n in failures)})" if failures else ""
            lines.append(f"{condition}: {sum(t['success'] for t in trials)}/{len(trials)}{why}")
        late = missed_told(by_wave(valid(run.trials), run.manifest["execution"]["batch"]))
        lines += [late] * bool(late)
        broken = (t for cell in cells.values() for t in cell if t["failure"] == POLICY_ERROR)
        return [*lines, *(_told(trial) for trial in [next(broken, None)] if trial)]


def valid(trials: Sequence[Record]) -> list[Record]:
    """Return the trials that say something of the policy."""
    return [trial for trial in trials if trial["status"] == "valid"]


def _told(trial: Record) -> str:
    """Return the policy's error in a trial, in one line and shortened."""
    reason = " ".join((trial["reason"] or "no reason was recorded").split())
    where = f"{trial['key']['condition']}/{trial['key']['ic']}"
    return f"{POLICY_ERROR} in {where}: {shortened(reason, LONGEST)}"
