"""A run survives Ctrl-C and a kill: what was completed is kept, and the run goes on."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made_checkpoint import config, stable

from benchmarks.records import TRIALS, read_run, verify_run
from benchmarks.run import evaluate, prepare

COMMAND = (
    *(sys.executable, "-m", "scripts.main", "evaluate", "--conditions", "nominal"),
    *("--trials", "16", "--batch", "1", "--videos", "none", "--workers"),
)


def interrupted(arguments: Sequence[str], folder: Path, stop: signal.Signals) -> tuple[int, str]:
    """Start an evaluation, send ``stop`` after its next wave; return exit code and stderr.

    ``arguments`` begin with the number of workers; none of them may be left afterwards.
    """
    before = (folder / TRIALS).stat().st_size if (folder / TRIALS).exists() else 0
    process = subprocess.Popen(
        [*COMMAND, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / TRIALS).exists() and (folder / TRIALS).stat().st_size > before:
            break
        time.sleep(0.01)
    children = _children(process.pid)
    process.send_signal(stop)
    _, text = process.communicate(timeout=60)
    _wait_until_gone(children)
    return process.returncode, text


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listed.read_text().split()] if listed.exists() else []


def _wait_until_gone(pids: Sequence[int]) -> None:
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, f"workers are left: {pids}"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_an_evaluation_survives_ctrl_c_and_kill_and_continues(
    checkpoint: Path, tmp_path: Path
) -> None:
    asked = config(checkpoint, tmp_path, conditions=("nominal",), trials=16, batch=1)
    folder = prepare(asked).folder
    arguments = ["--policy", str(checkpoint), "--results", str(tmp_path)]
    code, text = interrupted(["1", *arguments], folder, signal.SIGINT)
    assert code == 130
    assert "completed work is kept, run again to continue" in text
    after_ctrl_c = (folder / TRIALS).read_bytes()
    assert after_ctrl_c.endswith(b"\n")

    code, text = interrupted(["2", *arguments], folder, signal.SIGKILL)
    assert code == -signal.SIGKILL, text
    assert (folder / TRIALS).read_bytes().startswith(after_ctrl_c)

    done = evaluate(asked)
    assert 0 < done.ran < 16
    assert verify_run(folder) == []
    whole = evaluate(replace(asked, results=tmp_path / "whole")).folder
    assert stable(read_run(folder).trials) == stable(read_run(whole).trials)
