"""Runs that are broken, edited or hostile never touch good rows."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from boards import FEW, board_of, edit, row_of, run_of, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import MadeUp, Maker, write_run

from benchmarks.leaderboard import make_leaderboard


def test_an_edited_trial_makes_its_row_preliminary_and_leaves_the_others(own: Path) -> None:
    before = board_of(own)["tables"][0]
    edit(run_of(own, "state-bc-cpu-seed1"), b'"clamps":0', b'"clamps":7')
    (table,) = board_of(own)["tables"]
    bc = row_of(table, "bc")
    assert bc["status"] == "preliminary"
    assert any("hash" in reason for reason in bc["reasons"])
    assert [row["label"] for row in table["rows"]][-1] == "bc"
    assert row_of(table, "act") == row_of(before, "act")
    assert table["families"] == []
    assert "preliminary" in " ".join(table["findings"])


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("unsealed", lambda f: (f / "SEALED.json").unlink(), "not sealed"),
        (
            "torn",
            lambda f: (f / "trials.jsonl.xz").write_bytes(b"\xfd7zXZ\x00zz"),
            "archive is broken",
        ),
        ("empty", lambda f: (f / "manifest.json").write_bytes(b"{}"), "schema|lack"),
        ("broken", lambda f: (f / "manifest.json").write_bytes(b'{"schema"'), "read|lack|expect"),
        ("list", lambda f: (f / "manifest.json").write_bytes(b"[1]"), "schema|lack"),
    ],
)
def test_a_corrupt_run_is_named_with_the_reason(
    own: Path, name: str, spoil: Any, reason: str
) -> None:
    spoil(run_of(own, "state-bc-cpu-seed0"))
    board = board_of(own)
    (table,) = board["tables"]
    told = [r for row in table["rows"] for r in row["reasons"]]
    told += [u["reason"] for u in board["unreadable"]]
    assert any(re.search(reason, text) for text in told), (name, told)
    assert row_of(table, "act")["status"] == "partial"
    assert row_of(table, "bc")["nominal"]["n"] == 20


def respoken(maker: Maker, policy: MadeUp, change: Any) -> Path:
    """Write a sealed run whose manifest or records were changed before sealing."""
    manifest, records = maker.manifest(policy, 0), maker.records(policy, 0)
    change(manifest, records)
    return write_run(maker.results / "runs" / "x" / "one", manifest, records)


def drop(manifest: dict[str, Any], records: list[Any]) -> None:
    del records[3]


def invalidate(manifest: dict[str, Any], records: list[Any]) -> None:
    for record in records[: len(records) // 5]:
        record.update(status="invalid", reason="reset", failure="invalid_reset", success=False)


def other_protocol(manifest: dict[str, Any], records: list[Any]) -> None:
    manifest["protocol"]["hash"] = "0" * 64


def dev(manifest: dict[str, Any], records: list[Any]) -> None:
    manifest["plan"]["split"] = "dev"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop, "1 of 40 planned trials are missing"),
        (invalidate, "20 % of its trials are invalid"),
        (other_protocol, "hash"),
        (dev, "dev split"),
    ],
)
def test_a_run_that_cannot_count_says_why(tmp_path: Path, change: Any, reason: str) -> None:
    respoken(tiny(tmp_path), MadeUp("act", 2.0), change)
    (table,) = board_of(tmp_path)["tables"]
    (row,) = table["rows"]
    assert row["status"] == "preliminary"
    assert any(reason in text for text in row["reasons"]), row["reasons"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("progress", 7.0), ("progress", "much"), ("latency", None), ("quality", []), ("start", 3)],
)
def test_a_hostile_record_is_left_out_and_the_others_stand(
    own: Path, field: str, value: object
) -> None:
    def change(manifest: dict[str, Any], records: list[Any]) -> None:
        records[0][field] = value

    respoken(tiny(own), MadeUp("evil", 2.0), change)
    board = board_of(own)
    assert [u["run"] for u in board["unreadable"]] == ["x/one"]
    assert row_of(board["tables"][0], "act")["status"] == "partial"


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every entry of nested objects, outermost first."""
    if not isinstance(value, dict):
        return [path]
    return [path, *(leaf for key, item in value.items() for leaf in leaves(item, (*path, key)))]


MANIFEST_PATHS = [p for p in leaves(tiny(Path()).manifest(FEW[0], 0)) if p and "bounds" not in p]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    path=st.sampled_from(MANIFEST_PATHS),
    value=st.sampled_from([None, 7, -1.5, "", "x", True, [], [[1]], {}, {"a": 1}]),
)
def test_no_wrong_value_in_one_manifest_breaks_the_page_of_the_others(
    few: Path, tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], value: object
) -> None:
    results = tmp_path_factory.mktemp("wrong")
    shutil.copytree(few / "runs", results / "runs")

    def change(manifest: dict[str, Any], records: list[Any]) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    respoken(tiny(results), MadeUp("wrong", 2.0), change)
    made = make_leaderboard(results)
    rows = [row for t in made.board["tables"] for row in t["rows"]]
    assert any(row["label"].startswith("act") and row["status"] == "partial" for row in rows)


def test_markup_in_a_name_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)>"
    respoken(tiny(tmp_path), MadeUp(name, 2.0), lambda m, r: m.update(run="=cmd()"))
    made = make_leaderboard(tmp_path)
    assert name not in made.files["index.html"].decode()
    assert "<img src=x" not in made.files["index.html"].decode()
    assert "<img" not in made.files["leaderboard.md"].decode().replace("\\<", "")


def test_one_checkpoint_evaluated_twice_counts_once(own: Path) -> None:
    shutil.copytree(run_of(own, "state-act-cpu-seed0"), run_of(own, "state-act-cpu-seed0-again"))
    (table,) = board_of(own)["tables"]
    act = row_of(table, "act")
    assert act["nominal"]["n"] == 20
    assert any("is a copy of" in note for note in act["notes"])


def test_two_checkpoints_of_one_seed_make_the_row_preliminary(own: Path) -> None:
    maker, policy = tiny(own), MadeUp("act", 2.0)
    manifest = maker.manifest(policy, 0)
    manifest["policy"]["hashes"]["weights"] = "f" * 64
    write_run(run_of(own, "state-act-other"), manifest, maker.records(policy, 0))
    (table,) = board_of(own)["tables"]
    assert any("more than one checkpoint" in r for r in row_of(table, "act")["reasons"])
