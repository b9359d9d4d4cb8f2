"""A real browser for the tests of pages, or the reason why they skip."""

import shutil
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]
"""The ``pytestmark`` of a file that opens pages."""


def launch(api: Any) -> Any:
    """Start Chromium without a window; ``api`` is what ``sync_playwright()`` yields."""
    return api.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
