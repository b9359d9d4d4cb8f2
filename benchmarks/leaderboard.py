"""The leaderboard: a pure function of the sealed runs, the same bytes on every rebuild.

Nothing enters but the run folders: no clock, no machine, no order of reading. Numbers are
rounded once, to ``DIGITS``, so that the last bits of a sum do not show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.board_runs import Loaded, load_run
from benchmarks.board_tables import make_tables
from benchmarks.board_text import board_csv, board_markdown
from benchmarks.board_words import findings
from benchmarks.records import manifest_bytes, run_folders
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole
from envs.errors import UsageError

SCHEMA = 1
DIGITS = 6


@dataclass(frozen=True)
class Made:
    """A leaderboard in all its forms.

    Attributes:
        board: the JSON form; everything else is made from it (and the videos of the runs).
        files: content by file name.
    """

    board: dict[str, Any]
    files: Mapping[str, bytes]

    def write(self, out: Path) -> list[Path]:
        """Write the files into ``out``, each completely or not at all; return their paths.

        Raises:
            UsageError: the folder cannot be written to.
        """
        with refuse_disk_errors(out, "--out"):
            for name, data in self.files.items():
                write_whole(out / name, data)
        return [out / name for name in self.files]


def make_leaderboard(results: Path) -> Made:
    """Make the leaderboard of all runs under ``<results>/runs``.

    A run that is unsealed, edited or incomplete makes its row preliminary; one that cannot be
    read at all is listed with the reason. Neither touches the other rows.

    Raises:
        UsageError: there is no run.
    """
    runs, unreadable = read_runs(results)
    board = make_board(runs, unreadable)
    from benchmarks.report.board_page import board_page  # jinja and the charts' library

    files = {
        "leaderboard.json": manifest_bytes(board),
        "leaderboard.csv": board_csv(board).encode(),
        "leaderboard.md": board_markdown(board).encode(),
        "index.html": board_page(board, runs).encode(),
    }
    return Made(board, files)


def read_runs(results: Path) -> tuple[list[Loaded], list[dict[str, str]]]:
    """Return the runs that say something, sorted by name, and the others with the reason."""
    folders = run_folders(results)
    if not folders:
        raise UsageError(
            f"there is no run under {Path(results) / 'runs'}: make one with `armtrials evaluate "
            "--policy RUN`, or name the folder of others with --results (`armtrials bench` keeps "
            "its own in bench)"
        )
    runs, unreadable = [], []
    for folder in folders:
        try:
            runs.append(load_run(folder))
        except ValueError as error:
            name = f"{folder.parent.name}/{folder.name}"
            unreadable.append({"run": name, "reason": str(error)})
    return sorted(runs, key=lambda run: run.name), unreadable


def make_board(runs: Sequence[Loaded], unreadable: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the JSON form of the leaderboard."""
    tables = make_tables(runs)
    board = {
        "schema": SCHEMA,
        "tables": [{**asdict(table), "findings": findings(table)} for table in tables],
        "unreadable": [dict(entry) for entry in unreadable],
    }
    plain: dict[str, Any] = rounded(board)
    return plain


def rounded(value: Any) -> Any:  # noqa: ANN401  (JSON is any value)
    """Return JSON values with floats rounded to ``DIGITS`` decimals, tuples as lists."""
    if isinstance(value, float):
        return round(value, DIGITS) + 0.0
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value
