"""Where the episodes of a dataset come from: a line an episode, each with the hash of the last.

``provenance.jsonl`` in the dataset's folder names every file with the fingerprint of its content,
what kind it is, and its source. A line that is changed breaks the chain; a file that is changed
does not have its fingerprint.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.lines import chain, digest, parse
from envs.atomic import write_atomic
from envs.episode import fingerprint, read_episode
from envs.errors import UsageError

NAME = "provenance.jsonl"
ROOT = digest(b"armtrials dataset 1")
"""Stands before the first line."""


@dataclass(frozen=True)
class Line:
    """One episode of a dataset.

    Attributes:
        file: its name.
        fingerprint: of its content.
        kind: ``data``, ``demonstration``, or a kind of ``benchmarks.flywheel.log``.
        source: where it is from.
    """

    file: str
    fingerprint: str
    kind: str
    source: dict[str, Any]


def write_ledger(folder: Path, lines: Sequence[Line]) -> str:
    """Write the ledger of ``folder``; return the hash of its last line."""
    data, head = chain([asdict(line) for line in lines], ROOT)
    write_atomic(folder / NAME, b"".join(data))
    return head


def read_ledger(folder: Path) -> tuple[list[Line], str]:
    """Return the lines of a ledger and the hash of the last; no lines where there is none.

    Raises:
        UsageError: a line was changed, left out or put in.
    """
    path, head = folder / NAME, ROOT
    found = []
    for number, data in enumerate(path.read_bytes().splitlines() if path.exists() else (), 1):
        try:
            record = parse(data)
            if record.pop("prev") != head:
                raise ValueError("it does not follow the line before")
            found.append(Line(**record))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}: line {number} is not as it was written: {error}") from error
        head = digest(data)
    return found, head


def verify(folder: Path) -> int:
    """Check every file of a dataset against its ledger; return their number.

    Raises:
        UsageError: no ledger, a line or a file that was changed, or a file that it does not name.
    """
    lines, _ = read_ledger(folder)
    if not lines:
        raise UsageError(f"{folder}: has no {NAME}")
    extra = {p.name for p in folder.glob("*.hdf5")} ^ {line.file for line in lines}
    if extra:
        raise UsageError(f"{folder}: not as its {NAME} says: {', '.join(sorted(extra))}")
    for line in lines:
        if fingerprint(read_episode(folder / line.file)) != line.fingerprint:
            raise UsageError(f"{folder / line.file}: was changed since it was taken in")
    return len(lines)
