"""The leaderboard is a pure function of the sealed runs."""

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import CONDITIONS, board_of, row_of, run_of, small, tiny
from synthetic_runs import POLICIES, MadeUp, write_run

from benchmarks import stats
from benchmarks.board_commands import reproduce
from benchmarks.board_runs import load_run
from benchmarks.leaderboard import Made, make_leaderboard, rounded
from benchmarks.protocol import BATCH
from benchmarks.report import charts
from benchmarks.report.charts_failures import failure_mix, starts
from envs.errors import UsageError
from scripts.evaluate import Evaluate
from scripts.leaderboard import Leaderboard
from scripts.main import load, main


def test_the_same_runs_give_the_same_bytes_wherever_they_lie(few: Path, own: Path) -> None:
    first, second = make_leaderboard(few), make_leaderboard(own)
    assert first.files == second.files
    assert set(first.files) == {
        "leaderboard.json", "leaderboard.csv", "leaderboard.md", "index.html",
    }  # fmt: skip


def test_seeds_of_a_policy_are_one_row_and_floors_stand_beneath(table: dict[str, Any]) -> None:
    assert {row["label"] for row in table["rows"]} == {"act", "diffusion", "bc"}
    assert [row["label"] for row in table["floors"]] == ["replay", "hold"]
    act = row_of(table, "act")
    assert [s["seed"] for s in act["seeds"]] == [0, 1, 2]
    assert act["nominal"]["n"] == 3 * 40
    assert act["nominal"]["k"] == sum(s["k"] for s in act["seeds"])
    assert act["claim"] == "algorithm"
    assert act["status"] == "partial", act["reasons"]


def test_rows_are_ordered_by_success_with_rank_sets_and_letters(table: dict[str, Any]) -> None:
    values = [row["nominal"]["value"] for row in table["rows"]]
    assert values == sorted(values, reverse=True)
    family = table["families"][0]
    assert family["condition"] == "nominal"
    assert dict(family["letters"])[family["order"][0]].startswith("a")
    for row_id, low, high in family["ranks"]:
        assert 1 <= low <= 1 + family["order"].index(row_id) <= high <= 3


def test_the_numbers_are_those_of_the_statistics_package(
    results: Path, table: dict[str, Any]
) -> None:
    act = row_of(table, "act")
    runs = [load_run(run_of(results, f"state-act-cpu-seed{s}")) for s in range(3)]
    nominal = np.array([[run.cell("nominal")[i].success for i in range(40)] for run in runs])
    moved = np.array([[run.cell("object_pose/L2")[i].success for i in range(40)] for run in runs])
    interval, gap = stats.algorithm_interval(nominal), stats.paired_gap(nominal, moved)
    assert act["nominal"]["low"] == pytest.approx(interval.low, abs=1e-6)
    assert act["nominal"]["high"] == pytest.approx(interval.high, abs=1e-6)
    cell = next(c for c in act["cells"] if c["condition"] == "object_pose/L2")
    assert cell["gap"]["diff"] == pytest.approx(moved.mean() - nominal.mean(), abs=1e-6)
    assert cell["gap"]["low"] == pytest.approx(gap.low, abs=1e-6)


def test_the_worst_gap_is_wider_than_its_cell_because_it_was_searched_for(
    table: dict[str, Any],
) -> None:
    bc = row_of(table, "bc")
    cell = next(c for c in bc["cells"] if c["condition"] == bc["worst"]["condition"])
    assert bc["worst"]["searched"] == 3
    assert bc["worst"]["gap"]["low"] < cell["gap"]["low"]
    assert bc["worst"]["gap"]["diff"] == min(
        c["gap"]["diff"] for c in bc["cells"] if c["gap"] and c["axis"] != "combined"
    )


def test_tracks_and_worlds_are_never_in_one_table(tmp_path: Path) -> None:
    one = (MadeUp("act", 2.0, seeds=(0,)), MadeUp("bc", 0.4, seeds=(0,)))
    tiny(tmp_path).write_all(one)
    tiny(tmp_path, track="pixels").write_all(one)
    tiny(tmp_path / "real", world="real").write_all(one)
    shutil.move(tmp_path / "real" / "runs" / "pick_place_v1", tmp_path / "runs" / "real")
    tables = board_of(tmp_path)["tables"]
    assert [(t["world"], t["track"]) for t in tables] == [
        ("sim", "state"), ("sim", "pixels"), ("real", "state"),
    ]  # fmt: skip
    assert all(len(t["rows"]) == 2 for t in tables)


