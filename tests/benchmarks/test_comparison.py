"""The page that puts the algorithms side by side says what the sealed runs say."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.board_words import share
from benchmarks.comparison import algorithms, compared, demands, gap, success
from scripts import tables

BOARD = tables.RESULTS / "leaderboard" / "leaderboard.json"


def board() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(BOARD.read_text())
    return read


def state() -> list[dict[str, Any]]:
    return [t for t in board()["tables"] if t["track"] == "state" and not t["apart"]]


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_the_tables_are_those_of_the_results(page: Path) -> None:
    assert tables.filled(page) == page.read_text("utf-8"), "run python -m scripts.tables"


def test_every_task_and_policy_has_its_place() -> None:
    lines = success(state()).splitlines()
    assert len(lines) == 2 + len(state())
    assert all(f"`{name}`" in lines[0] for name in algorithms(state()))


def test_a_changed_number_changes_the_page(tmp_path: Path) -> None:
    changed = board()
    for one in changed["tables"]:
        for row in one["rows"]:
            if row["nominal"]:
                row["nominal"]["value"] = 0.123
    for page in (
        page for page in tables.PAGES if "comparison" in page.name or "README" in page.name
    ):
        assert share(0.123) in compared(page.read_text("utf-8"), changed, tmp_path)


def test_what_was_not_measured_is_left_out() -> None:
    tables = [t for t in state() if t["task"] == "pour"]
    assert demands(tables) == "Not measured yet."
    assert "`action_delay`" in gap(tables)
