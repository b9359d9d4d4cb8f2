"""Fill the tables of README.md and docs/ from results/: python -m scripts.tables."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison import compared
from benchmarks.lines import parse
from envs.atomic import write_whole

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("README.md", "docs/algorithms.md", "docs/comparison.md", "docs/execution.md")
PAGES = tuple(ROOT / name for name in NAMES)
RESULTS = ROOT / "results"


def filled(page: Path) -> str:
    """Return a page as the sealed results make it."""
    board = parse((RESULTS / "leaderboard" / "leaderboard.json").read_bytes())
    return compared(page.read_text("utf-8"), board, RESULTS)


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
    check = parser.parse_args(words).check
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
