"""Trial lines: canonical JSON, each line with the hash of the one before."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NoReturn

Record = dict[str, Any]
"""One trial as plain JSON values; the fields are listed in ``benchmarks.records.FIELDS``."""


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
