"""Named arrays that one process writes and others read, through a file in memory.

A reader never sees half of a write: the writer counts before and after (a sequence lock), the
reader reads again where the count moved.
"""

import json
import mmap
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from envs.arm import Array
from envs.errors import UsageError

TRIES = 2000
"""How often a reader tries before the writer counts as dead in the middle of a write."""

_HEAD = 4096
"""Bytes for the names and shapes at the beginning of the file."""


def memory_folder() -> Path:
    """Return a new folder for such files, in memory where the system has such a place."""
    shared = Path("/dev/shm")
    where = shared if os.access(shared, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="armtrials-", dir=where))


class SharedBlock:
    """Float64 arrays and one text of limited length in a file; one writer, any number of readers.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Open a block that ``create`` made.

        Raises:
            UsageError: there is none.
        """
        self.path = Path(path)
        try:
            with self.path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), 0)
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: nothing is shared there (any more)") from error
        head = json.loads(self._map[:_HEAD].rstrip(b"\0"))
        self._count = np.frombuffer(self._map, np.uint64, 2, _HEAD)  # writes, length of the text
        self._arrays: dict[str, Array] = {}
        at = _HEAD + 16
        for name, shape in head["fields"].items():
            size = int(np.prod(shape, dtype=int))
            self._arrays[name] = np.frombuffer(self._map, np.float64, size, at).reshape(shape)
            at += 8 * size
        self._text = np.frombuffer(self._map, np.uint8, head["text"], at)

    @classmethod
    def create(
        cls, path: Path, fields: Mapping[str, tuple[int, ...]], text: int = 0
    ) -> "SharedBlock":
        """Make a block with arrays of these shapes, all 0, and room for ``text`` bytes."""
        head = json.dumps({"fields": {k: list(v) for k, v in fields.items()}, "text": text})
        if len(head) > _HEAD:
            raise ValueError(f"names and shapes must fit into {_HEAD} bytes, got {len(head)}")
        numbers = sum(int(np.prod(shape, dtype=int)) for shape in fields.values())
        data = head.encode().ljust(_HEAD, b"\0") + bytes(16 + 8 * numbers + text)
        Path(path).write_bytes(data)
        return cls(path)

    def write(self, text: str | None = None, **values: Array | float) -> None:
        """Set arrays, and the text unless it is None; all of it at once for the readers.

        Raises:
            ValueError: a text that is too long.
        """
        data = None if text is None else np.frombuffer(text.encode(), np.uint8)
        if data is not None and len(data) > len(self._text):
            raise ValueError(f"text must have at most {len(self._text)} bytes, got {len(data)}")
        self._count[0] += 1
        for name, value in values.items():
            self._arrays[name][...] = value
        if data is not None:
            self._text[: len(data)] = data
            self._count[1] = len(data)
        self._count[0] += 1

    def read(self) -> tuple[dict[str, Array], str]:
        """Return copies of all arrays and the text, as one write left them.

        Raises:
            ConnectionError: the writer died in the middle of a write.
        """
        for attempt in range(TRIES):
            before = int(self._count[0])
            if before % 2 == 0:
                found = {name: array.copy() for name, array in self._arrays.items()}
                data = self._text[: int(self._count[1])].tobytes()
                if int(self._count[0]) == before:
                    return found, data.decode()
            if attempt > TRIES // 2:
                time.sleep(0.0005)
        raise ConnectionError(f"{self.path}: its writer ended in the middle of a write")
