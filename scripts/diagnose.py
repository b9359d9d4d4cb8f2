"""Say why the trials of a run failed, with evidence, and where to demonstrate next."""

from dataclasses import dataclass
from pathlib import Path

import tyro

EXAMPLES = """
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
    data: Path
    """Demonstrations that the policy learned from."""
    policy: Path | None = None
    """Its checkpoint: without it nothing is said of statistics and predictions."""
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
        from rich.table import Table

        from benchmarks.diagnose import diagnose
        from benchmarks.propose import propose
        from benchmarks.records import read_manifest
        from benchmarks.report.diagnose_page import write_diagnosis
        from envs.errors import UsageError
        from envs.robots import ROBOTS
        from envs.tasks import TASKS

        if self.propose < 0:
            raise UsageError(f"--propose must be at least 0, got {self.propose}")
        found = diagnose(self.run_folder, self.data, self.policy, self.condition)
        robot = read_manifest(self.run_folder)["robot"]
        rng = np.random.default_rng(self.seed)
        arm = ROBOTS[robot].spec()
        task = TASKS[found.task]
        wanted = propose(task, arm, found.walks, found.shown, self.propose, rng)
        out = self.out or Path("diagnosis") / found.run
        page = write_diagnosis(found, wanted, robot, out)
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"{found.failed} of {found.trials} trials of {found.condition} failed")
        table = Table("cause", "explains", "evidence", box=None)
        for s in found.suspects:
            table.add_row(s.cause, f"{s.share:.0%}", s.evidence)
        console.print(table)
        for note in found.notes:
            console.print(note, markup=False)
        console.print(f"it fits: {found.cause}. {found.remedy}", markup=False)
        console.print(f"page: {page}", markup=False)
        return 0
