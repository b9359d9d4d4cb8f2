"""One process at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envs.errors import UsageError

NAME = ".lock"


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Make ``folder`` and keep other processes that lock it out; a kill also frees it.

    Args:
        folder: where one process at a time may write.
        busy: what is told where another one does.

    Raises:
        UsageError: it cannot be written, or another process has locked it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder}: {busy}") from None
        yield
    finally:
        os.close(handle)
