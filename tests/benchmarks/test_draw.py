"""Figures are drawn by a process of their own, whose end is not ours."""

import threading
import tomllib
from pathlib import Path

import pytest

from benchmarks.report import draw
from benchmarks.report.sweep_page import picture

FIGURE = {
    "data": {"values": [{"a": 1}]},
    "mark": "point",
    "encoding": {"x": {"field": "a", "type": "quantitative"}},
}
DYING = """
import os, pathlib, signal, sys
tried = pathlib.Path({tried!r})
tried.write_text(tried.read_text() + "x" if tried.exists() else "x")
if len(tried.read_text()) <= {deaths}:
    os.kill(os.getpid(), signal.SIGSEGV)
sys.stdout.buffer.write(b"drawn")
"""


def dying(folder: Path, deaths: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Draw by a process that dies so many times; return the file that counts its tries."""
    child, tried = folder / "child.py", folder / "tried"
    child.write_text(DYING.format(tried=str(tried), deaths=deaths))
    monkeypatch.setattr(draw, "CHILD", child)
    return tried


def javascript() -> set[str]:
    """Return the threads of V8 in this process; on systems that do not tell, none."""
    tasks = Path("/proc/self/task").glob("*/comm")
    return {task.parent.name for task in tasks if task.read_text().startswith("V8")}


def test_no_javascript_runs_in_the_process_that_draws() -> None:
    found, before = [""], javascript()

    def drawn() -> None:
        found[0] = picture(FIGURE)[:4]

    thread = threading.Thread(target=drawn)  # as a session's
    thread.start()
    thread.join()
    assert found[0] == b"\x89PNG"
    assert javascript() <= before


def test_a_process_that_dies_is_begun_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dying(tmp_path, 1, monkeypatch)
    assert draw.png(FIGURE) == b"drawn"
    assert tried.read_text() == "xx"


def test_one_that_dies_again_is_told_with_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dying(tmp_path, 9, monkeypatch)
    with pytest.raises(
        RuntimeError, match="a figure could not be drawn: vl-convert ended with -11"
    ):
        draw.png(FIGURE)
    assert tried.read_text() == "x" * draw.TRIES


def test_a_figure_that_cannot_be_is_refused_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match="ended with 1 Vega-Lite to PNG conversion failed"):
        draw.png({"mark": 3})


def test_a_worker_of_the_test_run_that_dies_ends_it() -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert "--max-worker-restart=0" in settings["tool"]["pytest"]["ini_options"]["addopts"].split()
