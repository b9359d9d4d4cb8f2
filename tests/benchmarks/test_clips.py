import base64
from collections.abc import Mapping
from typing import Any

import pytest
from boards import FEW, tiny

from benchmarks.board_runs import Loaded
from benchmarks.leaderboard import make_board, read_runs
from benchmarks.report import clips


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Loaded]]:
    """Return the board of two tables whose rows were filmed, and its runs by name."""
    results = tmp_path_factory.mktemp("results")
    for track in ("state", "pixels"):
        tiny(results, track=track, videos=True).write_all(FEW)
    runs, unreadable = read_runs(results)
    return make_board(runs, unreadable), {run.name: run for run in runs}


def sizes(chosen: Mapping[str, list[dict[str, Any]]]) -> list[int]:
    return [sum(len(base64.b64decode(clip["data"])) for clip in table) for table in chosen.values()]


def test_the_films_of_a_table_stay_within_its_share_and_all_within_the_page(
    films: tuple[dict[str, Any], dict[str, Loaded]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sizes(clips.choose(*films))
    assert len(whole) == 2
    assert min(whole) > 0
    monkeypatch.setattr(clips, "MAX_BYTES", max(whole) // 2)
    shares = sizes(clips.choose(*films))
    assert all(0 < share <= max(whole) // 2 for share in shares)
    monkeypatch.setattr(clips, "MAX_PAGE", sum(shares) - 1)
    assert 0 < sum(sizes(clips.choose(*films))) < sum(shares)


def test_no_more_films_are_shown_than_the_page_takes(
    films: tuple[dict[str, Any], dict[str, Loaded]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "MAX_CLIPS", 3)
    assert sum(map(len, clips.choose(*films).values())) == 3


def test_the_films_of_a_table_are_at_most_a_megabyte_of_the_page() -> None:
    assert clips.MAX_CLIP <= clips.MAX_BYTES
    assert 4 * clips.MAX_BYTES / 3 <= 1_000_000
