"""Progress on the terminal: a bar with the remaining time, or plain lines in a log."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[..., None]
"""``advance(n=1)``: ``n`` more pieces are done; ``advance(0)``: the work begins."""

LINE_EVERY_S = 10.0
"""Seconds between two plain lines, where there is no terminal to draw a bar on."""

RECENT_LINES = 12
"""Lines behind the estimate of the time that is left: two minutes."""


@contextmanager
def progress(text: str, total: int, stream: TextIO | None = None) -> Iterator[Advance]:
    """Show ``text`` with ``total`` pieces to do; yields ``advance(n=1)``.

    On a terminal it draws a bar on ``stream`` (default: stderr, so that a piped result stays
    clean); elsewhere it writes a plain line at the start, every ten seconds and at the end. It
    starts with the first call of ``advance``: a mistake found before leaves no bar behind.
    """
    out = sys.stderr if stream is None else stream
    if not out.isatty():
        lines = _Lines(text, total, out)
        yield lines.advance
        lines.finish()
        return
    bar = _bar(out)
    task = bar.add_task(text, total=total)

    def advance(n: int = 1) -> None:
        bar.start()
        bar.advance(task, n)

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()


def duration(seconds: float) -> str:
    """Return a time as people say it: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar(out: TextIO) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(file=out),
    )


class _Lines:
    """Plain progress for logs."""

    def __init__(self, text: str, total: int, out: TextIO) -> None:
        self._text, self._total, self._out = text, total, out
        self._done = 0
        self._start = self._last = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_LINES)
        self._begun = False

    def advance(self, n: int = 1) -> None:
        self._begin()
        self._done += n
        now = time.monotonic()
        if not self._recent:  # what an earlier process has done comes first, and at once
            self._recent.append((now, self._done))
        if now - self._last < LINE_EVERY_S or self._done >= self._total:
            return
        self._last = now
        since, before = self._recent[0]
        left = (now - since) * (self._total - self._done) / max(self._done - before, 1)
        self._recent.append((now, self._done))
        self._write(f"{self._text}: {self._done}/{self._total}, {duration(left)} left")

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._write(f"{self._text}: {self._total} to do")

    def finish(self) -> None:
        self._begin()
        elapsed = duration(time.monotonic() - self._start)
        self._write(f"{self._text}: {self._done}/{self._total} in {elapsed}")

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()
