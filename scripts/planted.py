"""Plant faults in runs and see whether ``armtrials diagnose`` names them.

``python -m scripts.planted`` collects, trains and tries what is missing, diagnoses every run, and
writes the confusion table of docs/diagnose.md. Interrupted, the same command continues.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scripts.options import fill
from scripts.progress import progress


@dataclass(frozen=True)
class Planted:
    """Plant faults and diagnose them."""

    preset: Literal["quick", "cpu"] = "quick"
    """Of the trainings."""
    seeds: tuple[int, ...] = (0, 1)
    """Training seeds; every fault but sparse demonstrations is planted in each."""
    trials: int = 50
    """Starts of each run, of the dev split."""
    only: tuple[str, ...] = ()
    """Plants whose name contains one of these (default: all)."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes at a time."""
    out: Path = Path("experiments")
    """Folder of demonstrations, checkpoints and runs."""

    def run(self) -> int:
        """Examine the set; return 0."""
        from rich.console import Console

        from benchmarks.experiment import Ask
        from benchmarks.experiment_run import Place
        from benchmarks.planted import confusion, examine, plants, row_of
        from benchmarks.protocol import DEV
        from envs.atomic import write_whole

        chosen = plants(self.preset, self.seeds)
        chosen = [p for p in chosen if not self.only or any(o in p.name for o in self.only)]
        ask = Ask("pick_place", self.preset, trials=self.trials, split=DEV)
        found = examine(chosen, ask, Place(self.out, self.out, self.workers), progress)
        console = Console(highlight=False, soft_wrap=True)
        for one in found:
            named = one.cause or "too few failures"
            told = f"{one.plant.name} ({one.failed}/{one.trials} fail): planted {one.plant.cause}"
            console.print(f"{told}; named {named}", markup=False)
        known = [one for one in found if one.cause]
        right = sum(one.right for one in known)
        console.print(f"{right} of {len(known)} named rightly")
        content = {"plants": [row_of(one) for one in found], "confusion": confusion(found)}
        path = self.out / "planted.json"
        write_whole(path, (json.dumps(content, indent=1) + "\n").encode())
        console.print(f"{path}", markup=False)
        return 0


if __name__ == "__main__":
    sys.exit(fill(Planted, "python -m scripts.planted", __doc__, sys.argv[1:]).run())
