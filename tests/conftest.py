"""Settings of the whole test run."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No test passes or fails by the clock or by luck: the machine may be busy, the examples are fixed.
settings.register_profile("armtrials", deadline=None, derandomize=True)
settings.load_profile("armtrials")

# A shell has its background jobs ignore Ctrl-C, and children inherit that; here Ctrl-C is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

OUTSIDE = Path(__file__).parent / "real"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that talk to another process by the wall clock try three times; "R" tells it.

    A browser, a bus or a camera waits 0.1 s to 0.5 s for its peer and then rightly stops the arm.
    A machine that stands still for so long is not what these tests are about.
    """
    for item in items:
        if item.get_closest_marker("browser") or OUTSIDE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Chromium, once a file; such a file has the marks of ``tests.chromium``."""
    from tests.chromium import launch, playwright

    with playwright.sync_playwright() as api:
        started = launch(api)
        yield started
        started.close()
