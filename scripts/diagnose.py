"""Say why the trials of a run failed, with evidence, and where to demonstrate next."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.diagnose import Diagnosis

EXAMPLES = """
armtrials diagnose RUN
armtrials diagnose RUN --data data/pick_place --policy runs/act
armtrials diagnose RUN --data data/pick_place --condition object_pose/L2 --propose 50
"""


@dataclass(frozen=True)
class Diagnose:
    """Name which of the five classic failure modes fits a run.

    They are: accumulated action error or a normalisation mismatch, hardware mismatch, distribution
    shift, insufficient resets, mode averaging. The trials are simulated again from their stored
    commands. What the protocol changed is not looked at, only starts, observations and commands.
    """

    run_folder: tyro.conf.Positional[Path]
    """The run."""
    data: Path | None = None
    """Demonstrations that the policy learned from (default: found by their fingerprint in data/
    here or beside the results)."""
    policy: Path | None = None
    """Its checkpoint (default: found by its hash in runs/ or policies/ there); without it nothing
    is said of statistics and predictions."""
    condition: str | None = None
    """Condition of the run (default: the one with the most failures)."""
    propose: int = 25
    """Number of starts to propose for the next demonstrations."""
    seed: int = 0
    """Another seed proposes others."""
    out: Path | None = None
    """Folder of figures, page and proposed starts (default: diagnosis/RUN here)."""

    def run(self) -> int:
        """Diagnose, write the page, say what fits; return 0."""
        import numpy as np
        from rich.console import Console

        from benchmarks.diagnose import diagnose
        from benchmarks.origins import checkpoint_of, demonstrations_of
        from benchmarks.propose import propose
        from benchmarks.records import read_run
        from benchmarks.report.diagnose_page import write_diagnosis
        from envs.errors import UsageError
        from envs.robots import ROBOTS
        from envs.tasks import TASKS

        if self.propose < 0:
            raise UsageError(f"--propose must be at least 0, got {self.propose}")
        tried = read_run(self.run_folder)
        data = self.data or demonstrations_of(tried)
        policy = self.policy or checkpoint_of(tried)
        found = diagnose(self.run_folder, data, policy, self.condition)
        robot = tried.manifest["robot"]
        rng = np.random.default_rng(self.seed)
        arm = ROBOTS[robot].spec()
        task = TASKS[found.task]
        wanted = propose(task, arm, found.walks, found.shown, self.propose, rng)
        out = self.out or Path("diagnosis") / found.run
        page = write_diagnosis(found, wanted, robot, out)
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"demonstrations: {data}; checkpoint: {policy or 'none'}", markup=False)
        _say(console, found)
        console.print(f"page: {page}", markup=False)
        return 0


def _say(console: "Console", found: "Diagnosis") -> None:
    """Print the evidence and what fits."""
    from rich.table import Table

    from benchmarks.suspects import UNDECIDED

    console.print(f"{found.failed} of {found.trials} trials of {found.condition} failed")
    table = Table("cause", "explains", "evidence", box=None)
    for s in found.suspects:
        table.add_row(s.cause, f"{s.share:.0%}", s.evidence)
    console.print(table)
    for note in found.notes:
        console.print(note, markup=False)
    fits = found.cause if found.cause == UNDECIDED else f"it fits: {found.cause}"
    console.print(f"{fits}. {found.remedy}", markup=False)
