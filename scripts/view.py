"""Show one episode or one trial as a page."""

from dataclasses import dataclass
from pathlib import Path

import tyro

EXAMPLES = """
armtrials view results/runs/pick_place_v1/act-s0-1a2b3c4d5e --trial nominal/17
armtrials view data/pick_place/episode_3.hdf5 --out episode_3.html
"""


@dataclass(frozen=True)
class View:
    """Write a self-contained page: film, curves over time, record, what the failure means.

    A trial is simulated again from its stored commands, which gives exactly what happened.
    """

    path: tyro.conf.Positional[Path]
    """A run folder (with --trial) or an episode file."""
    trial: str | None = None
    """Trial of the run: its condition and initial condition, such as nominal/17."""
    out: Path | None = None
    """The page; default: beside the present folder, named after what it shows."""

    def run(self) -> int:
        """Write the page and say where it is; return 0."""
        from rich.console import Console

        from benchmarks.report.view_page import view_page
        from benchmarks.view import show_episode, show_trial
        from benchmarks.writer import refuse_disk_errors, write_atomic
        from envs.errors import UsageError

        if not self.path.exists():
            raise UsageError(f"{self.path} does not exist: give a run folder or an episode file")
        if self.path.is_dir() and self.trial is None:
            raise UsageError(f"{self.path} is a folder: say which trial, as in --trial nominal/0")
        if self.path.is_dir():
            shown = show_trial(self.path, str(self.trial))
        else:
            shown = show_episode(self.path)
        page = self.out or Path(self.default_name())
        with refuse_disk_errors(page.parent, "--out"):
            write_atomic(page, view_page(shown).encode())
        Console(highlight=False, soft_wrap=True).print(f"{page}: {shown.title}. {shown.lead}")
        return 0

    def default_name(self) -> str:
        """Return the page's name: ``<run>_nominal_17.html`` or ``episode_3.html``."""
        path = self.path.resolve()
        trial = "" if self.trial is None else "_" + self.trial.replace("/", "_")
        return f"{path.stem if path.is_file() else path.name}{trial}.html"
