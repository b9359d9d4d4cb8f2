"""The steps of `armtrials calibrate` that print."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from real.charuco import Board as Pattern


@dataclass(frozen=True)
class Squares:
    """The board, as it was printed: measure it."""

    columns: int = 7
    """Squares along its longer side."""
    rows: int = 5
    """Squares along its shorter side."""
    square: float = 0.030
    """Edge of a square [m]."""
    marker: float = 0.022
    """Edge of a tag's black square [m]."""

    def pattern(self) -> "Pattern":
        """Return the board."""
        from real.charuco import Board

        return Board(self.columns, self.rows, self.square, self.marker)


@dataclass(frozen=True)
class Board:
    """Make a board to print, PNG or PDF."""

    out: Path
    """File to write, .pdf or .png."""
    paper: str = "a4"
    """a4, a3 or letter."""
    squares: Squares = field(default_factory=Squares)
    """What is on it."""

    def run(self) -> int:
        """Write the file; return 0."""
        from real.prints import board_sheet, write_sheet

        path = write_sheet(board_sheet(self.squares.pattern(), self.paper), self.out)
        say(f"{path}: print it at 100 %, measure the ruler, glue it on something flat and stiff")
        return 0


@dataclass(frozen=True)
class Tags:
    """Make tags for objects to print, PNG or PDF."""

    out: Path
    """File to write, .pdf or .png."""
    ids: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Their numbers, 0 to 49; a number is on one object only."""
    size: float = 0.03
    """Edge of the black square [m]; a white margin of a sixth of it must stay around."""
    paper: str = "a4"
    """a4, a3 or letter."""

    def run(self) -> int:
        """Write the file; return 0."""
        from real.prints import tag_sheet, write_sheet

        path = write_sheet(tag_sheet(self.ids, self.size, self.paper), self.out)
        say(f"{path}: print it at 100 %, measure the ruler, cut along the grey lines")
        return 0


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{text}\n")
