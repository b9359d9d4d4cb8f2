"""Fill the tables of docs/comparison.md from results/: python -m scripts.comparison."""

from pathlib import Path

from benchmarks.comparison import compared
from benchmarks.lines import parse
from benchmarks.writer import write_atomic

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs" / "comparison.md", ROOT / "results"


def page() -> str:
    """Return the page as the sealed results make it."""
    board = parse((RESULTS / "leaderboard" / "leaderboard.json").read_bytes())
    return compared(PAGE.read_text("utf-8"), board, RESULTS)


if __name__ == "__main__":
    write_atomic(PAGE, page().encode())
