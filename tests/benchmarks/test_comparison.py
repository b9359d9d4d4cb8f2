"""The page that puts the algorithms side by side says what the sealed runs say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.board_words import share
from benchmarks.comparison import algorithms, compared, demands, gap, success
from scripts import tables

REAL = (tables.ROOT / "README.md", tables.ROOT / "docs" / "comparison.md")
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
    for page in REAL:
        assert share(0.123) in compared(page.read_text("utf-8"), changed, tmp_path)


def test_what_was_not_measured_is_left_out() -> None:
    tables = [t for t in state() if t["task"] == "pour"]
    assert demands(tables) == "Not measured yet."
    assert "`action_delay`" in gap(tables)


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Copies of the pages, the second with a table that is not as the results make it."""
    right, stale = (tmp_path / page.name for page in REAL)
    for copy, page in zip((right, stale), REAL, strict=True):
        copy.write_bytes(page.read_bytes())
    stale.write_text(
        re.sub(r"(<!-- compare: cost -->\n).*?<", r"\1old\n<", stale.read_text(), flags=re.DOTALL)
    )
    monkeypatch.setattr(tables, "PAGES", (right, stale))
    return right, stale


def test_a_check_names_the_page_that_is_not_as_the_results_make_it_and_writes_nothing(
    pages: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [page.read_bytes() for page in pages]
    assert tables.main(["--check"]) == 1
    told = capsys.readouterr().out
    assert str(pages[1]) in told
    assert str(pages[0]) not in told
    assert [page.read_bytes() for page in pages] == before
    assert tables.main([]) == 0
    assert [page.read_bytes() for page in pages] == [p.read_bytes() for p in REAL]
    assert tables.main(["--check"]) == 0


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--chekc"], 2)])
def test_help_and_a_mistake_write_nothing(
    words: list[str], code: int, pages: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [page.read_bytes() for page in pages]
    with pytest.raises(SystemExit) as stop:
        tables.main(words)
    assert stop.value.code == code
    said = capsys.readouterr()
    assert "--check" in said.out + said.err
    assert [page.read_bytes() for page in pages] == before
