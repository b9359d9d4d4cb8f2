"""A sealed run as one file, for somebody else's leaderboard, and its way out of that file.

A parcel is a plain tar of regular files, compressed with xz; the same run gives the same bytes::

    <protocol>/starts-<hash>.xz
    <protocol>/<run>/manifest.json, trials.jsonl.xz, SEALED.json, videos/*.mp4, trajectories/*.npz

It comes from strangers: names, kinds, numbers and sizes are checked before a byte is written, and
headers that extend others (long names, sparse files, links) are not read at all.
"""

import io
import lzma
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from benchmarks.lines import parse
from benchmarks.records import SEAL, starts_path, verify_run
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole
from envs.errors import UsageError

MAX_MEMBERS = 5000
MAX_FILE = 256 << 20
MAX_TOTAL = 2 << 30
MAX_MEMORY = 256 << 20  # of the decompressor
BLOCK = 512
SUFFIX = ".tar.xz"

PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,120}"
NAME = re.compile(
    rf"{PART}/(?:starts-[0-9a-f]{{12}}\.xz|(?P<run>{PART})/(?:"
    rf"manifest\.json|trials\.jsonl\.xz|SEALED\.json|videos/{PART}\.mp4|trajectories/{PART}\.npz))"
)
"""What a member may be called: no path in it leads up, and none begins with a dot."""


def pack_run(folder: Path, out: Path, trajectories: bool = False) -> Path:
    """Write the parcel of a sealed, intact run.

    Args:
        folder: the run folder.
        out: the file.
        trajectories: the stored commands as well, where they were kept.

    Raises:
        UsageError: the run is unsealed or was edited, or is larger than a parcel may be.
    """
    folder = Path(folder).resolve()
    problems = verify_run(folder)
    if problems:
        raise UsageError(f"{folder} cannot be submitted: {'; '.join(problems[:3])}")
    seal = parse((folder / SEAL).read_bytes())
    names = [SEAL, *seal["files"]]
    files = {f"{folder.parent.name}/{folder.name}/{name}": folder / name for name in names}
    starts = starts_path(folder, seal["starts"])
    files[f"{folder.parent.name}/{starts.name}"] = starts
    kept = {n: p for n, p in files.items() if p.is_file() and (trajectories or p.suffix != ".npz")}
    _check_names(kept)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(kept):
            data = kept[name].read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    with refuse_disk_errors(out.parent, "--out"):
        write_whole(out, lzma.compress(buffer.getvalue(), preset=6))
    return out


def _check_names(files: dict[str, Path]) -> None:
    """Refuse to send what would be refused on arrival."""
    for name in files:
        if not NAME.fullmatch(name):
            raise UsageError(f"{name} has a name that no parcel may hold")
    total = sum(path.stat().st_size for path in files.values())
    if len(files) > MAX_MEMBERS or total > MAX_TOTAL:
        raise UsageError(
            f"a parcel holds at most {MAX_MEMBERS} files of {MAX_TOTAL} bytes, "
            f"got {len(files)} of {total}"
        )


def unpack_run(archive: Path, into: Path) -> Path:
    """Unpack a parcel into the empty folder ``into``; return the run folder.

    Raises:
        UsageError: it is no parcel, or breaks a rule; the message names member and rule.
    """
    archive = Path(archive)
    if not archive.is_file():
        raise UsageError(f"{archive} is no file")
    try:
        run = _check_members(archive)
        with archive.open("rb") as packed:
            stream = Unpacked(packed)
            for member in members(stream):
                _write(stream, member, into / member.name)
    except (lzma.LZMAError, EOFError, tarfile.HeaderError) as error:
        raise UsageError(f"{archive} is no whole parcel ({error})") from error
    return into / run


def _check_members(archive: Path) -> str:
    """Go through a parcel without writing; return its run, ``<protocol>/<run>``."""
    runs: set[str] = set()
    seen: set[str] = set()
    with archive.open("rb") as packed:
        stream = Unpacked(packed)
        for member in members(stream):
            run = _check_member(member, seen)
            runs |= {run} if run else set()
            stream.skip(member.size)
        stream.finish()
    if len(runs) != 1:
        raise UsageError(f"{archive} must hold one run, it holds {len(runs)}")
    return runs.pop()


def _check_member(member: tarfile.TarInfo, seen: set[str]) -> str | None:
    """Refuse a member that breaks a rule; return the run it belongs to, None for the starts."""
    name = member.name
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = {tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.DIRTYPE: "a folder"}
        told = kind.get(member.type, f"of type {member.type!r}")
        raise UsageError(f"member {name!r} must be a plain file, it is {told}")
    match = NAME.fullmatch(name)
    if match is None:
        raise UsageError(f"member {name!r} has a name that no parcel may hold")
    if name.lower() in seen:
        raise UsageError(f"member {name!r} is there twice")
    seen.add(name.lower())
    if len(seen) > MAX_MEMBERS:
        raise UsageError(f"a parcel holds at most {MAX_MEMBERS} members")
    if not 0 <= member.size <= MAX_FILE:
        raise UsageError(f"member {name!r} must be at most {MAX_FILE} bytes, got {member.size}")
    return None if match["run"] is None else f"{name.split('/')[0]}/{match['run']}"


def members(stream: "Unpacked") -> Iterator[tarfile.TarInfo]:
    """Yield the headers of a tar one by one; the caller reads each one's content meanwhile."""
    while True:
        block = stream.read(BLOCK)
        if not block.strip(b"\0"):
            return
        if len(block) < BLOCK:
            raise EOFError("cut off")
        member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        yield member
        stream.read(-member.size % BLOCK)


def _write(stream: "Unpacked", member: tarfile.TarInfo, path: Path) -> None:
    data = stream.read(member.size)
    if len(data) < member.size:
        raise EOFError(f"member {member.name!r} is cut off")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


class Unpacked:
    """The bytes behind an xz file, never more of them than a parcel may have."""

    def __init__(self, packed: IO[bytes]) -> None:
        """Read the open file ``packed``."""
        self._packed = packed
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)
        self._ready = bytearray()
        self._total = 0

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes; fewer at the end.

        Raises:
            UsageError: more than ``MAX_TOTAL`` bytes come out.
            LZMAError, EOFError: it is no xz file, or is cut off.
        """
        while len(self._ready) < size and not self._stream.eof:
            data = self._packed.read(1 << 16) if self._stream.needs_input else b""
            if not data and self._stream.needs_input:
                raise EOFError("cut off")
            more = self._stream.decompress(data, 1 << 20)
            self._total += len(more)
            if self._total > MAX_TOTAL + MAX_MEMBERS * 2 * BLOCK:
                raise UsageError(f"a parcel unpacks to at most {MAX_TOTAL} bytes")
            self._ready += more
        found = bytes(self._ready[:size])
        del self._ready[:size]
        return found

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; raise ``EOFError`` where there are fewer."""
        while size:
            passed = len(self.read(min(size, 1 << 20)))
            if not passed:
                raise EOFError("cut off")
            size -= passed

    def finish(self) -> None:
        """Read on to the end; raise ``EOFError`` where it is cut off or something follows."""
        while block := self.read(1 << 20):
            if block.strip(b"\0"):
                raise EOFError("something follows the last member")
        if self._stream.unused_data or self._packed.read(1):
            raise EOFError("something follows the archive")
