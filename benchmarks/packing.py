"""The packed form of trial lines: field by field, hashes as bytes, starts in a file of their own.

Every policy of a protocol begins the same trials the same way, so what is equal for all of them
stands once beside their run folders, in a file named by its hash.
"""

import io
import lzma
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.lines import Record, canonical, chain, parse

MAX_BYTES = 1 << 29
"""Most bytes of unpacked trial lines that are read: a guard against a hostile archive."""

SHARED = ("seeds", "start")
"""The fields of a record that follow from protocol, condition and initial condition alone."""

HASH = re.compile("[0-9a-f]{64}")
HASH_BYTES = 32
FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0},)


@dataclass(frozen=True)
class Packed:
    """Trial lines in two archives.

    Attributes:
        trials: everything but the starts and ``prev``, which follows from the rest.
        starts: the fields ``SHARED`` of each trial, in the same order.
    """

    trials: bytes
    starts: bytes


def pack(lines: bytes) -> Packed:
    """Compress chained trial lines; the same lines give the same bytes.

    Next to each other the values of a field repeat, and a hash takes the bytes that it has.
    """
    tables = _tables([parse(line) for line in lines.split(b"\n")[:-1]])
    trials, starts = (lzma.compress(table, filters=list(FILTERS)) for table in tables)
    return Packed(trials, starts)


def unpack(packed: Packed, head: str) -> bytes:
    """Undo ``pack``: return the lines, chained behind ``head``.

    Raises:
        ValueError: an archive is broken, absurdly large, or not what ``pack`` makes of its lines.
    """
    try:
        trials, starts = _decompress(packed.trials), _decompress(packed.starts)
        records = list(_joined(_read(trials), _read(starts)))
        lines = b"".join(_bounded_chain(records, head))
        if _tables(records) != (trials, starts):
            raise ValueError("it is not in canonical form")
    except (lzma.LZMAError, EOFError, ValueError, RecursionError) as error:
        raise ValueError(f"the archive is broken: {error}") from error
    return lines


def _decompress(data: bytes) -> bytes:
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_BYTES)
    table = stream.decompress(data, MAX_BYTES + 1)
    if len(table) > MAX_BYTES:
        raise ValueError(f"it must be at most {MAX_BYTES} bytes unpacked")
    if not stream.eof or stream.unused_data:
        raise ValueError("it does not end where it should")
    return table


def _tables(records: Sequence[Record]) -> tuple[bytes, bytes]:
    """Return ``records`` without their links and starts, and their starts, as tables."""
    own = [{k: x for k, x in record.items() if k not in (*SHARED, "prev")} for record in records]
    shared = [{k: x for k, x in record.items() if k in SHARED} for record in records]
    return _table(own), _table(shared)


def _table(rows: Sequence[Record]) -> bytes:
    """Return a line of canonical JSON by field, then the hashes that its numbers stand for."""
    hashes = bytearray()
    return canonical(_columns(rows, hashes)) + b"\n" + bytes(hashes)


def _columns(values: Sequence[Any], hashes: bytearray) -> Any:  # noqa: ANN401  (JSON is any value)
    """Turn objects that have the same keys into one object of columns, at every depth.

    A column of nothing but SHA-256 goes to ``hashes``; their number stands in its place.
    """
    if values and all(isinstance(value, str) and HASH.fullmatch(value) for value in values):
        hashes += bytes.fromhex("".join(values))
        return len(values)
    first = values[0] if values else None
    if not isinstance(first, dict) or not first:
        return values
    if not all(isinstance(value, dict) and value.keys() == first.keys() for value in values):
        return values
    return {name: _columns([value[name] for value in values], hashes) for name in sorted(first)}


def _read(table: bytes) -> list[Any]:
    """Undo ``_table``."""
    line, _, hashes = table.partition(b"\n")
    return _rows(parse(line), io.BytesIO(hashes))


def _rows(columns: Any, hashes: io.BytesIO) -> list[Any]:  # noqa: ANN401  (JSON is any value)
    """Undo ``_columns``; raise ``ValueError`` where columns differ in length."""
    if isinstance(columns, list):
        return columns
    if isinstance(columns, int):
        left = len(hashes.getbuffer()) - hashes.tell()
        if not 0 < columns * HASH_BYTES <= left:
            raise ValueError("there must be as many hashes as its columns count")
        return [hashes.read(HASH_BYTES).hex() for _ in range(columns)]
    if not isinstance(columns, dict):
        raise ValueError("a column must be a list or a number of hashes")
    values = zip(*(_rows(column, hashes) for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _joined(trials: Sequence[Any], starts: Sequence[Any]) -> Iterator[Record]:
    """Yield each trial with its start."""
    for trial, start in zip(trials, starts, strict=True):
        if not isinstance(trial, dict) or not isinstance(start, dict):
            raise ValueError("a trial must be an object")
        yield {**trial, **start}


def _bounded_chain(records: Sequence[Record], head: str) -> Iterator[bytes]:
    """Yield the lines of ``chain``; a few bytes of columns must not become endless lines."""
    left = MAX_BYTES
    for record in records:
        (line,), head = chain([record], head)
        left -= len(line)
        if left < 0:
            raise ValueError(f"its lines must be at most {MAX_BYTES} bytes")
        yield line
