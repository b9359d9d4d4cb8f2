"""How an experiment answers: the axis of its figure, tables, sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table of the page: a title, heads, and rows of text."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Conclusion:
    """What the numbers say: sentences, and tables of another cut than one row a cell.

    Attributes:
        said: sentences.
        tables: see ``Table``.
        sessions: what is told of each session at an arm, as JSON.
    """

    said: Sequence[str] = ()
    tables: Sequence[Table] = ()
    sessions: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Axis:
    """The axis of the figure.

    Attributes:
        title: what is written below it.
        kind: ``log``, ``linear``, ``names``, or ``points``: measured places, on a log scale,
            without lines.
        field: an entry of ``Result.extra`` in place of the cell's own place.
        own: what the cell's own place is then, for the tables.
    """

    title: str
    kind: str = "log"
    field: str = ""
    own: str = ""
