"""What the leaderboard says over several tasks, of numbers of demonstrations, of covered starts."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from boards import board_of
from demand_runs import write_demands, write_tasks

from benchmarks.board_cover import covers
from benchmarks.board_demands import demands, suites
from benchmarks.board_starts import known_starts
from benchmarks.coverage import StartMetric
from benchmarks.leaderboard import make_leaderboard, read_runs
from benchmarks.references import ALOHA, REFERENCES, references
from benchmarks.report.charts_demands import demand_chart
from envs.arm import InitialCondition
from envs.start_features import start_table
from envs.tasks import TASKS
from envs.world import world
from policies.base import ALGORITHMS


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("several")
    write_demands(results)
    return results


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("tasks")
    write_tasks(results, ("pick_place", "transfer"))
    return results


def test_rows_with_other_demonstrations_are_named_by_their_number(several: Path) -> None:
    (table,) = board_of(several)["tables"]
    labels = {row["label"] for row in table["rows"]}
    assert labels == {f"{name} ({n} demos)" for name in ("act", "diffusion") for n in (10, 50, 200)}


def test_success_against_demonstrations_stands_beside_what_others_say(several: Path) -> None:
    (table,) = board_of(several)["tables"]
    found = demands(table)
    assert found is not None
    assert [(r["algorithm"], r["demonstrations"]) for r in found["lines"]] == [
        (name, n) for name in ("act", "diffusion") for n in (10, 50, 200)
    ]
    assert found["several"]
    assert {(r.algorithm, r.demonstrations) for r in found["references"]} == {
        ("act", 50),
        ("diffusion", 100),
    }
    assert [line["count"] for line in found["grid"]] == [10, 50, 100, 200]
    fifty = found["grid"][1]["cells"]
    assert [len(cell["rows"]) for cell in fifty] == [1, 1]
    assert [len(cell["told"]) for cell in fifty] == [1, 0]
    chart = demand_chart(found)
    assert chart is not None
    drawn = chart["layer"][1]["data"]["values"]
    assert all(v["low"] <= v["success"] <= v["high"] for v in drawn)
    single = {**table, "rows": [r for r in table["rows"] if r["demonstrations"] == 50]}
    one = demands(single)
    assert one is not None
    assert demand_chart(one) is None
    assert demands({**single, "task": "unheard_of"}) is None


def test_every_figure_from_elsewhere_says_where_it_stands() -> None:
    for reference in REFERENCES:
        assert reference.algorithm in ALGORITHMS
        assert 0 < reference.low <= reference.high < 1
        assert reference.measured == ("RSS 2023" in reference.source)
    assert [r.low for r in references("transfer") if r.measured] == [0.86, 0.50]
    assert references("insertion_1mm") == references("insertion")
    assert references("pick_placement") == []
    assert ALOHA.startswith("Zhao et al.")


def test_trials_far_from_all_demonstrations_are_told_apart(several: Path) -> None:
    runs, _ = read_runs(several)
    (table,) = board_of(several)["tables"]
    found = {c.label: c for c in covers(table, {run.name: run for run in runs})}
    assert len(found) == 6
    many = found["act (200 demos)"]
    assert many.shares["nominal"] > 0.9
    assert many.shares["object_pose/L3"] == 0
    assert many.near.trials + many.far.trials == 120
    assert many.radius < found["act (10 demos)"].radius


def test_without_starts_in_the_records_nothing_is_said_of_them() -> None:
    assert known_starts(None) is None
    assert known_starts({"columns": ["a"], "rows": [[1.0], ["x"]]}) is None
    assert known_starts({"columns": ["a", "b"], "rows": [[1.0], [2.0]]}) is None
    assert known_starts({"columns": ["a"], "rows": [[float("nan")], [2.0]]}) is None
    columns, rows = known_starts({"columns": ["a"], "rows": [[1.0], [2.0]]})
    assert (columns, rows.shape) == (["a"], (2, 1))


def test_starts_of_demonstrations_are_the_numbers_that_vary() -> None:
    task = TASKS["pick_place"]
    starts = [task.sample(np.random.default_rng(i), world(task).arm) for i in range(20)]
    table = start_table(starts)
    assert table is not None
    assert table["columns"] == ["cube.x", "cube.y", "cube.yaw", "target.x", "target.y"]
    assert table["rows"][3][:2] == pytest.approx(starts[3].objects["cube"][:2], abs=1e-5)
    assert start_table([*starts, None]) is None
    assert start_table([InitialCondition((), {})]) is None
    assert max(StartMetric.of(table["rows"]).periods) > 0  # a cube's yaw


def test_the_page_has_a_matrix_only_where_there_are_several_tasks(
    several: Path, tasks: Path
) -> None:
    assert suites(board_of(several)) == []
    (suite,) = suites(board_of(tasks))
    assert suite["algorithms"][:2] == ["act", "diffusion"]
    assert [line["table"]["task"] for line in suite["lines"]] == ["pick_place", "transfer"]
    assert [cell is None for cell in suite["lines"][1]["cells"]] == [False, False, True]
    page = make_leaderboard(tasks).files["index.html"].decode()
    assert 'id="all-tasks"' in page
    assert "RSS 2023" in page
    assert 'id="all-tasks"' not in make_leaderboard(several).files["index.html"].decode()


def test_the_row_with_most_demonstrations_stands_for_an_algorithm(several: Path) -> None:
    board = board_of(several)
    other = {**board["tables"][0], "task": "transfer"}
    (suite,) = suites({"tables": [*board["tables"], other]})
    assert [cell["demonstrations"] for cell in suite["lines"][0]["cells"]] == [200, 200]
    assert suite["lines"][0]["floor"]["label"] == "replay"


def test_the_page_about_demonstrations_is_a_function_of_the_records(several: Path) -> None:
    first, second = (make_leaderboard(several).files["index.html"] for _ in range(2))
    assert first == second
    specs = re.findall(rb'data-for="chart-[^"]*-(?:demand|cover)">(.*?)</script>', first)
    assert len(specs) == 2
    assert all(json.loads(spec)["layer"] for spec in specs)


def test_many_algorithms_are_told_apart_by_colour(several: Path) -> None:
    (demand,) = [d for t in board_of(several)["tables"] if (d := demands(t))]
    one = demand["lines"][0]
    lines = [{**one, "name": f"policy{i}"} for i in range(12)]
    chart = demand_chart({**demand, "lines": lines, "several": True})
    assert chart is not None
    scale = chart["layer"][-1]["encoding"]["color"]["scale"]
    assert len(scale["domain"]) == len(set(scale["range"])) == 12
