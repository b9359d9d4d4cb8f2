"""The figures of ``make perf``: arithmetic and table, not speed."""

import json
from itertools import count
from pathlib import Path

import pytest

from perf import __main__ as perf
from perf import tasks
from perf.ratio import Ratio, Seconds, compare


def test_the_ratio_is_the_median_of_the_rounds_and_the_first_round_is_warm_up() -> None:
    ticks = count()
    clock = iter([0, 50, 0, 50, *(t for x in (2, 3, 4) for t in (0, 1, 0, x))])
    found = compare(
        "x", 2.5, lambda: next(ticks), lambda: None, rounds=3, clock=lambda: float(next(clock))
    )
    assert (found.ratio, found.low, found.high) == (3, 2, 4)
    assert (found.ours_s, found.theirs_s) == (1, 3)
    assert found.met
    assert next(ticks) == 4


def test_a_ratio_can_be_told_a_piece() -> None:
    whole = Ratio("x", 1, ratio=2.0, low=1.0, high=3.0, ours_s=10.0, theirs_s=20.0, clock="cpu")
    piece = whole.per_piece(ours=100, theirs=5)
    assert (piece.ratio, piece.ours_s, piece.theirs_s) == (40.0, 0.1, 4.0)
    assert piece.theirs_s / piece.ours_s == pytest.approx(piece.ratio)


def test_the_table_and_the_file_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Seconds("learning", goal=100, seconds=None)
    monkeypatch.setattr(perf, "MEASUREMENTS", {"learn": lambda: slow})
    monkeypatch.setattr("sys.argv", ["perf", "learn", "--json", str(tmp_path / "figures.json")])
    assert perf.main() == 0
    assert "not reached" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures == {"learn": {"what": "learning", "goal": 100, "seconds": None, "met": False}}


def test_every_task_has_a_rate_on_both_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "TASKS", {"pick_place": None})
    monkeypatch.setattr(tasks, "STATE_STEPS", 30)
    monkeypatch.setattr(tasks, "PIXEL_STEPS", 3)
    monkeypatch.setattr("sys.argv", ["perf", "tasks", "--json", str(tmp_path / "figures.json")])
    assert perf.main() == 0
    assert "steps/s per core" in capsys.readouterr().out
    (state, pixels) = json.loads((tmp_path / "figures.json").read_text())["tasks"]
    assert (state["what"], pixels["what"]) == ("pick_place, state", "pick_place, pixels")
    assert state["steps_per_s"] > pixels["steps_per_s"] > 0
    assert (state["steps"], pixels["steps"]) == (30, 3)


def test_an_unknown_measurement_lists_the_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["perf", "warp"])
    with pytest.raises(SystemExit, match="2"):
        perf.main()
    assert "unknown warp; known: env, batch, pixels" in capsys.readouterr().err
