"""The page of a pass through the gate: every check with what it found."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gate.check import FAIL, PASS
from benchmarks.gate.run import GateConfig, Passage
from benchmarks.report.page import render
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole

WORDS = {PASS: "Passed", FAIL: "Refused", "incomplete": "Incomplete"}


def write_gate(passage: Passage, config: GateConfig, out: Path, verdict: Path) -> Path:
    """Write the page into ``out``; return its path."""
    page = out / "index.html"
    with refuse_disk_errors(out, "--out"):
        write_whole(page, gate_page(passage, config, verdict).encode())
    return page


def gate_page(passage: Passage, config: GateConfig, verdict: Path) -> str:
    """Return the HTML page; it needs no other file and no network."""
    return render(
        "gate.html",
        passage=passage,
        config=config,
        word=WORDS[passage.outcome],
        verdict=verdict.name,
        when=time.strftime("%Y-%m-%d %H:%M", time.localtime()),
        is_table=is_table,
        value=value,
    )


def is_table(found: Any) -> bool:  # noqa: ANN401  (any JSON)
    """Tell whether evidence is a table: a list of objects."""
    return isinstance(found, list) and bool(found) and isinstance(found[0], Mapping)


def value(found: Any) -> str:  # noqa: ANN401  (any JSON)
    """Write a piece of evidence for people."""
    if found is None:
        return "\u2013"
    if isinstance(found, float):
        return f"{found:.4g}"
    if isinstance(found, list | tuple):
        return ", ".join(map(value, found))
    return str(found)
