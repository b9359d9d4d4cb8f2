"""Run the main job: demonstrations, training, evaluation, leaderboard."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from envs.errors import UsageError
from envs.tasks import TASKS
from scripts.chain import Chain, Stage, Track, Training, join
from scripts.presets import MAIN, PRESETS, SUITES, Preset
from scripts.progress import duration
from scripts.scale import Scale

EXAMPLES = """
armtrials bench
armtrials bench --preset cpu --out runs/cpu --results results
armtrials bench --preset cpu --track pixels --out runs/cpu --results results
armtrials bench --suite core --preset quick
armtrials bench --task pick_place --demonstrations 10 25 100 200
armtrials bench --preset cpu --task insertion --algo bc_rnn flow diffusion-transformer
armtrials bench --preset paper --executor submitit --slurm partition=gpu time=600 --workers 40
"""

LEAST = 2
"""Demonstrations: one to learn from, one to validate with."""


@dataclass(frozen=True)
class Bench:
    """Demonstrations, training, evaluation and the leaderboard, one task after the other.

    Every stage keeps what it completed: after Ctrl-C the same command continues.
    """

    task: tuple[str, ...] = ()
    """Tasks, one after the other (default: pick_place)."""
    suite: str | None = None
    """Several tasks by one name: core (all there are)."""
    demonstrations: tuple[int, ...] = ()
    """Besides the preset's number of demonstrations, train and try on these numbers, too, to see
    how many a task needs; nominal trials only."""
    algo: tuple[str, ...] = ()
    """Algorithms to train instead of the preset's, or variants of their presets, such as flow or
    diffusion-transformer."""
    preset: str = "quick"
    """How much: quick (minutes), cpu (hours), paper (the reference settings, days)."""
    out: Path = Path("bench")
    """Folder for demonstrations and checkpoints."""
    results: Path | None = None
    """Folder for the records and the leaderboard (default: the same)."""
    track: Track = "state"
    """What the policies see: joint and object states, or pictures."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes at a time (default: one a core)."""
    scale: tyro.conf.OmitArgPrefixes[Scale] = field(default_factory=Scale)
    """Where the --workers run."""

    def run(self) -> int:
        """Run the stages that are not complete; return 0."""
        preset = self.chosen()
        if self.workers < 1:
            raise UsageError(f"workers must be at least 1, got {self.workers}")
        results = self.results or self.out
        chains = [
            Chain(preset, self.out, results, self.track, self.workers, task, count, self.scale)
            for task in self.tasks()
            for count in (None, *self.demonstrations)
        ]
        stages = join(chains)
        console = Console(highlight=False, soft_wrap=True)
        _plan(stages, console)
        started = time.monotonic()
        for number, stage in enumerate(stages, 1):
            console.rule(f"{number}/{len(stages)} {stage.title}", align="left")
            _run(stage, console)
        console.rule(f"done in {duration(time.monotonic() - started)}", align="left")
        _summary(results / "leaderboard", console)
        return 0

    def chosen(self) -> Preset:
        """Return the preset, of the algorithms that are asked for.

        Raises:
            UsageError: an unknown preset or algorithm, or a variant that its presets lack.
        """
        preset = PRESETS[self.preset]
        if not self.algo:
            return preset
        from policies.base import preset as settings  # with torch, which takes seconds to import

        for name in self.algo:
            choice = Training.reference(name, 0)
            settings(choice.algorithm, self.track, choice.preset(preset.training))
        return replace(preset, algorithms=tuple(dict.fromkeys(self.algo)), references=((), ()))

    def tasks(self) -> tuple[str, ...]:
        """Return the tasks asked for, each once.

        Raises:
            UsageError: an unknown task or suite, or too few demonstrations.
        """
        for count in self.demonstrations:
            if count < LEAST:
                raise UsageError(f"demonstrations must be at least {LEAST}, got {count}")
        suite = () if self.suite is None else SUITES[self.suite]
        names = dict.fromkeys((*self.task, *suite) or (MAIN,))
        return tuple(TASKS[name].name for name in names)


def _plan(stages: Sequence[Stage], console: Console) -> None:
    """Print what is to do, what is there already, and how long it may take."""
    table = Table("", "stage", "minutes on two cores", box=None, pad_edge=False)
    left = 0.0
    for number, stage in enumerate(stages, 1):
        complete = stage.complete()
        left += 0 if complete else stage.minutes
        table.add_row(str(number), stage.title, "complete" if complete else f"{stage.minutes:g}")
    console.print(table)
    console.print(f"about {duration(60 * left)} in all; Ctrl-C is safe, run again to continue")


def _run(stage: Stage, console: Console) -> None:
    if stage.complete():
        console.print("complete already")
        return
    started = time.monotonic()
    stage.work()
    console.print(f"took {duration(time.monotonic() - started)}")


def _summary(leaderboard: Path, console: Console) -> None:
    """Print the rows of the leaderboard and where its page is."""
    board = json.loads((leaderboard / "leaderboard.json").read_text())
    for table in board["tables"]:
        apart = f", {table['apart']}" if table["apart"] else ""
        title = f"{table['task']}, {table['track']} track{apart}: success from nominal starts"
        heads = ("policy", "success", "interval", "worst", "status")
        shown = Table(*heads, title=title, title_justify="left")
        for row in (*table["rows"], *table["floors"]):
            cells = (row["label"], *_cells(row), row["status"])
            shown.add_row(*cells, style="dim" if row["floor"] else "")
        console.print(shown)
    console.print(f"page: {(leaderboard / 'index.html').resolve()}")


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return success, its interval and the worst perturbation of a row as text."""
    nominal, worst = row["nominal"], row["worst"]
    if nominal is None:
        return "-", "-", "-"
    count = "" if nominal["k"] is None else f" ({nominal['k']}/{nominal['n']})"
    interval = f"{nominal['low']:.1%} to {nominal['high']:.1%}"
    loss = f"{worst['condition']} {worst['gap']['diff']:+.1%}" if worst else "-"
    return f"{nominal['value']:.1%}{count}", interval, loss
