"""A dataset put together from several sources, each file with a line in its ledger."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.flywheel.ledger import Line, read_ledger, verify
from benchmarks.flywheel.log import Entry, lesson, source_of
from envs.atomic import write_atomic
from envs.episode import episode_files, fingerprint, read_episode, write_episode

DATA, DEMONSTRATION = "data", "demonstration"


def old_lines(data: Path, out: Path) -> list[Line]:
    """Take over the data that a policy has learned from, with the ledger where it has one.

    Raises:
        UsageError: it is not as its ledger says.
    """
    known = {line.file: line for line in read_ledger(data)[0]}
    if known:
        verify(data)
    lines: list[Line] = []
    for path in episode_files(data):
        line = known.get(path.name)
        source: Mapping[str, Any] = {"folder": str(data), "file": path.name}
        about = (line.kind, line.source) if line else (DATA, source)
        lines.append(taken(path, out, len(lines), about))
    return lines


def taken(path: Path, out: Path, number: int, about: tuple[str, Mapping[str, Any]]) -> Line:
    """Take a file over as it is: a second name for it where the disk allows that.

    Args:
        path: the file.
        out: folder of the dataset.
        number: of the episode in it.
        about: its kind and source.
    """
    target = out / f"episode_{number}.hdf5"
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        write_atomic(target, path.read_bytes())
    return Line(target.name, fingerprint(read_episode(target)), about[0], dict(about[1]))


def taught(entry: Entry, out: Path, number: int) -> Line:
    """Write what of a logged episode is to be learned, as episode ``number`` of ``out``."""
    target = out / f"episode_{number}.hdf5"
    target.unlink(missing_ok=True)  # never through a second name
    episode = lesson(entry)
    write_episode(target, episode)
    return Line(target.name, fingerprint(episode), entry.kind, source_of(entry))
