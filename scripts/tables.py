"""Fill the tables of README.md and docs/comparison.md from results/: python -m scripts.tables."""

from pathlib import Path

from benchmarks.comparison import compared
from benchmarks.lines import parse
from envs.atomic import write_whole

ROOT = Path(__file__).resolve().parent.parent
PAGES = tuple(ROOT / page for page in ("README.md", "docs/algorithms.md", "docs/comparison.md"))
RESULTS = ROOT / "results"


def filled(page: Path) -> str:
    """Return a page as the sealed results make it."""
    board = parse((RESULTS / "leaderboard" / "leaderboard.json").read_bytes())
    return compared(page.read_text("utf-8"), board, RESULTS)


if __name__ == "__main__":
    for page in PAGES:
        write_whole(page, filled(page).encode())
