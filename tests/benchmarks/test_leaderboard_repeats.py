"""A second sealed run of the same checkpoint reproduces the row, or says in how many trials not."""

import shutil
from pathlib import Path
from typing import Any

from boards import board_of, row_of, run_of, tiny
from synthetic_runs import MadeUp, Maker, write_run

ACT = MadeUp("act", 1.0, seeds=(0,))


def again(maker: Maker, change: Any = lambda records: None, **manifest: Any) -> Path:
    """Write a second run of the same checkpoint, made on another machine."""
    made, records = maker.manifest(ACT, 0), maker.records(ACT, 0)
    for record in records:
        record["latency"] = {"p50_ms": 7.0, "p99_ms": 9.0, "missed": 0}
    change(records)
    told = {**made, "run": "act-again", "machine": {"cpu": "another", "cores": 8}, **manifest}
    return write_run(run_of(maker.results, "act-again"), told, records)


def row(results: Path) -> dict[str, Any]:
    (table,) = board_of(results)["tables"]
    return row_of(table, "act")


def test_a_second_run_that_ends_alike_in_every_trial_reproduces_the_row(tmp_path: Path) -> None:
    maker = tiny(tmp_path)
    maker.write(ACT, 0)
    assert row(tmp_path)["reproduced"] == 0
    again(maker)
    found = row(tmp_path)
    assert found["reproduced"] == maker.plan.trials
    assert found["nominal"]["n"] == 20  # no trial counts twice
    assert any(f"all of {maker.plan.trials} trials ended alike" in note for note in found["notes"])


def test_one_trial_that_ends_otherwise_is_told_and_nothing_is_reproduced(tmp_path: Path) -> None:
    def worse(records: list[dict[str, Any]]) -> None:
        won = next(r for r in records if r["success"])
        won.update(success=False, success_any=False, success_final=False, failure="dropped",
                   stage=3, progress=0.5, tags=["dropped"])  # fmt: skip

    maker = tiny(tmp_path)
    maker.write(ACT, 0)
    again(maker, worse)
    found = row(tmp_path)
    assert found["reproduced"] == 0
    assert any("1 of 40 trials ended otherwise" in note for note in found["notes"])


def test_a_copy_of_a_run_reproduces_nothing(tmp_path: Path) -> None:
    maker = tiny(tmp_path)
    folder = maker.write(ACT, 0)
    shutil.copytree(folder, folder.with_name("copied"))
    found = row(tmp_path)
    assert found["reproduced"] == 0
    assert any("is a copy of" in note for note in found["notes"])


def test_an_edited_second_run_reproduces_nothing(tmp_path: Path) -> None:
    maker = tiny(tmp_path)
    maker.write(ACT, 0)
    seal = again(maker) / "SEALED.json"
    seal.write_bytes(seal.read_bytes().replace(b'"count":', b'"count" :', 1) + b" ")
    assert row(tmp_path)["reproduced"] == 0


def test_a_run_on_the_twin_never_reproduces_one_in_simulation(tmp_path: Path) -> None:
    maker = tiny(tmp_path)
    maker.write(ACT, 0)
    again(maker, world="twin")
    tables = board_of(tmp_path)["tables"]
    assert [t["world"] for t in tables] == ["sim", "twin"]
    assert [row_of(t, "act")["reproduced"] for t in tables] == [0, 0]
