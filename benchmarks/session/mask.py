"""Nothing that names a policy reaches an operator: words are taken out where texts come in."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.session.lock import Key

HIDDEN = "***"


class Mask:
    """Takes the names and paths of a session's policies out of texts."""

    def __init__(self, key: Key) -> None:
        """Know the words of ``key``."""
        words: set[str] = set()
        for driver in key.drivers:
            words |= {driver.name, *_paths(driver.source), *_paths(driver.verdict)}
        longest = sorted((w for w in words if w), key=len, reverse=True)
        inner = "|".join(map(re.escape, longest))
        self._pattern = re.compile(rf"(?<!\w)(?:{inner})(?!\w)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return ``text`` without them."""
        return self._pattern.sub(HIDDEN, text)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Let everything that is logged pass through the mask."""
        before = logging.getLogRecordFactory()

        def masked(*args: object, **fields: object) -> logging.LogRecord:
            record = before(*args, **fields)
            record.msg, record.args = self(record.getMessage()), ()
            record.exc_text = record.exc_info = None
            record.pathname = self(record.pathname)
            return record

        logging.setLogRecordFactory(masked)
        try:
            yield
        finally:
            logging.setLogRecordFactory(before)


def _paths(text: str) -> Iterable[str]:
    """Return a path as it may be written: whole, absolute, and its last part."""
    if not text:
        return ()
    path = Path(text)
    try:
        whole = str(path.resolve())
    except OSError:
        whole = str(path)
    return (text, whole, path.name)
