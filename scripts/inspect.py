"""Check a folder of demonstrations: a table and an HTML page."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from benchmarks.examine import Examination
    from benchmarks.quality import DataQuality, EpisodeQuality

EXAMPLES = """
armtrials inspect data/pick_place
armtrials inspect data/foreign --out foreign.html --films 100
"""


@dataclass(frozen=True)
class Inspect:
    """Say what demonstrations cover, how they were recorded and what stands out.

    Reads any ALOHA HDF5 folder, ours or foreign. The page is one file with a player for each
    episode; it needs no network.
    """

    data: tyro.conf.Positional[Path]
    """Folder of the demonstrations."""
    out: Path | None = None
    """The page; default: inspect.html in the folder."""
    films: int = 24
    """Episodes to film, those left out of training first; the others are drawn from above."""
    rows: int = 60
    """Longest table printed; the page has all episodes."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes at a time (default: one a core)."""

    def run(self) -> int:
        """Print the tables, write the page; return 0."""
        from rich.console import Console

        from benchmarks.examine import examine
        from benchmarks.report.data_page import data_page
        from envs.atomic import write_atomic
        from envs.episode import episode_files
        from envs.errors import UsageError
        from scripts.progress import progress

        for option, count in (("--films", self.films), ("--rows", self.rows)):
            if count < 0:
                raise UsageError(f"{option} must be at least 0, got {count}")
        total = len(episode_files(self.data))
        with progress(f"inspect {self.data}", total) as advance:
            examined = examine(self.data, self.films, self.workers, advance)
        console = Console(highlight=False, soft_wrap=True)
        show(examined, console, self.rows)
        page = self.out or self.data / "inspect.html"
        write_atomic(page, data_page(examined, self.data.resolve().name).encode())
        console.print(f"\n{page} shows all of it, with a player for each episode.", markup=False)
        return 0


def show(examined: "Examination", console: "Console", rows: int) -> None:
    """Print what was found: episodes, joints, reasons, findings."""
    from benchmarks.quality import findings

    data = examined.data
    if len(data.episodes) <= rows:
        console.print(_episodes(data))
    console.print(_summary(data))
    console.print(_joints(data))
    for title, reasons in (("cannot be used", data.refused), ("left out", data.excluded)):
        for name, reason in reasons.items():
            console.print(f"{title}: {name}: {reason}", markup=False)
    console.print()
    for finding in findings(data):
        console.print(f"{'ok' if finding.good else 'note'}: {finding.text}", markup=False)


def _table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


COLUMNS = ("s", "steps", "Hz", "jitter ms", "SPARC", "jump rad")


def _numbers(episode: "EpisodeQuality") -> tuple[float | None, ...]:
    """Return the values of ``COLUMNS``."""
    e = episode
    return e.duration_s, e.steps, e.rate_hz, e.jitter_ms, e.sparc, e.jump


def _episodes(data: "DataQuality") -> "Table":
    table = _table("Episodes", "episode", *COLUMNS, "outcome", "training")
    words = {True: "success", False: "failure", None: "unknown"}
    for episode in data.episodes:
        use = "left out" if episode.name in data.excluded else "used"
        numbers = [_number(value) for value in _numbers(episode)]
        table.add_row(Path(episode.name).stem, *numbers, words[episode.success], use)
    return table


def _summary(data: "DataQuality") -> "Table":
    """Return least, median and greatest of each column over all episodes."""
    import numpy as np

    table = _table(f"\nAll {len(data.episodes)}, {len(data.used)} used", "", *COLUMNS)
    columns = list(zip(*(_numbers(e) for e in data.episodes), strict=True))
    for name, fold in (("least", np.min), ("median", np.median), ("greatest", np.max)):
        known = [[v for v in column if v is not None] for column in columns]
        table.add_row(name, *(_number(float(fold(v)) if v else None) for v in known))
    return table


def _joints(data: "DataQuality") -> "Table":
    from benchmarks.quality import command_range

    table = _table("\nCommands", "joint", "least", "greatest")
    low, high = command_range(data.used or data.episodes)
    for name, least, greatest in zip(data.joints, low, high, strict=True):
        table.add_row(name, f"{least:.3f}", f"{greatest:.3f}")
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.2f}"
