"""Options of a command from its words: tyro, with its mistakes told in one line."""

import io
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import TypeVar

import tyro

T = TypeVar("T")

RESULTS = Path("evaluations")
"""Folder of runs and leaderboard unless another is named; git ignores it, unlike ``results``."""

OUT = "out"
"""The option that says where a command writes."""
RULE = re.compile(r"[─\-]{5,}")
DEEP = 9
"""Indentation from which on a line explains an option rather than names it."""


class OptionsError(Exception):
    """A mistake in the options, in one line."""


def fill(kind: type[T], command: str, about: str | None, words: Sequence[str]) -> T:
    """Make a ``kind`` from the words after the command's name.

    Args:
        kind: the command's dataclass.
        command: what the user typed before, such as ``armtrials train``.
        about: what stands above the options in ``--help``.
        words: the options.

    Raises:
        OptionsError: an option that is unknown, missing or malformed.
        SystemExit: after ``--help``.
    """
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            return tyro.cli(kind, prog=command, description=about, args=list(words))
    except SystemExit as stop:
        if not stop.code:
            sys.stderr.write(told.getvalue())
            raise
        message = "; ".join(_sections(told.getvalue())) or "the options could not be read"
        raise OptionsError(f"{message} (see {command} --help)") from None


def check_out(command: object) -> None:
    """Refuse a ``--out`` of ``command``, or of its step, below which nothing can be written.

    Raises:
        UsageError: so it is; the message says why.
    """
    from envs.errors import UsageError

    chosen = vars(command) if is_dataclass(command) else {}
    for step in chosen.values():
        check_out(step)
    out = chosen.get(OUT)
    if not isinstance(out, Path):
        return
    there = out.parent
    try:
        with suppress(FileNotFoundError):
            out.stat()
        there = next(path for path in (out, *out.absolute().parents) if path.is_dir())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: no file can be made in {there} ({error.strerror}); "
            f"choose another --{OUT}"
        ) from error


def _sections(box: str) -> Iterator[str]:
    """Yield what tyro's box says, a section each, without title, frame and explanations."""
    lines: list[str] = []
    for line in [*box.splitlines()[1:], "─────"]:
        inner = line[1:].rstrip("│| ")
        text = "" if RULE.search(inner) else inner.strip()
        if not text:
            said = " ".join(lines)
            if said and not said.startswith(("For full helptext", "Argument helptext")):
                yield said.rstrip(".")
            lines = []
        elif len(inner) - len(inner.lstrip()) < DEEP:
            lines.append(text)
