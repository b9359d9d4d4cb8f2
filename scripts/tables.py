"""Fill the tables of README.md and docs/ from results/: python -m scripts.tables [--pictures]."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.board_demands import demands
from benchmarks.comparison import MAIN, compared, in_simulation
from benchmarks.lines import parse
from benchmarks.report.charts_demands import demand_chart
from benchmarks.report.sweep_page import picture
from envs.atomic import write_whole

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("README.md", "docs/algorithms.md", "docs/comparison.md", "docs/execution.md")
PAGES = tuple(ROOT / name for name in NAMES)
RESULTS = ROOT / "results"
DEMONSTRATIONS = ROOT / "docs" / "images" / "demonstrations.png"


def board() -> dict[str, Any]:
    """Return the leaderboard of the sealed results."""
    held: dict[str, Any] = parse((RESULTS / "leaderboard" / "leaderboard.json").read_bytes())
    return held


def filled(page: Path) -> str:
    """Return a page as the sealed results make it."""
    return compared(page.read_text("utf-8"), board(), RESULTS)


def drawn() -> bytes:
    """Return success on the main task against the number of demonstrations, as a PNG."""
    tables = in_simulation(board())
    (main_table,) = (t for t in tables if (t["task"], t["track"]) == (MAIN, "state"))
    several = Counter(row["name"] for row in main_table["rows"] if row["demonstrations"])
    rows = [row for row in main_table["rows"] if several[row["name"]] > 1]
    found = demands({**main_table, "rows": rows})
    chart = demand_chart(found) if found else None
    if chart is None:
        raise ValueError(f"no policy of {MAIN} has learned from two numbers of demonstrations")
    return picture({**chart, "width": 640, "height": 340})


def main(words: Sequence[str] | None = None) -> int:
    """Fill the pages, or with ``--check`` say which are not as the results make them.

    Returns:
        0; with ``--check`` 1 where a page is not.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts.tables", description=__doc__)
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; name the pages that are not as the results make them, and exit with 1",
    )
    parser.add_argument(
        "--pictures", action="store_true", help="draw the picture of docs/comparison.md, too"
    )
    asked = parser.parse_args(words)
    check = asked.check
    if asked.pictures and not check:
        write_whole(DEMONSTRATIONS, drawn())
    made = {page: filled(page) for page in PAGES}
    stale = [page for page, text in made.items() if page.read_text("utf-8") != text]
    for page in stale:
        if not check:
            write_whole(page, made[page].encode())
        told = "not as the results make it: python -m scripts.tables" if check else "filled"
        sys.stdout.write(f"{page}: {told}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
