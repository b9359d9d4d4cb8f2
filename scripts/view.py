"""Show one episode or one trial as a page."""

from dataclasses import dataclass
from pathlib import Path

import tyro

EXAMPLES = """
armtrials view evaluations/runs/pick_place_v1/act-s0-1a2b3c4d5e --trial nominal/17
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
        from benchmarks.writer import refuse_disk_errors
        from envs.atomic import write_whole

        self._check()
        shown = show_episode(self.path) if self.trial is None else show_trial(self.path, self.trial)
        page = self.out or Path(self.default_name())
        with refuse_disk_errors(page.parent, "--out"):
            write_whole(page, view_page(shown).encode())
        Console(highlight=False, soft_wrap=True).print(f"{page}: {shown.title}. {shown.lead}")
        return 0

    def _check(self) -> None:
        """Refuse a path that does not say what to show, or a trial of what has none."""
        from benchmarks.records import MANIFEST
        from envs.errors import UsageError

        path = self.path
        if not path.exists():
            raise UsageError(f"{path} does not exist: give a run folder or an episode file")
        if path.is_file() and self.trial is not None:
            raise UsageError(f"--trial belongs to a run folder, and {path} is an episode file")
        if path.is_file():
            return
        episodes = sorted(path.glob("*.hdf5"), key=lambda p: (len(p.name), p.name))
        if episodes and not (path / MANIFEST).is_file():
            raise UsageError(f"{path} is a folder of episodes: name one, such as {episodes[0]}")
        if self.trial is None:
            raise UsageError(f"{path} is a folder: say which trial, as in --trial nominal/0")

    def default_name(self) -> str:
        """Return the page's name: ``<run>_nominal_17.html`` or ``episode_3.html``."""
        path = self.path.resolve()
        trial = "" if self.trial is None else "_" + self.trial.replace("/", "_")
        return f"{path.stem if path.is_file() else path.name}{trial}.html"
