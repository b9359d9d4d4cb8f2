"""Runs that differ in what decides their trials are never ranked as if they did not."""

from pathlib import Path
from typing import Any

import pytest
from boards import CONDITIONS, board_of, row_of, run_of, small, tiny
from demand_runs import DemandMaker
from synthetic_runs import MadeUp, Maker, write_run

from benchmarks.board_starts import trained_on
from benchmarks.board_text import ranking
from benchmarks.leaderboard import make_leaderboard
from benchmarks.report.board_page import advice, every
from benchmarks.report.charts import against, colours, number
from scripts.bench import _cells

ACT, BC, HOLD = (
    MadeUp("act", 2.0, seeds=(0,)),
    MadeUp("bc", 0.4, seeds=(0,)),
    MadeUp("hold", -9.0, floor=True, seeds=(0,)),
)


def add(maker: Maker, policy: MadeUp, change: Any) -> Path:
    """Write a sealed run whose manifest and records were changed before sealing."""
    manifest, records = maker.manifest(policy, 0), maker.records(policy, 0)
    change(manifest, records)
    name = f"{policy.name}-{len(list(maker.results.rglob('manifest.json')))}"
    return write_run(run_of(maker.results, name), manifest, records)


def test_runs_on_another_model_are_another_table_that_says_so(tmp_path: Path) -> None:
    maker = tiny(tmp_path)
    maker.write_all((ACT, BC))
    add(maker, MadeUp("late", 1.0), lambda m, r: m.update(model_hash="f" * 64))
    add(maker, MadeUp("early", 1.0), lambda m, r: m.update(model_hash=None))
    made = make_leaderboard(tmp_path)
    told = {tuple(r["label"] for r in t["rows"]): t["apart"] for t in made.board["tables"]}
    assert told[("late",)] == "model " + "f" * 12
    assert told[("early",)] == "model unknown"
    assert len(told[("act", "bc")]) == len("model ") + 12
    assert len({t["id"] for t in made.board["tables"]}) == 3
    assert f"sim, model {'f' * 12}\n" in made.files["leaderboard.md"].decode()
    assert f"state track, model {'f' * 12}</h2>" in made.files["index.html"].decode()


def test_pictures_of_another_renderer_are_another_table(tmp_path: Path) -> None:
    for track in ("pixels", "state"):
        maker = tiny(tmp_path / track, track=track)
        for name in ("egl", "osmesa"):
            add(maker, ACT, lambda m, r, name=name: m["versions"].update(renderer=name))
        tables = board_of(maker.results)["tables"]
        apart = {t["apart"] for t in tables}
        assert apart == ({"renderer egl", "renderer osmesa"} if track == "pixels" else {""})


def test_other_versions_are_noted_and_those_of_all_runs_are_shown(tmp_path: Path) -> None:
    maker = tiny(tmp_path)
    maker.write_all((BC, MadeUp("act", 2.0, seeds=(1,))))
    add(maker, ACT, lambda m, r: m["versions"].update(torch="2.14.0"))
    (table,) = board_of(tmp_path)["tables"]
    assert "run with torch 2.13.0, 2.14.0" in row_of(table, "act")["notes"]
    other = "run with torch 2.13.0; other rows of this table with 2.14.0"
    assert row_of(table, "bc")["notes"] == [other]
    shown = dict(every(row_of(table, "act")["provenance"], "versions"))
    assert shown["torch"] == "2.14.0, 2.13.0"
    assert shown["mujoco"] == "3.17.0"


def test_two_trials_of_the_protocol_are_no_valid_row(tmp_path: Path) -> None:
    Maker(tmp_path, 2, ("nominal",)).write(ACT, 0)
    made = make_leaderboard(tmp_path)
    row = row_of(made.board["tables"][0], "act")
    assert (row["status"], row["reasons"]) == ("partial", [])
    assert row["short"] == ["2 of 200 starts", "1 of 23 conditions"]
    text = made.files["leaderboard.md"].decode()
    assert "Partial, 2 of 200 starts and 1 of 23 conditions of the protocol: act." in text
    assert "Covers 2 of 200 starts" in made.files["index.html"].decode()


def test_only_the_whole_protocol_makes_a_row_valid(tmp_path: Path) -> None:
    Maker(tmp_path).write(ACT, 0)
    (table,) = board_of(tmp_path)["tables"]
    assert (row_of(table, "act")["status"], row_of(table, "act")["short"]) == ("valid", [])


