"""The leaderboard's page in a real browser, from a file, without a network."""

import os
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import POLICIES, Maker

from benchmarks.leaderboard import make_leaderboard
from tests.chromium import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    conditions = ("object_pose/L1", "object_pose/L2", "home_pose/L2", "combined/L2")
    Maker(folder, 30, conditions, videos=True).write_all(POLICIES)
    out = Path(os.environ.get("ARMTRIALS_PAGE_OUT", folder / "leaderboard"))
    make_leaderboard(folder).write(out)
    return (out / "index.html").resolve().as_uri()


@pytest.fixture(scope="module")
def loaded(browser: Any, address: str) -> tuple[Any, list[str]]:
    """Return the page, its charts drawn, and everything that it complained of or asked for."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    told: list[str] = []
    page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("data:", "blob:")) or request.url == address
            else told.append(f"request: {request.url}")
        ),
    )
    page.goto(address)
    wait = "document.querySelectorAll('.chart').length === "
    page.wait_for_function(wait + "document.querySelectorAll('.chart[data-drawn]').length")
    return page, told


def test_the_page_loads_without_an_error_or_a_request(loaded: tuple[Any, list[str]]) -> None:
    page, told = loaded
    assert page.title() == "ArmTrials leaderboard"
    assert told == []


def test_every_chart_is_drawn_with_marks(loaded: tuple[Any, list[str]]) -> None:
    page, _ = loaded
    counts = page.eval_on_selector_all(
        ".chart", "nodes => nodes.map(n => n.querySelectorAll('svg path').length)"
    )
    assert len(counts) == 5
    assert min(counts) > 5


def test_a_click_on_a_heading_sorts_and_another_turns_the_order(
    loaded: tuple[Any, list[str]],
) -> None:
    page, _ = loaded
    names = page.locator("table.ranking tbody[data-sortable]").first.locator("tr th")
    button = page.get_by_role("button", name="Training", exact=True)

    def order() -> list[str]:
        return [text.split("\n")[0].strip() for text in names.all_inner_texts()]

    button.click()
    assert order() == ["bc", "act", "diffusion"]
    assert button.locator("..").get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert order() == ["diffusion", "act", "bc"]
    assert page.locator("table.ranking th[aria-sort='descending']").count() == 1


def test_a_video_plays(loaded: tuple[Any, list[str]]) -> None:
    page, _ = loaded
    video = page.locator("video").first
    assert not video.evaluate("v => v.src"), "decoded before it is near the window"
    video.scroll_into_view_if_needed()
    page.wait_for_function("v => v.readyState >= 2", arg=video.element_handle())
    video.evaluate("v => v.play()")
    page.wait_for_function("v => v.currentTime > 0.3", arg=video.element_handle())
    assert video.evaluate("v => v.error") is None


def test_the_filter_leaves_the_clips_that_match(loaded: tuple[Any, list[str]]) -> None:
    page, _ = loaded
    page.locator("form.filter select[name=row]").select_option("act")
    page.locator("form.filter select[name=outcome]").select_option("failure")
    shown = page.locator(".videos > :not(.hide)")
    rows = shown.evaluate_all("nodes => nodes.map(n => n.dataset.row + n.dataset.outcome)")
    assert set(rows) == {"actfailure"}


def test_a_row_leads_to_its_provenance_by_keyboard(loaded: tuple[Any, list[str]]) -> None:
    page, _ = loaded
    link = page.locator("table.ranking tbody th a").first
    link.focus()
    link.press("Enter")
    target = page.locator(link.get_attribute("href"))
    target.get_by_text("Chain head").wait_for(state="visible")


@pytest.mark.parametrize("width", [800, 420])
def test_a_narrow_window_scrolls_tables_and_never_the_page(
    browser: Any, address: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark")
    page.goto(address)
    page.wait_for_selector(".chart[data-drawn]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
