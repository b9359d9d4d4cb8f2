"""Sweeps of execution settings: what is asked for, run, resumed and shown."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_checkpoint import EXECUTE, config, make_checkpoint
from rich.console import Console

from benchmarks.report.sweep_page import figure, picture, sweep_page, write_sweep
from benchmarks.run import workers_of
from benchmarks.sweep import (
    DEFAULTS,
    Sweep,
    left_out,
    parse_over,
    plan_sweep,
    run_sweep,
    setting_name,
    settings_of,
    table,
)
from envs.errors import UsageError
from scripts.sweep import Sweep as Command


def test_factors_are_read_with_their_values_or_the_usual_ones() -> None:
    assert parse_over(["ensemble,execute"]) == {
        "ensemble": DEFAULTS["ensemble"],
        "execute": DEFAULTS["execute"],
    }
    assert parse_over(["execute=10,20,10", "ensemble=none,0,.1"]) == {
        "execute": (10, 20),
        "ensemble": (None, 0.0, 0.1),
    }
    assert parse_over(["delay,execute=4,8", "ddim_steps=2"]) == {
        "delay": DEFAULTS["delay"],
        "execute": (4, 8),
        "ddim_steps": (2,),
    }


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ("speed", "unknown factor 'speed'; known: execute, ensemble, ddim_steps, delay"),
        ("speed=3", "unknown factor 'speed'"),
        ("execute,7", "unknown factor '7'"),
        ("", "unknown factor ''"),
        ("execute=ten", "execute must be a whole number, got 'ten'"),
        ("execute=1.5", "execute must be a whole number, got '1.5'"),
        ("delay=none", "delay must be a whole number, got 'none'"),
        ("ensemble=much", "ensemble must be a number or none, got 'much'"),
        ("execute=1,execute=2", "--over names execute twice"),
    ],
)
def test_a_mistake_in_the_factors_is_told(over: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_over([over])


def test_one_factor_at_a_time_or_every_combination() -> None:
    over = {"execute": (1, 2), "delay": (0, 3)}
    one = [setting_name(s) for s in settings_of(over)]
    assert one == ["own", "execute 1", "execute 2", "delay 0", "delay 3"]
    every = [setting_name(s) for s in settings_of(over, grid=True)]
    assert every == ["own", *(f"execute {e}, delay {d}" for e in (1, 2) for d in (0, 3))]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, Path, Any]:
    folder = tmp_path_factory.mktemp("sweep")
    policy = make_checkpoint(folder / "policy", algorithm="diffusion")
    asked = replace(config(policy, folder / "results", trials=2, conditions=()), execute=None)
    over = parse_over(["execute=8,40", "ddim_steps=2", "delay=3"])
    planned = plan_sweep(asked, settings_of(over))
    with workers_of(1) as pool:
        results = run_sweep(planned, pool)
    sweep = Sweep("diffusion", "pick_place/v1", 2, over, False, results, planned.skipped)
    return sweep, folder, planned


def test_every_setting_is_measured_on_the_same_starts(swept: tuple[Sweep, Path, Any]) -> None:
    sweep, folder, _ = swept
    assert [r.name for r in sweep.results] == ["own", "execute 8", "ddim_steps 2", "delay 3"]
    own, *others = sweep.results
    assert own.execution["execute"] == EXECUTE
    assert own.diff is own.p is None
    assert [r.execution.get("delay", 0) for r in sweep.results] == [0, 0, 0, 3]
    for result in sweep.results:
        assert (result.n, result.k) == (2, 0)
        assert result.p50_ms is not None
        assert result.p50_ms <= result.p99_ms
        assert result.load == pytest.approx(result.p50_ms / (20 * result.execution["execute"]))
    assert [r.diff for r in others] == [0, 0, 0]
    assert len({r.run for r in sweep.results}) == 4
    assert len(list((folder / "results" / "dev").glob("*/*/SEALED.json"))) == 4


def test_what_the_policy_cannot_do_is_left_out_with_the_reason(
    swept: tuple[Sweep, Path, Any],
) -> None:
    ((setting, why),) = swept[0].skipped
    assert setting == {"execute": 40}
    assert "execute must be in 1..chunk=16, got 40" in why


def test_a_sweep_runs_only_what_is_missing(swept: tuple[Sweep, Path, Any]) -> None:
    sweep, folder, planned = swept
    before = {p: p.stat().st_mtime_ns for p in (folder / "results").rglob("*")}
    counted: list[int] = []
    with workers_of(1) as pool:
        assert run_sweep(planned, pool, counted.append) == sweep.results
    assert sum(counted) == 8
    assert {p: p.stat().st_mtime_ns for p in (folder / "results").rglob("*")} == before


def test_a_sweep_without_anything_to_compare_is_refused(tmp_path: Path) -> None:
    policy = make_checkpoint(tmp_path / "policy")
    with pytest.raises(UsageError, match="can be run: ddim_steps 2, 4: ddim_steps belongs"):
        plan_sweep(config(policy, tmp_path), settings_of({"ddim_steps": (2, 4)}))
    with pytest.raises(UsageError, match=r"execute 0: .*got 0; execute 500: .*got 500; delay 90: "):
        plan_sweep(config(policy, tmp_path), settings_of({"execute": (0, 500), "delay": (90,)}))
    with pytest.raises(UsageError, match="is not a checkpoint folder"):
        plan_sweep(config(tmp_path / "none", tmp_path), settings_of({"delay": (2,)}))


def test_tables_figure_and_page_are_written(swept: tuple[Sweep, Path, Any]) -> None:
    sweep, folder, _ = swept
    page = write_sweep(sweep, folder / "out")
    lines = list(csv.DictReader((folder / "out" / "sweep.csv").read_text().splitlines()))
    assert [line["setting"] for line in lines] == [r.name for r in sweep.results]
    assert lines[0]["execute"] == str(EXECUTE)
    assert json.loads((folder / "out" / "sweep.json").read_text())["settings"] == table(sweep)
    assert (folder / "out" / "sweep.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    for shown in ("ddim_steps 2", "Left out", "execute must be in 1..chunk=16, got 40"):
        assert shown in text


def test_what_is_printed_has_units_and_a_line_for_all_that_is_left_out_of_a_factor(
    swept: tuple[Sweep, Path, Any],
) -> None:
    said = io.StringIO()
    none = "ddim_steps belongs to a diffusion policy"
    skipped = [*swept[0].skipped, ({"ddim_steps": 2}, none), ({"ddim_steps": 4}, none)]
    Command._say(Console(file=said, width=200), replace(swept[0], skipped=skipped))
    first, *_, execute, steps = said.getvalue().splitlines()
    assert first.split()[-4:] == ["p50", "[ms]", "p99", "[ms]"]
    assert execute == "left out: execute 40: execute must be in 1..chunk=16, got 40"
    assert steps == f"left out: ddim_steps 2, 4: {none}"


def test_every_reason_is_given_once_and_combinations_are_told_apart() -> None:
    skipped = [
        ({"execute": 0}, "too few"),
        ({"ensemble": None}, "none here"),
        ({"execute": 500}, "too many"),
        ({"execute": 600}, "too many"),
        ({"execute": 1, "delay": 2}, "no time"),
        ({"execute": 1, "delay": 3}, "no time"),
    ]
    assert left_out(skipped) == [
        "execute 0: too few; execute 500, 600: too many",
        "ensemble none: none here",
        "execute 1, delay 2 / execute 1, delay 3: no time",
    ]


def test_the_figure_has_a_column_a_factor_and_in_a_grid_a_colour_a_combination(
    swept: tuple[Sweep, Path, Any],
) -> None:
    sweep = swept[0]
    columns = figure(sweep)["hconcat"]
    assert [c["data"]["values"][0]["factor"] for c in columns] == ["execute", "ddim_steps", "delay"]
    assert [len(c["vconcat"]) for c in columns] == [3, 3, 3]
    own, other = sweep.results[:2]
    over = {"execute": (8, 16), "delay": (0, 2)}
    results = [own] + [replace(other, setting=s) for s in settings_of(over, grid=True)[1:]]
    grid = replace(sweep, over=over, grid=True, results=results)
    (column,) = figure(grid)["hconcat"]
    assert {p["series"] for p in column["data"]["values"]} == {"delay 0", "delay 2"}
    assert picture(figure(grid))[:4] == b"\x89PNG"
    assert "every combination" in sweep_page(grid)