def test_rows_are_ranked_among_rows_with_the_same_starts(tmp_path: Path) -> None:
    small(tmp_path).write_all((ACT, BC, HOLD))
    some = small(tmp_path / "few", trials=10)
    for policy in (MadeUp("new", 2.0), MadeUp("old", -1.0)):
        manifest, records = some.manifest(policy, 0), some.records(policy, 0)
        write_run(run_of(tmp_path, f"few-{policy.name}"), manifest, records)
    small(tmp_path / "one", trials=5, conditions=CONDITIONS[:1]).write(MadeUp("odd", 2.0), 0)
    (tmp_path / "one/runs/pick_place_v1").rename(tmp_path / "runs" / "one")
    (table,) = board_of(tmp_path)["tables"]
    labels = {row["id"]: row["label"] for row in table["rows"]}
    nominal = [f for f in table["families"] if f["condition"] == "nominal"]
    assert [(f["starts"], {labels[i] for i in f["order"]}) for f in nominal] == [
        (40, {"act", "bc"}), (10, {"new", "old"}),
    ]  # fmt: skip
    assert {labels[i] for i in ranking(table)} == {"act", "bc", "new", "old"}
    assert {labels[p["a"]] for p in table["above_floor"]} == {"act", "bc"}
    assert any(text.startswith("On the first 10 nominal starts") for text in table["findings"])


def test_trials_that_start_where_a_demonstration_did_make_a_row_preliminary(
    tmp_path: Path,
) -> None:
    maker = DemandMaker(tmp_path, trials=20, conditions=("nominal",))

    def leak(manifest: dict[str, Any], records: list[Any]) -> None:
        rows = manifest["policy"]["data"]["starts"]["rows"]
        rows[:3] = [[round(v, 5) for v in r["start"]["objects"]["cube"][:2]] for r in records[:3]]

    add(maker, ACT, lambda m, r: None)
    add(maker, BC, leak)
    (table,) = board_of(tmp_path)["tables"]
    assert row_of(table, "act")["status"] == "partial"
    (reason,) = row_of(table, "bc")["reasons"]
    assert reason.endswith("3 of its trials start where a demonstration did")


def test_few_numbers_that_agree_by_chance_are_no_leak() -> None:
    table = {"columns": ["cube.x"], "rows": [[0.3], [0.3001]]}
    assert trained_on(table, [{"cube.x": 0.3}]) is None
    assert trained_on(table, [{"cube.y": 0.3}]) is None
    assert trained_on(None, []) is None


def test_a_tag_that_accompanies_most_of_a_label_stands_beside_it(tmp_path: Path) -> None:
    def stall(manifest: dict[str, Any], records: list[Any]) -> None:
        for record in records:
            record.update(success=False, failure="drift", tags=["stuck", "timeout"])
        records[0]["tags"] = ["timeout"]

    add(tiny(tmp_path), BC, stall)
    (table,) = board_of(tmp_path)["tables"]
    assert row_of(table, "bc")["also"] == {"drift": {"stuck": 0.975}}
    found = [(failure.label, told) for failure, told in advice(table)]
    assert found == [("drift", ["bc: 98\u00a0% also stuck"]), ("stuck", [])]
    said = next(text for text in table["findings"] if "frequent failure" in text)
    assert "(bc, 100 %, 98\u00a0% also stuck)" in said


def test_no_loss_has_no_worst(tmp_path: Path) -> None:
    tiny(tmp_path).write_all((ACT, HOLD))
    made = make_leaderboard(tmp_path)
    assert row_of(made.board["tables"][0], "hold")["worst"] is None
    (line,) = (x for x in made.files["leaderboard.md"].decode().splitlines() if "| hold " in x)
    assert "| 0.0 | \u2013 |" in line


def test_the_console_does_not_round_a_failure_away() -> None:
    nominal = {"k": 597, "n": 600, "value": 0.995, "low": 0.971, "high": 0.9991}
    shown = _cells({"nominal": nominal, "worst": None})
    assert shown == ("99.5% (597/600)", "97.1% to 99.9%", "-")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1034.0, "1030"), (0.11634, "0.116"), (-1.848, "-1.85"), (95.4, "95.4"), (None, "\u2013")],
)
def test_measures_are_written_without_powers_of_ten(value: float | None, text: str) -> None:
    assert number(value) == text


def test_the_name_of_a_point_at_the_right_edge_stands_to_its_left(table: dict[str, Any]) -> None:
    names = colours([row["label"] for row in table["rows"]])
    spec = against(table, names, "p99_ms", "latency")
    assert spec is not None
    left = {v["row"]: v["left"] for v in spec["data"]["values"]}
    assert left["diffusion"]
    assert not left["bc"]
