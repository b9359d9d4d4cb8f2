"""The one writer of a run folder: locked, append-only, recovered after a kill, then sealed."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from benchmarks.lines import Record, canonical, chain, digest, parse
from benchmarks.packing import pack
from benchmarks.records import (
    MANIFEST,
    PACKED,
    SEAL,
    TRIALS,
    invalid_count,
    manifest_bytes,
    read_chain,
    read_manifest,
    seal_bytes,
    starts_path,
)
from envs.atomic import write_whole
from envs.disk import FULL
from envs.errors import UsageError

log = logging.getLogger(__name__)

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
SAME = ("world", "protocol", "task", "track", "robot", "policy", "plan", "execution", "model_hash")
"""Entries of a manifest in which a resumed run must agree with the present command."""


@contextmanager
def refuse_disk_errors(folder: Path, option: str = "--results") -> Iterator[None]:
    """Turn a full or read-only disk into a ``UsageError`` that says what to do.

    Args:
        folder: written to.
        option: of the command, with which another folder is chosen.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UsageError(
                f"the disk is full while writing to {folder}; what was completed is kept: "
                "free some space and run the same command again"
            ) from error
        if error.errno in DENIED:
            raise UsageError(
                f"cannot write to {folder} ({error.strerror}): "
                f"choose a writable folder with {option}"
            ) from error
        raise


class RunWriter:
    """Writes one run. Use it in a ``with`` statement: entering locks and recovers the folder.

    Attributes:
        folder: the run folder.
        trials: the records in the file so far, those of an earlier, interrupted command included.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Prepare to write the run of ``manifest`` into ``folder``."""
        self.folder = Path(folder)
        self._manifest = parse(manifest_bytes(manifest))  # as it will be read back
        self.trials: list[Record] = []
        self._lock = self._file = -1
        self._head, self._size = "", 0

    def __enter__(self) -> Self:
        """Lock the folder, write or compare the manifest, drop a torn last line.

        Raises:
            UsageError: another process writes here, the run is sealed, it belongs to another
                command, its records were edited, or the folder cannot be written to.
        """
        try:
            with refuse_disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(self.folder)
                self._begin()
                self._recover()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Release the folder."""
        self._close()

    def _close(self) -> None:
        for handle in (self._file, self._lock):
            if handle >= 0:
                os.close(handle)
        self._file = self._lock = -1

    def _begin(self) -> None:
        """Write the manifest, or check that the one present is of the same run."""
        if (self.folder / SEAL).is_file():
            raise UsageError(f"the run {self.folder} is sealed: its records are final")
        path = self.folder / MANIFEST
        if path.is_file():
            _check_same(self.folder, read_manifest(self.folder), self._manifest)
        else:
            if (self.folder / TRIALS).is_file():
                raise UsageError(f"{self.folder} has trials but no {MANIFEST}: move it away")
            write_whole(path, manifest_bytes(self._manifest))

    def _recover(self) -> None:
        """Open the trial lines, follow their chain and cut off what a kill left unfinished."""
        path = self.folder / TRIALS
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        data = path.read_bytes()
        head = digest((self.folder / MANIFEST).read_bytes())
        self.trials, self._head, problems = read_chain(data, head)
        self._size = sum(len(canonical(record)) + 1 for record in self.trials)
        if data[self._size :].count(b"\n") > 1:
            raise UsageError(f"the run {self.folder} was edited ({problems[0]}): move it away")
        if problems:
            log.warning("%s: dropped an unfinished last line", path)
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)

    def append(self, records: Sequence[Record]) -> None:
        """Add trials behind the last one, on disk when this returns.

        Raises:
            UsageError: the disk is full; the file is as it was before.
        """
        lines, head = chain(records, self._head)
        data = b"".join(lines)
        with refuse_disk_errors(self.folder):
            try:
                _write_all(self._file, data)
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
        self._head, self._size = head, self._size + len(data)
        self.trials += [parse(line) for line in lines]

    def seal(self, sealed_by: str, files: Sequence[str] = ()) -> None:
        """Pack the trial lines and write the seal: nothing can be appended afterwards.

        Args:
            sealed_by: program and version.
            files: further files of the run, relative to its folder, whose hashes are kept.
        """
        with refuse_disk_errors(self.folder):
            packed = pack((self.folder / TRIALS).read_bytes())
            starts = digest(packed.starts)
            write_whole(starts_path(self.folder, starts), packed.starts)
            write_whole(self.folder / PACKED, packed.trials)
            names = sorted({MANIFEST, PACKED, *files})
            hashes = {name: digest((self.folder / name).read_bytes()) for name in names}
            seal = {
                "trials": len(self.trials),
                "invalid": invalid_count(self.trials),
                "head": self._head,
                "files": hashes,
                "starts": starts,
                "sealed_by": sealed_by,
            }
            write_whole(self.folder / SEAL, seal_bytes(seal))
            (self.folder / TRIALS).unlink()


def _write_all(handle: int, data: bytes) -> None:
    """Write every byte: a full disk shows as a short write first."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _lock(folder: Path) -> int:
    """Lock a folder for this process until the handle is closed (also by a kill)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UsageError(f"another evaluation is writing to {folder}: wait for it to end") from None
    return handle


def _check_same(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse to mix trials of two commands, two simulators or two machines' libraries."""
    differ = [name for name in SAME if old.get(name) != new.get(name)]
    before, now = old.get("versions", {}), new.get("versions", {})
    differ += [
        f"{name} ({before.get(name)}, now {now.get(name)})"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differ:
        raise UsageError(
            f"the unfinished run {folder} cannot be continued, these differ: {', '.join(differ)}; "
            "move the folder away to start anew"
        )
    if old.get("code") != new.get("code"):
        log.warning("%s was begun with other code: %s", folder, old.get("code"))
