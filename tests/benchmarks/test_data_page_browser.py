"""The demonstrations' page in a real browser, from a file, without a network."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.examine import examine
from benchmarks.report.data_page import data_page
from envs.collect import collect
from envs.collection import Collection
from tests.chromium import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def loaded(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, list[str]]]:
    """The page of four demonstrations, one filmed, and all that it complained of or asked for."""
    folder = tmp_path_factory.mktemp("data")
    collect(Collection("pick_place"), 4, folder)
    path = Path(os.environ.get("ARMTRIALS_PAGE_OUT", folder)) / "inspect.html"
    path.write_text(data_page(examine(folder, films=1), "pick_place"), "utf-8")
    told: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.on("request", lambda r: told.append(r.url) if r.url.startswith("http") else None)
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("#stage[data-ready]")
    yield page, told
    page.close()


def pressed(page: Any) -> list[str]:
    chips: list[str] = page.eval_on_selector_all(
        ".chip[aria-pressed=true]", "chips => chips.map(c => c.textContent)"
    )
    return chips


def test_the_page_loads_without_an_error_or_a_request(loaded: tuple[Any, list[str]]) -> None:
    page, told = loaded
    assert page.title() == "pick_place · ArmTrials"
    assert told == []


def test_the_film_plays_and_the_curves_follow(loaded: tuple[Any, list[str]]) -> None:
    page, _ = loaded
    page.click(".chip >> nth=0")
    page.wait_for_function("document.querySelector('#stage video').currentTime > 0.3")
    page.click("#play")
    at = page.eval_on_selector(".curve .now", "line => Number(line.getAttribute('x1'))")
    assert 0 < at < 999
    assert page.eval_on_selector(".curve .measured", "p => p.getAttribute('points').length") > 500


def test_a_click_on_a_curve_goes_there(loaded: tuple[Any, list[str]]) -> None:
    page, _ = loaded
    curve = page.locator(".curve svg").first
    curve.click(position={"x": 0.75 * curve.bounding_box()["width"], "y": 5})
    at = page.eval_on_selector("#seek", "slider => Number(slider.value)")
    assert at == pytest.approx(0.75, abs=0.01)


def test_a_start_on_the_table_opens_its_episode_drawn_from_above(
    loaded: tuple[Any, list[str]],
) -> None:
    page, _ = loaded
    page.locator(".mark[data-episode='2']").first.click()
    page.wait_for_selector("#stage canvas")
    assert pressed(page) == ["2"]
    assert page.text_content("#name") == "episode_2.hdf5"
    page.click("#next")
    assert pressed(page) == ["3"]
    page.click("#next")
    assert pressed(page) == ["0"]
