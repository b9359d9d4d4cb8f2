"""Trial lines: canonical JSON, each line with the hash of the one before, and their packing."""

import hashlib
import json
import lzma
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

Record = dict[str, Any]
"""One trial as plain JSON values; the fields are listed in ``benchmarks.records.FIELDS``."""

MAX_BYTES = 1 << 29
"""Most bytes of unpacked trial lines that are read: a guard against a hostile archive."""


def canonical(value: object) -> bytes:
    """Return the one JSON form of ``value``: sorted keys, no spaces, ASCII, no NaN.

    Raises:
        ValueError: a number is not finite, or a value is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hex."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes) -> Any:  # noqa: ANN401  (JSON is any value)
    """Read JSON strictly: NaN, infinities and repeated keys raise ``ValueError``."""
    return json.loads(data, parse_constant=_no_constant, object_pairs_hook=_unique)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"a record must not hold {name}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def chain(records: Sequence[Record], head: str) -> tuple[list[bytes], str]:
    """Link ``records`` behind ``head``: return their lines (newline included) and the new head."""
    lines = []
    for record in records:
        line = canonical({**record, "prev": head})
        head = digest(line)
        lines.append(line + b"\n")
    return lines, head


def pack(lines: bytes) -> bytes:
    """Compress chained trial lines: field by field, and without ``prev``, which follows from them.

    Next to each other the values of a field repeat (conditions share their starts), hashes do not
    compress at all: together a third smaller than the compressed lines.
    """
    records = [parse(line) for line in lines.split(b"\n")[:-1]]
    return lzma.compress(_table(records), preset=lzma.PRESET_DEFAULT)


def unpack(data: bytes, head: str) -> bytes:
    """Undo ``pack``: return the lines, chained behind ``head``.

    Raises:
        ValueError: the archive is broken, absurdly large, or not what ``pack`` makes of its lines.
    """
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_BYTES)
    try:
        table = stream.decompress(data, MAX_BYTES + 1)
        if len(table) > MAX_BYTES:
            raise ValueError(f"it must be at most {MAX_BYTES} bytes unpacked")
        if not stream.eof or stream.unused_data:
            raise ValueError("it does not end where it should")
        records = _rows(parse(table))
        lines = b"".join(_bounded_chain(records, head))
        if _table(records) != table:
            raise ValueError("it is not in canonical form")
    except (lzma.LZMAError, EOFError, ValueError, RecursionError) as error:
        raise ValueError(f"the archive is broken: {error}") from error
    return lines


def _table(records: Sequence[Record]) -> bytes:
    """Return ``records`` without their links, as canonical JSON by field."""
    bare = [{name: x for name, x in record.items() if name != "prev"} for record in records]
    return canonical(_columns(bare))


def _columns(values: Sequence[Any]) -> Any:  # noqa: ANN401  (JSON is any value)
    """Turn objects that have the same keys into one object of columns, at every depth."""
    first = values[0] if values else None
    if not isinstance(first, dict) or not first:
        return values
    if not all(isinstance(value, dict) and value.keys() == first.keys() for value in values):
        return values
    return {name: _columns([value[name] for value in values]) for name in first}


def _rows(columns: Any) -> list[Any]:  # noqa: ANN401  (JSON is any value)
    """Undo ``_columns``; raise ``ValueError`` where columns differ in length."""
    if isinstance(columns, list):
        return columns
    if not isinstance(columns, dict):
        raise ValueError("a column must be a list")
    values = zip(*map(_rows, columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _bounded_chain(records: Sequence[Any], head: str) -> Iterator[bytes]:
    """Yield the lines of ``chain``; a few bytes of columns must not become endless lines."""
    left = MAX_BYTES
    for record in records:
        if not isinstance(record, dict):
            raise ValueError("a trial must be an object")
        (line,), head = chain([record], head)
        left -= len(line)
        if left < 0:
            raise ValueError(f"its lines must be at most {MAX_BYTES} bytes")
        yield line
