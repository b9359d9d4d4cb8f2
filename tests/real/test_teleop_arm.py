"""The page drives a real arm, here the twin: motion, records, emergency stop, lost heartbeat."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.episode import read_episode
from real.address import PATIENT
from real.emulators.twin import Twin, TwinSetup
from real.emulators.twin_table import twin_arm
from real.teleop.arm_rig import TwinRig
from real.teleop.server import TeleopServer
from tests.chromium import MARKS
from tests.real.served import PICK_PLACE, SECONDS, SMALL, drives
from tests.real.test_teleop_browser import GAMEPAD

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
pytestmark = MARKS
SHOWN = "document.body.dataset"


def wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 2 * SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def until(page: Any, expression: str) -> None:
    wait(lambda: page.evaluate(expression))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeleopServer]:
    out = tmp_path_factory.mktemp("arm") / "by_hand"
    with Twin(TwinSetup()) as twin:
        arm = twin_arm(twin, (), PATIENT)
        rig = TwinRig(arm, PICK_PLACE, 60.0, arm.joints.stop, SMALL)  # type: ignore[attr-defined]
        with drives(rig, out, PICK_PLACE) as running:
            yield running


@pytest.fixture
def page(browser: Any, server: TeleopServer) -> Iterator[Any]:
    """Open the page at a fresh start; nothing may go wrong in it."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    told: list[str] = []
    opened.on("console", lambda m: told.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: told.append(str(error)))
    wait(lambda: server.driver is None)
    opened.goto(server.address)
    until(opened, f"{SHOWN}.drives === 'true'")
    number = server.loop.status.notice.number
    opened.keyboard.press("p")
    until(opened, f"Number({SHOWN}.notice) > {number} && {SHOWN}.armed === 'true'")
    yield opened
    opened.close()
    assert told == []


def test_keys_move_the_arm_and_what_was_done_is_kept_with_its_times(
    page: Any, server: TeleopServer
) -> None:
    rig = server.loop.session.rig
    before = np.array(rig.observation["qpos"])
    index = server.loop.status.episode
    page.keyboard.down("e")
    until(page, f"Number({SHOWN}.steps) > 25")
    page.keyboard.up("e")
    assert np.abs(rig.observation["qpos"] - before).max() > 0.03
    page.keyboard.press("n")
    until(page, f"{SHOWN}.episode !== '{index}' && {SHOWN}.phase === 'ready'")
    made = read_episode(server.loop.session.album.out / "failed" / f"episode_{index}.hdf5")
    assert made.meta.success is False
    steps = np.diff(made.timestamps)
    assert (steps > 0).all()
    assert np.unique(np.round(steps, 7)).size > 1  # measured, not reckoned


@pytest.mark.parametrize("how", ["button", "Escape", "watcher", "gamepad"])
def test_anybody_stops_the_arm_at_once_and_put_back_goes_on(
    browser: Any, page: Any, server: TeleopServer, how: str
) -> None:
    page.keyboard.down("w")
    until(page, f"Number({SHOWN}.steps) > 5")
    if how == "Escape":
        page.keyboard.press("Escape")
    elif how == "button":
        page.locator("[data-stop=hold]").click()
    elif how == "gamepad":
        page.evaluate(f"{GAMEPAD} pad.buttons[7].pressed = true")
    else:
        other = browser.new_page()
        other.goto(server.address)
        other.get_by_text("You watch").wait_for()
        other.locator("[data-stop=hold]").click()
    until(page, f"{SHOWN}.stopped === 'true'")
    page.keyboard.up("w")
    who = {"gamepad": "gamepad"}.get(how, "browser")
    assert f"emergency stop of {who}" in server.loop.status.stopped
    assert page.locator("#phase").inner_text() == "Stopped"
    if folder := os.environ.get("ARMTRIALS_PAGE_OUT"):
        page.screenshot(path=str(Path(folder) / "teleop_arm.png"), full_page=True)
    page.keyboard.press("n")  # nothing else is heard
    until(page, "document.getElementById('notice').textContent.includes('Put back goes on')")
    here = np.array(server.loop.session.rig.arm.joints.observe()["qpos"])
    page.wait_for_timeout(300)
    there = np.array(server.loop.session.rig.arm.joints.observe()["qpos"])
    assert np.abs(there - here).max() < 0.05
    page.keyboard.press("p")
    until(page, f"{SHOWN}.stopped === 'false' && {SHOWN}.armed === 'true'")
    if how == "watcher":
        other.close()


def test_a_page_that_is_gone_leaves_the_arm_held(
    browser: Any, page: Any, server: TeleopServer
) -> None:
    rig = server.loop.session.rig
    page.keyboard.down("e")
    until(page, f"Number({SHOWN}.steps) > 10")
    page.goto("about:blank")
    wait(lambda: server.loop.held)
    told = rig.control.command.copy()
    time.sleep(0.3)
    np.testing.assert_array_equal(rig.control.command, told)
    assert server.loop.status.stopped == ""  # held, not stopped: who comes back goes on
    page.goto(server.address)
    until(page, f"{SHOWN}.drives === 'true'")
    now = np.array(rig.observation["qpos"])
    page.keyboard.down("e")
    until(page, f"{SHOWN}.phase === 'recording' && {SHOWN}.held === 'false'")
    assert np.abs(rig.observation["qpos"] - now).max() < 0.2  # no jump
    page.keyboard.up("e")
