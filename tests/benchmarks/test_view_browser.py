"""The page of a trial in a real browser, from a file, without a network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.report.view_page import view_page
from benchmarks.video import write_mp4
from benchmarks.view import Panel, Shown
from tests.chromium import MARKS

pytestmark = MARKS
NOW = "Number(document.querySelector('.now').getAttribute('x1'))"


def made_page(folder: Path) -> Path:
    """Write the page of a made-up trial of 4 s."""
    frames = (np.full((120, 160, 3), 3 * i, np.uint8) for i in range(50))
    film = write_mp4(folder / "film.mp4", frames, 12.5).read_bytes()
    times = np.arange(200) / 50
    panels = [Panel("waist [rad]", [("measured", np.sin(times)), ("commanded", np.cos(times))])]
    shown = Shown("nominal / 3", "Success.", True, [("policy", "act")], times, panels, film)
    page = folder / "page.html"
    page.write_text(view_page(shown))
    return page


def test_the_film_plays_and_the_curves_follow_it(browser: Any, tmp_path: Path) -> None:
    address = made_page(tmp_path).resolve().as_uri()
    told: list[str] = []
    page: Any = browser.new_page(viewport={"width": 1100, "height": 800})
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url))
    page.goto(address)
    page.wait_for_function("document.getElementById('film-video').readyState >= 2")
    assert page.evaluate("document.getElementById('film-video').duration") == pytest.approx(4)
    assert page.evaluate(NOW) == pytest.approx(6)
    page.evaluate("document.getElementById('film-video').currentTime = 2")
    page.wait_for_function(f"{NOW} > 100")
    assert page.evaluate(NOW) == pytest.approx(6 + 308 * 2 / 3.98, abs=1)
    page.locator(".curve svg").first.click(position={"x": 5, "y": 10})
    page.wait_for_function("document.getElementById('film-video').currentTime < 0.5")
    page.close()
    assert [text for text in told if not text.startswith(("data:", address))] == []
