"""The report of a session in a real browser, from a file, without a network."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_session import GOOD, POOR, MadeSession

from benchmarks.report.session_page import write_session
from tests.chromium import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def loaded(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, list[str]]]:
    folder = tmp_path_factory.mktemp("session")
    made = MadeSession(folder, blocks=12, simulated=40, films=2)
    replace(made.maker, videos=True).write(GOOD, 0)
    made.write_simulated((POOR,))
    out = Path(os.environ.get("ARMTRIALS_PAGE_OUT", folder))
    path = write_session(made.closed(), [folder / "results"], out)
    told: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda m: told.append(f"{m.type}: {m.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.on("request", lambda r: told.append(r.url) if r.url.startswith("http") else None)
    page.goto(path.resolve().as_uri())
    yield page, told
    page.close()


def test_every_chart_is_drawn_and_nothing_is_asked_of_the_network(
    loaded: tuple[Any, list[str]],
) -> None:
    page, told = loaded
    for chart in ("#chart-path-1", "#chart-worlds", "#chart-failures"):
        page.locator(chart).scroll_into_view_if_needed()
        page.locator(f"{chart} svg, {chart} canvas").first.wait_for()
    assert told == []


def test_both_films_of_a_start_can_be_played(loaded: tuple[Any, list[str]]) -> None:
    page, _ = loaded
    pair = page.locator(".beside").first
    pair.scroll_into_view_if_needed()
    for number in (0, 1):
        video = pair.locator("video").nth(number)
        video.hover()
        page.wait_for_function("v => v.videoWidth > 0", arg=video.element_handle())


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_no_width_makes_the_report_scroll_sideways(
    loaded: tuple[Any, list[str]], width: int
) -> None:
    page, _ = loaded
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
