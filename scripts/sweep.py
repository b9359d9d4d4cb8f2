"""Measure what execution settings make of a policy."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from scripts.options import RESULTS
from scripts.progress import progress

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.sweep import Sweep as Swept

EXAMPLES = """
armtrials sweep --policy runs/act --over ensemble,execute,delay
armtrials sweep --policy runs/act --over execute=10,20,40,100 --over ensemble=none,0,0.01,0.1
armtrials sweep --policy runs/diffusion --over ddim_steps=2,4,10 --over execute=10,40 --grid
"""


@dataclass(frozen=True)
class Sweep:
    """Run one policy under many execution settings, on the same starts of the dev split.

    Success with its interval, smoothness and latency of each, as table, figure and page.
    Interrupted, it keeps every completed wave of trials; the same command continues.
    """

    policy: str
    """Checkpoint folder, or a served policy: remote:ws://HOST:PORT."""
    over: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    """Factors: execute, ensemble, ddim_steps, delay, with commas between them for the usual values,
    or one with its own values: execute=10,20,40. May be given several times."""
    grid: bool = False
    """Every combination of the values, not one factor at a time."""
    protocol: str = "pick_place/v1"
    """Registered protocol."""
    trials: int = 50
    """Starts of the dev split."""
    execute: int | None = None
    """Steps between predictions where the sweep sets none; default: as the checkpoint says."""
    batch: int = 50
    """Trials stepped together."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes (default: one a core)."""
    patience: float = 60.0
    """Seconds to wait for the server of a remote policy."""
    results: Path = RESULTS
    """Folder that takes the runs."""
    out: Path | None = None
    """Folder of tables, figure and page; default: sweeps/POLICY among the results."""

    def run(self) -> int:
        """Run every setting, write what came out; return 0."""
        from rich.console import Console

        from benchmarks.report.sweep_page import write_sweep
        from benchmarks.run import EvaluateConfig, workers_of
        from benchmarks.sweep import Sweep as Swept
        from benchmarks.sweep import parse_over, plan_sweep, run_sweep, settings_of

        console = Console(highlight=False, soft_wrap=True)
        over = parse_over(self.over)
        config = EvaluateConfig(
            policy=self.policy,
            protocol=self.protocol,
            results=self.results,
            trials=self.trials,
            execute=self.execute,
            batch=self.batch,
            workers=self.workers,
            patience=self.patience,
        )
        planned = plan_sweep(config, settings_of(over, self.grid))
        name = planned.jobs[0][1].manifest["policy"]["name"]
        total = sum(job.plan.trials for _, job in planned.jobs)
        title = f"{name}: {len(planned.jobs)} settings on {self.protocol}"
        with workers_of(self.workers) as pool, progress(title, total) as bar:
            results = run_sweep(planned, pool, bar)
        swept = Swept(name, self.protocol, self.trials, over, self.grid, results, planned.skipped)
        page = write_sweep(swept, self.out or self.results / "sweeps" / name)
        self._say(console, swept)
        console.print(f"page: {page}", markup=False)
        return 0

    @staticmethod
    def _say(console: "Console", swept: "Swept") -> None:
        """Print a line a setting."""
        from rich.markup import escape
        from rich.table import Table

        from benchmarks.report.charts import number
        from benchmarks.sweep import left_out

        heads = ("setting", "success", "interval", "SPARC", "p50 [ms]", "p99 [ms]")
        table = Table(*map(escape, heads), box=None)
        for r in swept.results:
            shares = (f"{r.k / r.n:.0%} ({r.k}/{r.n})", f"{r.low:.0%} to {r.high:.0%}")
            table.add_row(r.name, *shares, *map(number, (r.sparc, r.p50_ms, r.p99_ms)))
        console.print(table)
        for line in left_out(swept.skipped):
            console.print(f"left out: {line}", markup=False)
