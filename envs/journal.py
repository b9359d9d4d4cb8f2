"""An append-only file of records, each with its length and checksum.

Layout: ``MAGIC``, then records ``<u32 length> <u32 crc32> <payload>``, little endian. The checksum
covers the record's number and its payload, so a record cannot be taken for another. What a kill,
a full disk or a power cut leaves behind the last whole record is cut off when the file is opened.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from envs.errors import UsageError
from envs.handle import Handle

MAGIC = b"ARMTRIALS JOURNAL 1\n"
_HEAD = struct.Struct("<II")
MAX_RECORD = 1 << 30


class Journal(Handle):
    """Appends records; each is in the operating system's hands when `append` returns.

    So a killed process loses nothing that was acknowledged; a power cut loses what was written
    since the last `sync`.
    """

    def __init__(self, path: Path) -> None:
        """Open the new file ``path`` for this process alone.

        Raises:
            UsageError: the file exists, or its folder cannot be written.
        """
        self.path = Path(path)
        self.records = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{path}: cannot be recorded to: {error.strerror}") from error
        self._end = 0
        self._write(MAGIC)

    def append(self, payload: bytes) -> None:
        """Append one record.

        Raises:
            UsageError: the disk is full or failed; the records before are safe, this one is not
                in the file.
        """
        crc = _checksum(self.records, payload)
        self._write(_HEAD.pack(len(payload), crc) + payload)
        self.records += 1

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
            raise UsageError(
                f"{self.path}: recording stopped: {error.strerror}; "
                f"{self.records} records are safe in this file"
            ) from error
        self._end += len(data)

    def sync(self) -> None:
        """Force what was appended to the disk."""
        os.fsync(self._file)


def read_journal(path: Path) -> Iterator[bytes]:
    """Yield the payloads of the whole records of ``path``, up to the first broken one.

    Raises:
        UsageError: the file is no journal.
    """
    with Path(path).open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC[: len(magic)]:
            raise UsageError(f"{path}: is not a journal")
        number = 0
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, crc = _HEAD.unpack(head)
            payload = file.read(length) if length <= MAX_RECORD else b""
            if len(payload) != length or _checksum(number, payload) != crc:
                return
            yield payload
            number += 1


def in_use(path: Path) -> bool:
    """Tell whether a process is writing the journal ``path``."""
    with Path(path).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _checksum(number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("<I", number)))