def test_rows_are_tested_against_the_best_floor(tmp_path: Path, table: dict[str, Any]) -> None:
    assert all(p["p_holm"] < 0.05 for p in table["above_floor"])
    assert any("above the best floor, replay" in text for text in table["findings"])
    useless = MadeUp("useless", -9.0, seeds=(0,))
    tiny(tmp_path).write_all((useless, MadeUp("hold", -9.0, floor=True, seeds=(0,))))
    (other,) = board_of(tmp_path)["tables"]
    assert any("not been shown to beat the floor hold" in text for text in other["findings"])
    gap = row_of(other, "useless")["mean_gap"]
    assert gap["diff"] == 0
    assert gap["low"] < -0.1 < 0.1 < gap["high"], "equal trials are no certainty"


def test_one_seed_is_a_checkpoint_claim(tmp_path: Path) -> None:
    tiny(tmp_path).write_all((MadeUp("act", 2.0, seeds=(4,)),))
    (table,) = board_of(tmp_path)["tables"]
    assert row_of(table, "act")["claim"] == "checkpoint"
    assert table["families"] == []
    assert "no other valid row" in table["findings"][0]


def test_presets_of_one_policy_are_separate_rows_with_telling_names(tmp_path: Path) -> None:
    quick = MadeUp("act", 1.0, seeds=(0,), preset="quick")
    tiny(tmp_path).write_all((MadeUp("act", 2.0, seeds=(0,)), quick))
    (table,) = board_of(tmp_path)["tables"]
    assert {r["label"] for r in table["rows"]} == {"act (preset cpu)", "act (preset quick)"}


def test_the_commands_of_a_row_are_ones_that_the_command_line_takes(
    table: dict[str, Any],
) -> None:
    lines = [
        line for row in (*table["rows"], *table["floors"]) for line in row["reproduce"].splitlines()
    ]
    assert len(lines) == 5 * 3 + 3 * 3 * 2 + 2
    for line in lines:
        program, *words = shlex.split(line)
        assert program in ("git", "armtrials")
        if program == "armtrials":
            command = load(words[0], words[1:])
            folder = getattr(command, "results", Path("evaluations/own"))
            assert folder.parent == Path("evaluations"), "a row again never touches other runs"


def test_the_commands_of_a_row_name_every_commit_and_the_batch(tmp_path: Path) -> None:
    manifests = [small(tmp_path).manifest(MadeUp("act", 2.0), seed) for seed in range(3)]
    manifests[2]["code"] = {"commit": "b" * 40, "dirty": False}
    for manifest in manifests:
        manifest["execution"] |= {"batch": 7}
    first, *lines = reproduce(manifests).splitlines()
    assert first == (
        "# the seeds of this row come from 2 commits (3f2a9d01c4: seed 0, 1; bbbbbbbbbb: seed 2)"
    )
    assert lines[0] == "git checkout 3f2a9d01c4"
    assert lines.index("git checkout " + "b" * 40) == len(lines) - 4
    evaluations = [load("evaluate", shlex.split(x)[2:]) for x in lines if " evaluate " in x]
    assert [vars(e)["batch"] for e in evaluations] == [7, 7, 7]
    assert {vars(e)["results"] for e in evaluations} == {Path(f"evaluations/{manifests[0]['run']}")}
    assert lines[-1] == f"armtrials leaderboard --results evaluations/{manifests[0]['run']}"
    assert Evaluate(("floor:hold",)).batch == BATCH


def test_the_commands_name_the_steps_and_the_rounds_that_taught(tmp_path: Path) -> None:
    plain, asked = (small(tmp_path).manifest(MadeUp("bc", 2.0), 0) for _ in range(2))
    plain["policy"]["training"]["steps"] = asked["policy"]["training"]["steps"] = 321
    asked["policy"] |= {"name": "dagger", "seed": 8}
    (line,) = [line for line in reproduce([plain]).splitlines() if " train " in line]
    assert vars(load("train", shlex.split(line)[2:]))["steps"] == 321
    lines = reproduce([asked]).splitlines()
    assert not [line for line in lines if " train " in line or " collect " in line]
    (line,) = [line for line in lines if line.startswith("armtrials dagger")]
    command = vars(load("dagger", shlex.split(line)[2:]))
    assert (command["rounds"], command["steps"], command["algo"]) == (8, 321, "bc")
    (line,) = [line for line in lines if " evaluate " in line]
    assert f"--policy {command['out']}/rounds/08 --name dagger" in line


