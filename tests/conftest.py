"""Settings of the whole test run."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No test asserts a time or draws its examples anew.
settings.register_profile("armtrials", deadline=None, derandomize=True)
settings.load_profile("armtrials")

# A shell has its background jobs ignore Ctrl-C, and children inherit that; here Ctrl-C is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

OUTSIDE = Path(__file__).parent / "real"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test that fails try once more, twice if it talks by the wall clock; "R" tells it.

    A browser, a bus or a camera waits 0.1 s to 0.5 s for its peer and then rightly stops the arm;
    other tests kill and resume processes. A machine that stands still is not what they are about.
    A race in the code may hide behind a second try: who needed one stands in the summary.
    """
    for item in items:
        by_the_clock = item.get_closest_marker("browser") or OUTSIDE in item.path.parents
        item.add_marker(pytest.mark.flaky(reruns=2 if by_the_clock else 1))


@pytest.fixture(scope="session", autouse=True)
def _memory_is_given_back() -> Iterator[None]:
    """Let a process of the test run, which trains hundreds of policies, not keep what it freed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("policies.train.keep_freed_memory", lambda: None)
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Chromium, once a file; such a file has the marks of ``tests.chromium``."""
    from tests.chromium import launch, playwright

    with playwright.sync_playwright() as api:
        started = launch(api)
        yield started
        started.close()
