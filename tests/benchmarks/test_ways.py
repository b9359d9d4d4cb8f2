"""Which way the trials went, and what negative controls do not count for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boards import FEW, board_of, row_of, tiny
from synthetic_runs import write_run

from benchmarks.board_cells import Grid
from benchmarks.board_rows import Grids
from benchmarks.board_runs import load_run, seen
from benchmarks.leaderboard import make_leaderboard
from benchmarks.ways import Ways, entropy, ways_of


def test_entropy_is_one_bit_for_both_ways_alike_and_none_for_one_only() -> None:
    assert entropy(50, 50) == 1.0
    assert entropy(50, 0) == entropy(0, 7) == 0.0
    assert entropy(25, 75) == entropy(75, 25) == pytest.approx(0.811278, abs=1e-6)
    assert entropy(0, 0) is None


def with_ways(results: Path, ways: list[float | None]) -> list[dict[str, Any]]:
    """Write a run per policy whose trials took ``ways`` in turn; return one run's records."""
    maker, records = tiny(results), []
    for policy in FEW:
        manifest, records = maker.manifest(policy, 0), maker.records(policy, 0)
        for record in records:
            record["quality"]["way"] = ways[record["key"]["ic"] % len(ways)]
        write_run(results / "runs" / "pick_place_v1" / manifest["run"], manifest, records)
    return records


def test_a_row_counts_the_ways_of_its_nominal_trials(tmp_path: Path) -> None:
    records = with_ways(tmp_path, [1.0, 1.0, -1.0, None])
    made = make_leaderboard(tmp_path)
    row = row_of(made.board["tables"][0], "act")
    assert row["ways"] == {"left": 10, "right": 5, "neither": 5, "bits": 0.918296}
    assert "Which way it went" in made.files["index.html"].decode()
    trials = [seen(r) for r in records if r["key"]["condition"] == "nominal"]
    assert ways_of(trials) == Ways(10, 5, 5, pytest.approx(0.918296, abs=1e-6))
    none = [replace(trial, way=None) for trial in trials]
    assert ways_of(none) == Ways(0, 0, 20, None)


def test_a_task_with_one_way_says_nothing_of_ways(tmp_path: Path) -> None:
    tiny(tmp_path).write_all(FEW[:1])
    assert row_of(board_of(tmp_path)["tables"][0], "act")["ways"] is None
    assert "Which way it went" not in make_leaderboard(tmp_path).files["index.html"].decode()


def test_a_negative_control_is_no_perturbation(tmp_path: Path) -> None:
    run = load_run(tiny(tmp_path).write(FEW[0], 0))
    grid = Grid((0,), ((run.trials[0],),))
    names = ("nominal", "language/L2", "combined/L2", "control/wrong_instruction")
    assert list(Grids(dict.fromkeys(names, grid)).single) == ["language/L2"]
