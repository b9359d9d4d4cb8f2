"""Make the leaderboard from sealed runs."""

import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.options import RESULTS

EXAMPLES = """
armtrials leaderboard                           # evaluations/runs -> evaluations/leaderboard
armtrials leaderboard --results results --out board     # of the runs that come with ArmTrials
"""


@dataclass(frozen=True)
class Leaderboard:
    """Make leaderboard.json, .csv, .md and index.html: the same runs give the same bytes."""

    results: Path = RESULTS
    """Folder that holds ``runs/``."""
    out: Path | None = None
    """Folder for the leaderboard; ``<results>/leaderboard`` if not given."""

    def run(self) -> int:
        """Write the files and say what stands where; return 0."""
        from benchmarks.leaderboard import make_leaderboard

        made = make_leaderboard(self.results)
        paths = made.write(self.out or self.results / "leaderboard")
        lines = [line for table in made.board["tables"] for line in _table_lines(table)]
        lines += [f"left out {u['run']}: {u['reason']}" for u in made.board["unreadable"]]
        sys.stdout.write("\n".join([*lines, f"page: {paths[-1]}"]) + "\n")
        return 0


def _table_lines(table: dict[str, object]) -> list[str]:
    """Return a table's name and its findings as lines."""
    rows, findings = table["rows"], table["findings"]
    assert isinstance(rows, list)
    assert isinstance(findings, list)
    count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    apart = f", {table['apart']}" if table["apart"] else ""
    title = f"{table['task']}, {table['track']} track, {table['world']}{apart}: {count}"
    reasons = [f"  {row['label']} is preliminary: {r}" for row in rows for r in row["reasons"]]
    return [title, *(f"  {text}" for text in findings), *reasons]
