"""The operator's page in a real browser: buttons, keys, a reason, two pages, a lost server."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.session.view import CheckView, Choice, View
from tests.chromium import MARKS
from tests.real.operated import FIRST, NEXT, VOID, Rehearsal, operated, wait

pytestmark = MARKS


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((120, 160, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def session() -> Rehearsal:
    made = Rehearsal()
    made.pictures["overlay"] = png()
    return made


@pytest.fixture
def opened(browser: Any, session: Rehearsal) -> Iterator[Any]:
    """Open the page as Kim, on a tablet; nothing may go wrong in it."""
    with operated(session) as server:
        page = browser.new_page(viewport={"width": 1024, "height": 768})
        told = complaints(page)
        enter(page, server.address, "Kim")
        yield page
        page.close()
    assert told == []


def complaints(page: Any) -> list[str]:
    told: list[str] = []
    page.on("console", lambda m: told.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    return told


def until(page: Any, expression: str) -> None:
    wait(lambda: page.evaluate(expression))


def enter(page: Any, address: str, who: str) -> None:
    page.goto(address)
    page.locator("#who[open]").wait_for()
    page.locator("#name").fill(who)
    page.keyboard.press("Enter")
    until(page, f"document.body.dataset.who === '{who}'")


def shown(page: Any, view: View) -> None:
    until(page, f"document.body.dataset.number === '{view.number}'")


def test_a_button_and_its_key_answer_what_is_asked(opened: Any, session: Rehearsal) -> None:
    opened.locator("#choices button", has_text="next trial").click()
    wait(lambda: len(session.answers) == 1)
    shown(opened, session.view())
    opened.keyboard.press("n")
    wait(lambda: len(session.answers) == 2)
    assert session.answers[1] == ("next", "next", "Kim", "")
    assert opened.locator("#code").inner_text() == "K7-T4"
    assert opened.locator("#ask").inner_text() == FIRST.ask


def test_a_void_trial_needs_a_reason_and_stop_stays_within_reach(
    opened: Any, session: Rehearsal
) -> None:
    opened.keyboard.press("v")
    opened.locator("#why[open]").wait_for()
    assert opened.locator("#why-ok").is_disabled()
    opened.keyboard.type("the camera fell")  # an n in it is no answer
    opened.locator("#stop").click()
    wait(lambda: session.stops == ["page, Kim"])
    assert session.answers == []
    opened.locator("#why-ok").click()
    wait(lambda: session.answers == [("void", "void", "Kim", "the camera fell")])


@pytest.mark.parametrize("key", ["Escape", " "])
def test_escape_and_while_it_moves_the_space_bar_stop_the_arm(
    opened: Any, session: Rehearsal, key: str
) -> None:
    view = session.put(phase="running", choices=(), ask="The arm drives itself.")
    shown(opened, view)
    opened.keyboard.press(key)
    wait(lambda: session.stops == ["page, Kim"])
    opened.get_by_text("The arm was told to stop").wait_for()


def test_the_undo_counts_down_and_the_suggestion_comes_only_afterwards(
    opened: Any, session: Rehearsal
) -> None:
    undo = Choice("undo", "undo", "undo", "u")
    view = session.put(phase="labelled", choices=(NEXT, undo), undo_until=time.time() + 8)
    shown(opened, view)
    opened.get_by_text("labels can be taken back for").wait_for()
    until(opened, "parseInt(document.getElementById('clock').textContent.match(/\\d+/)) < 7")
    assert not opened.locator("#suggestion").is_visible()
    opened.keyboard.press("u")
    wait(lambda: session.answers == [("undo", "undo", "Kim", "")])
    view = session.put(
        phase="next", undo_until=None, choices=(NEXT,), suggestion="the same: success"
    )
    shown(opened, view)
    assert opened.locator("#suggestion").inner_text() == "the same: success"
    assert not opened.locator("#clock").is_visible()


def test_the_picture_and_what_to_move_are_shown_while_things_are_placed(
    opened: Any, session: Rehearsal
) -> None:
    view = session.put(
        phase="reset", pictures=("overlay",), detail=("cube: move 12 mm left",),
        choices=(Choice("measure", "measure", "measure", "m"), VOID),
    )  # fmt: skip
    shown(opened, view)
    until(opened, "document.getElementById('overlay').naturalWidth === 160")
    assert opened.locator("#detail li").inner_text() == "cube: move 12 mm left"
    assert opened.locator("#steps .here").inner_text() == "Place"
    if folder := os.environ.get("ARMTRIALS_PAGE_OUT"):
        opened.screenshot(path=str(Path(folder) / "session.png"))


def test_checks_show_what_was_found(opened: Any, session: Rehearsal) -> None:
    checks = (
        CheckView("disk", "Room on the disk", "pass", "12 GB free", {"free": 12}),
        CheckView("home", "Home repeatability", "fail", "2.3 mm apart <b>"),
        CheckView("bus", "Bus", "waiting"),
    )
    shown(opened, session.put(phase="preflight", checks=checks, code=""))
    rows = opened.locator("#checks article")
    assert rows.count() == 3
    assert "2.3 mm apart <b>" in rows.nth(1).inner_text()
    assert not opened.locator("#code-box").is_visible()


def test_what_a_session_refuses_is_said(opened: Any, session: Rehearsal) -> None:
    session.held.clear()
    for _ in range(2):
        opened.locator("#choices button").first.click()
    session.held.set()
    opened.locator("#problem", has_text="older question").wait_for()
    assert len(session.answers) == 1


def test_the_second_page_watches_says_so_and_takes_over(
    browser: Any, opened: Any, session: Rehearsal
) -> None:
    opened.keyboard.press("n")
    wait(lambda: session.answers)
    second = browser.new_page()
    enter(second, opened.url, "Bo")
    second.get_by_text("You watch: Kim operates").wait_for()
    assert second.locator("#choices button").first.is_disabled()
    second.keyboard.press("n")
    second.locator("#role button", has_text="Take over").click()
    second.get_by_text("You operate").wait_for()
    opened.get_by_text("You watch: Bo operates").wait_for()
    second.close()
    assert [a[:3] for a in session.answers] == [
        ("next", "next", "Kim"), ("operator", "take over", "Bo"),
    ]  # fmt: skip


def test_the_page_comes_back_by_itself_when_the_server_does(
    browser: Any, session: Rehearsal
) -> None:
    page = browser.new_page()
    with operated(session) as server:
        port = server.port
        enter(page, server.address, "Kim")
    page.get_by_text("Connection lost: trying again").wait_for()
    assert page.locator("#choices button").first.is_disabled()
    page.locator("#stop").click()
    page.get_by_text("No connection: use the switch at the arm").wait_for()
    view = session.put(ask="It goes on.")
    with operated(session, port=port):
        shown(page, view)
        page.get_by_text("You operate").wait_for()
        page.keyboard.press("n")
        wait(lambda: session.answers == [("next", "next", "Kim", "")])
        page.close()


@pytest.mark.parametrize("width", [1280, 1024, 768, 390])
def test_no_width_makes_the_page_scroll_sideways_and_stop_is_always_seen(
    browser: Any, session: Rehearsal, width: int
) -> None:
    labels = ("missed_grasp: closed without the object between the fingers", "other: none of these")
    session.put(phase="label", ask="What went wrong first?", pictures=("overlay",),
                choices=tuple(Choice("failure", c[:5], c, c[0]) for c in labels * 5))  # fmt: skip
    with operated(session) as server:
        page = browser.new_page(viewport={"width": width, "height": 768}, color_scheme="dark")
        enter(page, server.address, "Kim")
        until(page, "document.querySelectorAll('#choices button').length === 10")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator("#stop").bounding_box()
        assert box["y"] + box["height"] <= 768
        assert box["height"] >= 48
        page.close()
