"""Predictions that come too late are told: by the command, on a trial's pages, in a sweep."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import Message, foreign
from test_remote_trials import SPEC, hold, wrong

from benchmarks.evaluated import Evaluated
from benchmarks.latency import TIMED, by_wave, missed_told
from benchmarks.records import read_run
from benchmarks.view import show_trial
from policies.base import PolicySpec
from scripts.main import main

WORDS = ["--conditions", "nominal", "--trials", "4", "--batch", "2", "--workers", "1"]
ALLOWED_MS = 1e3 / SPEC.control_hz
"""With a delay of one step."""


def slow(message: Message, spec: PolicySpec) -> Message:
    time.sleep(1.5e-3 * ALLOWED_MS * (message["type"] == "act"))
    return hold(message, spec)


def evaluate(address: str, results: Path, *words: str) -> Path:
    given = ["evaluate", "--policy", f"remote:{address}", "--results", str(results)]
    assert main([*given, "--videos", "none", *WORDS, *words]) == 0
    (manifest,) = results.glob("runs/*/*/manifest.json")
    return manifest.parent


def test_a_slow_server_is_told_by_the_command_and_on_the_pages_of_its_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with foreign(SPEC, slow) as address:
        folder = evaluate(address, tmp_path, "--delay", "1")
    told = (
        rf"{2 * TIMED} of {2 * TIMED} timed predictions missed their deadline \(median (\d+) ms; "
    )
    told += rf"{ALLOWED_MS:.0f} ms allowed\)"
    _, nominal, late = capsys.readouterr().out.splitlines()
    assert nominal.startswith("  nominal: 0/4")
    found = re.fullmatch(told, late.strip())
    assert found is not None
    assert int(found[1]) > ALLOWED_MS
    one = f"{TIMED} of {TIMED} timed predictions missed their deadline"
    facts = dict(show_trial(folder, "nominal/0").facts)
    assert facts["too slow"].startswith(one)
    assert main(["site", "--results", str(tmp_path), "--out", str(tmp_path / "site")]) == 0
    pages = [path.read_text() for path in (tmp_path / "site").rglob("nominal-*.html")]
    assert len(pages) == 4
    assert all(one in page for page in pages)


def record(ic: int, latency: dict[str, Any]) -> dict[str, Any]:
    return {"key": {"condition": "nominal", "ic": ic}, "latency": latency}


def test_what_was_timed_counts_once_a_wave() -> None:
    quick = {"p50_ms": 10.0, "missed": 0, "timed": 10, "budget_ms": 100.0}
    late = {"p50_ms": 301.0, "missed": 7, "timed": 8, "budget_ms": 100.0}
    again = {**quick, "p50_ms": 12.0}  # the wave was cut off, and its end was run later
    trials = [record(ic, dict(quick)) for ic in range(3)]
    trials += [record(3, dict(again))] + [record(ic, dict(late)) for ic in range(4, 8)]
    found = by_wave(trials, 4)
    assert found == [quick, again, late]
    told = "7 of 28 timed predictions missed their deadline (median 12 ms; 100 ms allowed)"
    assert missed_told(found) == told
    assert missed_told([quick, again]) == ""


def test_records_from_before_the_count_tell_nothing() -> None:
    assert missed_told([{"p50_ms": 301.0, "p99_ms": 302.0, "missed": 10}]) == ""
    assert missed_told([{"p50_ms": None, "p99_ms": None, "missed": 0}]) == ""


def test_an_error_of_the_policy_is_whole_or_ends_in_an_ellipsis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with foreign(SPEC, wrong(actions=np.zeros((2, 5, 6), "<f4"))) as address:
        evaluate(address, tmp_path / "short")
    assert capsys.readouterr().out.endswith("of shape (2, 5, 7), got <f4 (2, 5, 6)\n")
    long = wrong(type="error", code="policy", text=":x: " * 500)
    with foreign(SPEC, long) as address:
        folder = evaluate(address, tmp_path / "long")
    told = capsys.readouterr().out.rstrip("\n")
    assert "on the server: :x: :x:" in told
    assert told.endswith("\u2026")
    assert str(read_run(folder).trials[0]["reason"]).endswith("\u2026")
    assert Evaluated(folder, 4, 4, sealed_before=True).summary()[-1] in told