def test_a_setting_beside_the_preset_makes_another_row(own: Path) -> None:
    maker, policy = tiny(own), MadeUp("act", 2.0)
    manifest = maker.manifest(policy, 0)
    manifest["policy"]["hashes"] = {"weights": "e" * 64, "config": "abcdef" + "0" * 58}
    write_run(run_of(own, "state-act-other"), manifest, maker.records(policy, 0))
    (table,) = board_of(own)["tables"]
    assert "act (config abcdef)" in {row["label"] for row in table["rows"]}


def test_conditions_stand_in_the_order_of_the_protocol_whatever_a_run_covers(own: Path) -> None:
    small(own, trials=10).write(MadeUp("zeal", 1.0), 0)
    (table,) = board_of(own)["tables"]
    assert table["conditions"] == ["nominal", *CONDITIONS]


COMPILED = """
import json, sys, vl_convert
print(json.dumps([vl_convert.vegalite_to_vega(spec)["marks"] for spec in json.load(sys.stdin)]))
"""
"""V8 in a process of its own, see benchmarks/report/draw.py."""


def test_every_chart_is_a_valid_specification(made: Made, table: dict[str, Any]) -> None:
    rows = [{"row": "act", "ic": 0, "x": 0.3, "y": 0.1, "failed": 0.5, "trials": "1/2"}]
    colours = charts.colours([row["label"] for row in table["rows"]])
    specs = [
        charts.curves(table, colours),
        charts.against(table, colours, "training_s", "time"),
        charts.against(table, colours, "p99_ms", "latency"),
        failure_mix(table),
        starts(table, [*rows, {**rows[0], "x": 0.4, "y": 0.0}]),
    ]
    assert None not in specs
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], input=json.dumps(specs).encode(), capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert all(json.loads(done.stdout))


def test_the_csv_has_a_line_for_each_row_and_condition(made: Made) -> None:
    lines = list(csv.DictReader(io.StringIO(made.files["leaderboard.csv"].decode())))
    assert len(lines) == 5 * 5
    act = next(x for x in lines if x["row"] == "act" and x["condition"] == "nominal")
    assert int(act["n"]) == 120
    assert act["rank_low"] == "1"
    assert float(act["success"]) == pytest.approx(int(act["k"]) / 120, abs=1e-6)


def test_the_json_has_no_number_longer_than_its_rounding(made: Made) -> None:
    board = json.loads(made.files["leaderboard.json"])
    assert rounded(board) == board
    assert board["schema"] == 1


def test_no_place_of_this_machine_is_in_the_files(results: Path, made: Made) -> None:
    for name, data in made.files.items():
        assert str(results).encode() not in data, name


def test_an_empty_results_folder_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "--results", str(tmp_path)]) == 2
    assert "armtrials bench" in capsys.readouterr().err


def test_evaluations_that_have_just_begun_do_not_hide_the_others(own: Path) -> None:
    for seed in (0, 1):
        for path in run_of(own, f"state-bc-cpu-seed{seed}").iterdir():
            if path.name != "manifest.json":
                path.unlink()
    (table,) = make_leaderboard(own).board["tables"]
    assert row_of(table, "act")["status"] == "partial"
    assert row_of(table, "bc")["nominal"] is None
    assert any("not sealed" in reason for reason in row_of(table, "bc")["reasons"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_a_usage_error(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(UsageError, match="cannot write"):
        made.write(out)


def test_an_out_folder_that_is_a_file_is_a_usage_error(made: Made, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("taken")
    with pytest.raises(UsageError, match="cannot write"):
        made.write(tmp_path / "out")


def test_the_command_writes_beside_the_runs(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Leaderboard(results=own).run() == 0
    assert (own / "leaderboard" / "index.html").is_file()
    assert "pick_place, state track" in capsys.readouterr().out


def test_every_policy_of_the_synthetic_set_is_on_the_page(made: Made) -> None:
    page = made.files["index.html"].decode()
    assert all(f">{p.name}<" in page for p in POLICIES)
