"""Measuring the scripted experts: which cells a command means, what is kept, what is refused."""

import json
from dataclasses import replace

import pytest

from benchmarks import experts as module
from benchmarks.expert_cells import Cell, cells, felt, protocol_on
from benchmarks.experts import NO_START, Tally, measure, plan, read_tallies, stuck, write_tallies
from benchmarks.protocol import EvalProtocol
from envs.ability import able
from envs.errors import UsageError
from envs.tasks import TASKS
from envs.tasks.two_ways import TwoWays
from scripts.main import main

NOMINAL = Cell("two_ways", "viperx")
PUSHED = Cell("two_ways", "viperx", "clean", "object_pose/L2")


def test_all_stands_for_every_task_and_every_arm_that_can():
    assert cells(["all"]) == [Cell(name, task.robot) for name, task in TASKS.items()]
    found = cells(["all"], ["all"])
    assert {(c.task, c.robot) for c in found} == {(n, r) for n, t in TASKS.items() for r in able(t)}
    assert {c.task for c in cells(["all"], ["koch"])} == {"pick_place", "pour"}


def test_a_level_stands_for_the_axes_that_an_expert_can_feel():
    found = [c.condition for c in cells(["insertion"], conditions=["nominal", "L2"])]
    assert found == ["nominal", *(f"{axis}/L2" for axis in felt("insertion"))]
    assert not {"lighting", "language", "observation", "object_size"} & set(felt("insertion"))
    assert "object_size" in felt("pick_place")
    assert len(cells(["insertion"], conditions=["all"])) == 1 + 3 * len(felt("insertion"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--task juggle", "unknown task 'juggle'; known: assembly"),
        ("--task wipe --robot koch", "arm 'koch' cannot do wipe: the board is wider than its"),
        ("--task pour --robot spot", "unknown arm 'spot'; known: koch"),
        ("--task pour --operator drunk", "unknown operator 'drunk'; known: clean"),
        ("--task pour --conditions object_size/L2", "does not apply to pour: another cup would"),
        ("--task pour --conditions lighting/L2", "does not reach a scripted expert, which reads"),
        ("--task pour --conditions L9", "unknown condition 'L9' of pour/v1; known: nominal, "),
        ("--robot koch --conditions rain/L1", "unknown variation 'rain'; known: action_delay"),
        ("--task pour --starts 0", "starts must be 1..200 in pour/v1, got 0"),
        ("--task pour --starts 201", "starts must be 1..200 in pour/v1, got 201"),
        ("--task pour --workers 0", "workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(words, told, tmp_path, capsys):
    assert main(["experts", *words.split(), "--out", str(tmp_path / "e.json")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[-1]
    assert not (tmp_path / "e.json").exists()


def test_an_interrupted_measurement_continues_to_the_same_outcome(tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    both = [NOMINAL, PUSHED]
    with pytest.raises(KeyboardInterrupt):
        measure(both, 2, tmp_path / "a.json", progress=stop)
    assert read_tallies(tmp_path / "a.json")[NOMINAL].starts == 1
    assert len(plan(both, 2, tmp_path / "a.json")) == 3
    done = []
    continued = measure(both, 2, tmp_path / "a.json", progress=done.append)
    assert sum(done) == 3
    assert continued == measure(both, 2, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert not plan(both, 2, tmp_path / "a.json")
    assert [t.successes for t in continued] == [2, 2]


def test_a_perturbed_cell_has_as_many_starts_as_the_protocol(tmp_path):
    assert len(plan([PUSHED], 200, tmp_path / "none.json")) == 100
    assert len(plan([NOMINAL], 200, tmp_path / "none.json")) == 200


def test_what_other_code_measured_is_measured_anew_and_the_rest_is_kept(tmp_path):
    path, other = tmp_path / "e.json", Cell("wipe", "viperx")
    stale = Tally(NOMINAL, "other", 5, {0: "rest"})
    kept = Tally(other, "other", 7, {3: "press"}, 2)
    write_tallies(path, {NOMINAL: stale, other: kept})
    assert len(plan([NOMINAL], 6, path)) == 6
    assert plan([NOMINAL], 6, path, keep=True) == [(NOMINAL, 5)]
    (fresh,) = measure([NOMINAL], 1, path)
    assert (fresh.starts, fresh.code) == (1, module.code())
    assert read_tallies(path) == {NOMINAL: fresh, other: kept}


def test_a_failure_is_kept_with_the_stage_that_was_not_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(TwoWays, "horizon", 20)
    module._arm.cache_clear()
    (tally,) = measure([NOMINAL], 2, tmp_path / "e.json")
    module._arm.cache_clear()
    assert tally.failed == {0: "beside", 1: "beside"}
    assert stuck(tally) == "beside 2"
    assert tally.interval.low == 0.0


def test_a_level_that_leaves_no_start_counts_as_no_start(tmp_path, monkeypatch):
    def refuse(*_):
        raise UsageError("none of 100 draws")

    monkeypatch.setattr(EvalProtocol, "start", refuse)
    (tally,) = measure([PUSHED], 1, tmp_path / "e.json")
    assert tally.failed == {0: NO_START}


def test_refused_draws_are_counted(tmp_path, monkeypatch):
    start = protocol_on("two_ways").start("nominal", 0)
    drawn_again = replace(start, factors={"redrawn": {"count": 3}})
    monkeypatch.setattr(EvalProtocol, "start", lambda *_: drawn_again)
    (tally,) = measure([NOMINAL], 1, tmp_path / "e.json")
    assert (tally.redrawn, tally.successes) == (3, 1)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 2, "cells": []}', '{"schema": 1, "cells": [{"task": "wipe"}]}']
)
def test_a_broken_file_is_refused_and_left_as_it_is(text, tmp_path):
    path = tmp_path / "e.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"e\.json: is broken .*choose another --out"):
        measure([NOMINAL], 1, path)
    assert path.read_text() == text


def test_the_command_prints_a_line_a_cell(tmp_path, capsys):
    path = tmp_path / "e.json"
    write_tallies(path, {NOMINAL: Tally(NOMINAL, module.code(), 40, {7: "rest"}, 2)})
    words = ["--task", "two_ways", "--starts", "40", "--out", str(path)]
    assert main(["experts", *words]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:7] == ["two_ways", "viperx", "clean", "nominal", "39", "40", "97.5"]
    assert row[-3:] == ["2", "rest", "1"]
    assert json.loads(path.read_text())["cells"][0]["failed"] == {"7": "rest"}
