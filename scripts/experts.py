"""Measure how often the scripted experts succeed."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from scripts.options import RESULTS

EXAMPLES = """
armtrials experts --task pick_place
armtrials experts --task all --robot all --starts 40
armtrials experts --task insertion wipe --operator all --starts 50
armtrials experts --task all --conditions L2 L3 --starts 40
armtrials experts --task pour --conditions friction_mass/L3
"""


@dataclass(frozen=True)
class Experts:
    """Let scripted experts try the starts of a task's protocol, nominal and perturbed.

    Interrupted, it keeps what was tried; the same command continues, with more --starts it adds
    some. What other code has measured is measured anew.
    """

    task: tuple[str, ...] = ("all",)
    """Tasks, or all."""
    robot: tuple[str, ...] = ()
    """Arms, or all that can (default: each task's own)."""
    operator: tuple[str, ...] = ("clean",)
    """Styles: clean, noisy, slow, fast, or all; mixed: they take turns."""
    conditions: tuple[str, ...] = ("nominal",)
    """nominal, axis/level such as object_pose/L2, a level for all axes that an expert can feel, or
    all. Pictures, words and disturbed observations do not reach it."""
    starts: int = 200
    """Starts of each; a perturbed condition has 100."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes (default: one a core); the outcomes do not depend on it."""
    out: Path = RESULTS / "experts.json"
    """File that keeps the outcomes."""
    keep: bool = False
    """Continue also what another version of the simulator has measured: a change that cannot
    matter."""

    def run(self) -> int:
        """Measure and print a line for each; return 0."""
        from rich.console import Console
        from rich.table import Table

        from benchmarks.expert_cells import cells
        from benchmarks.experts import measure, plan, stuck
        from scripts.progress import progress

        chosen = cells(self.task, self.robot, self.operator, self.conditions)
        jobs = plan(chosen, self.starts, self.out, self.keep)
        with progress("experts", len(jobs)) as advance:
            tallies = measure(chosen, self.starts, self.out, self.workers, advance, self.keep)
        table = Table(box=None, pad_edge=False)
        for name in ("task", "arm", "style", "condition"):
            table.add_column(name)
        for name in ("done", "of", "%", "95 % interval", "redrawn"):
            table.add_column(name, justify="right")
        table.add_column("failed before")
        for tally in tallies:
            cell, limits = tally.cell, tally.interval
            table.add_row(
                *(cell.task, cell.robot, cell.operator, cell.condition),
                *(str(tally.successes), str(tally.starts)),
                f"{100 * tally.successes / tally.starts:.1f}",
                f"{100 * limits.low:.1f} to {100 * limits.high:.1f}",
                str(tally.redrawn or ""),
                stuck(tally),
            )
        console = Console(highlight=False)
        console.width = max(console.width, 120) if not console.is_terminal else console.width
        console.print(table)
        console.print(f"kept in {self.out}", markup=False, soft_wrap=True)
        return 0
