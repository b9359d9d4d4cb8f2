"""Write the model card or data card of a folder."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from scripts.options import RESULTS

EXAMPLES = """
armtrials card runs/act
armtrials card runs/act --results results --out runs/act/README.md
armtrials card data/pick_place --out data/pick_place/README.md
"""


@dataclass(frozen=True)
class Card:
    """Write, as Markdown, what the files say of a checkpoint or of demonstrations.

    Of a checkpoint: what it is, what it learned from, and how it did in its sealed runs. Of
    demonstrations (ALOHA, LeRobot, robomimic): how many, by whom, of what, with what outcome.
    """

    folder: tyro.conf.Positional[Path]
    """Checkpoint folder, or demonstrations."""
    results: Path = RESULTS
    """Where the runs of a checkpoint are looked for."""
    out: Path | None = None
    """The file; default: print it."""

    def run(self) -> int:
        """Write the card; return 0."""
        from benchmarks.cards import card
        from benchmarks.writer import refuse_disk_errors
        from envs.atomic import write_whole

        text = card(self.folder, self.results)
        if self.out is None:
            sys.stdout.write(text)
            return 0
        with refuse_disk_errors(self.out.parent, "--out"):
            write_whole(self.out, text.encode())
        sys.stdout.write(f"{self.out}\n")
        return 0
