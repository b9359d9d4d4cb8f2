"""Files that are either complete or absent, whatever stops the process."""

import os
from pathlib import Path

from envs.errors import UsageError


def write_atomic(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path``: temporary file, fsync, rename, fsync of the folder.

    Raises:
        UsageError: the folder cannot be written or the disk is full; ``path`` is as it was.
    """
    try:
        write_whole(Path(path), data)
    except OSError as error:
        raise UsageError(f"{path}: could not be written: {error.strerror or error}") from error
    return Path(path)


def write_whole(path: Path, data: bytes) -> None:
    """Do what ``write_atomic`` does, for who has words of his own for an ``OSError``."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        if partial.exists():
            partial.unlink()


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
