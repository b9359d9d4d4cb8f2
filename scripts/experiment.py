"""Answer a question by a grid of trainings and trials: sim-to-real and others."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from scripts.progress import progress
from scripts.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from benchmarks.experiment import Experiment as Asked
    from benchmarks.experiment import Result

EXAMPLES = """
armtrials experiment data_scaling
armtrials experiment sim2real --task pick_place --preset cpu
armtrials experiment sim2real --preset cpu --at 0 10 25 --gap ordinary
armtrials experiment sim2real --pretrain 10000 --steps 20000
armtrials experiment modes --algo bc act diffusion --preset cpu --at 0.5
armtrials experiment normalisation --trials 100
armtrials experiment camera_shift --preset cpu --algo act diffusion
armtrials experiment pretraining --preset cpu --trials 200
armtrials experiment sim2real --executor submitit --slurm partition=gpu gpus=1 --workers 8
"""


@dataclass(frozen=True)
class Experiment:
    """Make what a question needs (demonstrations, policies, trials) and draw the answer.

    Questions: data_scaling, clean_vs_noisy, recovery, modes, sim2real, normalisation, chunking,
    camera_shift, val_loss, pretraining. Interrupted, it keeps what is complete; the same command
    continues. What several experiments need is made once, if they share --out.
    """

    name: tyro.conf.Positional[str]
    """The question."""
    task: str = ""
    """Task (default: the one that the question is usually asked of)."""
    preset: Literal["quick", "cpu"] = "quick"
    """How much: quick (minutes), cpu (hours)."""
    algo: tuple[str, ...] = ()
    """Algorithms (default: the question's own)."""
    at: tuple[str, ...] = ()
    """Places on the axis of the figure (default: all of the preset)."""
    trials: int | None = None
    """Starts of each cell (default: 50 quick, 100 cpu)."""
    split: Literal["test", "dev"] = "test"
    """Starts of which split."""
    steps: int | None = None
    """Gradient steps of each training (default: those of the algorithm's preset); with pretraining,
    of the model that is adapted."""
    seed: int = 0
    """Seed of the trainings."""
    gap: str = ""
    """With sim2real: gap of the twin, ordinary or hard (default: hard)."""
    pretrain: int | None = None
    """With sim2real: simulated episodes streamed to each pre-training (default: some 170 quick,
    1,100 cpu). With pretraining: demonstrations of each other task (100 quick, 200 cpu)."""
    track: Literal["", "state", "pixels"] = ""
    """With sim2real: what the policies see (default: the question's own)."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes at a time (default: one a core)."""
    out: Path = Path("experiments")
    """Folder of demonstrations and checkpoints; figure and page go to OUT/NAME-TASK."""
    results: Path | None = None
    """Folder that takes the runs (default: the same as --out)."""
    scale: tyro.conf.OmitArgPrefixes[Scale] = field(default_factory=Scale)
    """Where the --workers run."""

    def run(self) -> int:
        """Run what is missing, write what came out; return 0."""
        from rich.console import Console

        from benchmarks.experiment import Ask
        from benchmarks.experiment_run import Place, run
        from benchmarks.experiments import EXPERIMENTS
        from benchmarks.report.experiment_page import write_experiment
        from envs.errors import UsageError

        asked = EXPERIMENTS[self.name]
        if self.workers < 1:
            raise UsageError(f"workers must be at least 1, got {self.workers}")
        ask = Ask(
            task=self.task or asked.task,
            size=self.preset,
            trials=self.trials,
            split=self.split,
            seed=self.seed,
            steps=self.steps,
            algos=self.algo,
            at=self.at,
            gap=self.gap,
            pretrain=self.pretrain,
            track=self.track,
        )
        place = Place(self.out, self.results or self.out, self.workers, self.scale.place())
        results = run(asked, ask, place, progress)
        folder = self.out / f"{asked.name}-{ask.task}"
        page = write_experiment(asked, ask, results, folder, _command())
        console = Console(highlight=False, soft_wrap=True)
        _say(console, asked, results)
        for text in asked.conclude(ask, results).said:
            console.print(text, markup=False)
        console.print(f"page: {page}", markup=False)
        return 0


def _command() -> str:
    """Return what was typed."""
    import shlex

    return f"armtrials {shlex.join(sys.argv[1:])}"


def _say(console: "Console", asked: "Asked", results: "Sequence[Result]") -> None:
    """Print a line a cell."""
    from rich.table import Table

    axis = asked.axis
    own = [axis.own] if axis.own else []
    table = Table("", *own, axis.title, "success", "interval", box=None)
    for r in results:
        places = [r.cell.x, r.extra[axis.field]] if own else [r.cell.x]
        share = f"{r.share:.0%} ({r.k}/{r.n})"
        told = [_told(place) for place in places]
        table.add_row(r.cell.series, *told, share, f"{r.low:.0%} to {r.high:.0%}")
    console.print(table)


def _told(place: float | str | None) -> str:
    """Write a place on the axis; one that was not measured as a dash."""
    if place is None:
        return "\u2013"
    return place if isinstance(place, str) else f"{place:.6g}"
