"""The log of a session: an event a line, each with the hash of the line before, never edited.

The first line follows the hash of the lock, so a log belongs to one lock. A line is on the disk
before anything that rests on it happens; what a crash leaves of a last line is cut off.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.lines import Record, canonical, chain, digest
from benchmarks.records import read_chain
from benchmarks.writer import refuse_disk_errors
from envs.errors import UsageError
from envs.handle import Handle

FILE = "events.jsonl"

Event = Record
"""``n`` its number, ``t`` when [s since 1970], ``kind``, ``prev``, and what belongs to the kind;
``own`` is the hash of all that."""


def read_ledger(folder: Path, head: str) -> list[Event]:
    """Return the events of a session; an unfinished last line is left out.

    Args:
        folder: of the session.
        head: hash of its lock.

    Raises:
        UsageError: the log was edited, or is of another lock.
    """
    return _read(Path(folder) / FILE, head)[0]


def _read(path: Path, head: str) -> tuple[list[Event], str, int]:
    """Return events, the hash of the last one, and where they end in the file."""
    data = path.read_bytes() if path.is_file() else b""
    events, last, problems = read_chain(data, head)
    end = sum(len(canonical(event)) + 1 for event in events)
    if data[end:].count(b"\n"):
        if not events:
            raise UsageError(f"{path} is the log of another lock: a session must keep both")
        raise UsageError(f"{path} was edited: {problems[0]}")
    for event in events:
        if event.get("own") != _own(event):
            raise UsageError(f"{path} was edited: an event does not have the hash it states")
    return events, last, end


def _own(event: Event) -> str:
    """Return the hash of an event: so an edit of the last one is found, too."""
    return digest(canonical({name: value for name, value in event.items() if name != "own"}))


class Ledger(Handle):
    """Appends events; whoever opens it has locked the folder of the session.

    Attributes:
        events: all of them.
    """

    def __init__(self, folder: Path, head: str, now: Callable[[], float]) -> None:
        """Open the log of ``folder`` behind the lock with the hash ``head``.

        Args:
            folder: of the session.
            head: hash of its lock.
            now: the time of events [s since 1970].

        Raises:
            UsageError: the log was edited, is of another lock, or cannot be written.
        """
        self.path, self._now = Path(folder) / FILE, now
        with refuse_disk_errors(self.path, "another folder"):
            self.events, self._head, self._end = _read(self.path, head)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)

    @property
    def head(self) -> str:
        """Hash of the last line."""
        return self._head

    def make(self, kind: str, fields: dict[str, Any]) -> Event:
        """Return the event that ``append`` would take next."""
        return {"n": len(self.events), "t": round(self._now(), 3), "kind": kind, **fields}

    def append(self, event: Event) -> None:
        """Write an event; it is on the disk when this returns.

        Raises:
            UsageError: the disk is full; the log is as it was.
        """
        event = {**event, "prev": self._head}
        (line,), head = chain([{**event, "own": _own(event)}], self._head)
        with refuse_disk_errors(self.path, "another folder"):
            try:
                view = memoryview(line)
                while view:
                    view = view[os.write(self._file, view) :]
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, self._end)
                os.lseek(self._file, self._end, os.SEEK_SET)
                raise
        self.events.append({**event, "own": _own(event)})
        self._head, self._end = head, self._end + len(line)
