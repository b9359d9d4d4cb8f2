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

    from benchmarks.experiment import Ask, Result
    from benchmarks.experiment import Experiment as Asked
    from benchmarks.experiment_run import Place

EXAMPLES = """
armtrials experiment data_scaling
armtrials experiment sim2real --task pick_place --preset cpu
armtrials experiment sim2real --preset cpu --at 0 10 25 --gap ordinary
armtrials experiment sim2real --pretrain 10000 --steps 20000
armtrials experiment sim2real --real data/arm --preset cpu --at 0 10 25
armtrials experiment sim2real --real data/arm --preset cpu --at 0 10 25 --session sessions/arm
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

    sim2real may be asked about an arm: --real DATA trains its policies and prints the commands of a
    blind session there; the same command with --session FOLDER reads what came of it.
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
    """Starts of each cell (default: 50 quick, 100 cpu); with --real blocks of the session that is
    proposed (default: 20)."""
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
    real: Path | None = None
    """With sim2real: folder of demonstrations recorded on the arm that is asked about, in place of
    the twin: task, arm, cameras and track are theirs, M is the first so many of them."""
    session: tuple[Path, ...] = ()
    """With --real: closed sessions that tried the policies; nothing is trained then."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes at a time (default: one a core)."""
    out: Path = Path("experiments")
    """Folder of demonstrations and checkpoints; figure and page go to OUT/NAME-TASK, of an arm to
    OUT/NAME-arm-TASK."""
    results: Path | None = None
    """Folder that takes the runs (default: the same as --out)."""
    scale: tyro.conf.OmitArgPrefixes[Scale] = field(default_factory=Scale)
    """Where the --workers run."""

    def run(self) -> int:
        """Run what is missing, write what came out; return 0."""
        from benchmarks.experiment_run import Place, run
        from benchmarks.experiments import EXPERIMENTS

        asked = EXPERIMENTS[self.name]
        self._check(asked)
        ask = self._ask(asked)
        place = Place(self.out, self.results or self.out, self.workers, self.scale.place())
        if ask.real is not None and asked.arm is not None:
            return self._on_arm(asked.arm, ask, place)
        results = run(asked, ask, place, progress)
        self._report(asked, ask, results, self.out / f"{asked.name}-{ask.task}")
        return 0

    def _check(self, asked: "Asked") -> None:
        """Refuse what does not go together."""
        from benchmarks.experiments import EXPERIMENTS
        from envs.errors import UsageError

        if self.workers < 1:
            raise UsageError(f"workers must be at least 1, got {self.workers}")
        if self.real and asked.arm is None:
            known = ", ".join(name for name, one in EXPERIMENTS.items() if one.arm)
            raise UsageError(f"{self.name} is not asked about an arm: leave out --real; {known} is")
        if self.session and not self.real:
            told = " ".join(map(str, self.session))
            raise UsageError(f"--session needs --real, the arm's demonstrations, got {told} alone")

    def _ask(self, asked: "Asked") -> "Ask":
        """Return what is asked; a task that is not named is that of the arm's demonstrations."""
        from benchmarks.experiment import Ask
        from benchmarks.recordings import read_recordings

        real = read_recordings(self.real) if self.real else None
        return Ask(
            task=self.task or (real.task if real else asked.task),
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
            real=real,
        )

    def _on_arm(self, asked: "Asked", ask: "Ask", place: "Place") -> int:
        """Train for an arm and say what to do there, or read what was done."""
        from benchmarks.experiment_sessions import read_sessions, train_for
        from scripts.experiment_arm import free, next_steps, sessions_on

        folder = self.out / f"{asked.name}-arm-{ask.task}"
        if self.session:
            tried = read_sessions(asked, ask, place, self.session)
            self._report(tried.told_by(asked), ask, tried.results, folder)
            return 0
        tried = train_for(asked, ask, place, progress)
        if told := sessions_on(folder):
            print_line(f"page: {folder / 'index.html'} tells of {', '.join(told)} and is kept")
        else:
            self._report(asked, ask, tried.results, folder)
        places = {"root": place.root, "results": place.results, "session": free(folder / "session")}
        cells = [result.cell for result in tried.results]
        for line in next_steps(ask, cells, places, self._again()):
            print_line(line)
        return 0

    def _again(self) -> list[str]:
        """Return the words of this command that decide the cells."""
        from scripts.experiment_arm import words_of

        names = ("real", "preset", "algo", "at", "steps", "seed", "pretrain", "out")
        return words_of(self.name, {name: getattr(self, name) for name in names})

    def _report(
        self, asked: "Asked", ask: "Ask", results: "Sequence[Result]", folder: Path
    ) -> None:
        """Write the page and print what came out."""
        from rich.console import Console

        from benchmarks.report.experiment_page import write_experiment

        page = write_experiment(asked, ask, results, folder, _command())
        _say(Console(highlight=False, soft_wrap=True), asked, results)
        for text in asked.conclude(ask, results).said:
            print_line(text)
        print_line(f"page: {page}")


def print_line(text: str) -> None:
    """Write a line as it is."""
    sys.stdout.write(f"{text}\n")


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
        share, limits = "not tried", "\u2013"
        if r.tried:
            share, limits = f"{r.share:.0%} ({r.k}/{r.n})", f"{r.low:.0%} to {r.high:.0%}"
        table.add_row(r.cell.series, *map(_told, places), share, limits)
    console.print(table)


def _told(place: float | str | None) -> str:
    """Write a place on the axis; one that was not measured as a dash."""
    if place is None:
        return "\u2013"
    return place if isinstance(place, str) else f"{place:.6g}"
