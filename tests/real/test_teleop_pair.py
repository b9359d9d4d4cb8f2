"""The page of teleoperation with two arms: a key, a gamepad's button, two controllers."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.arm import CameraSpec
from envs.collection import Collection
from envs.episode import read_episode
from envs.robots import ROBOTS
from real.teleop.server import TeleopServer
from tests.chromium import MARKS
from tests.real.served import served
from tests.real.test_teleop_browser import GAMEPAD, HEADSET, complaints, until, wait

pytestmark = MARKS
TRANSFER = Collection("transfer")
NAMES = ("view", *ROBOTS["viperx_pair"].spec().cameras)
VIEWS = () if os.environ.get("ARMTRIALS_PAGE_OUT") else [CameraSpec(n, 96, 72) for n in NAMES]
# Two controllers; `hands` says where they are and what is pressed on them.
CONTROLLERS = (
    HEADSET.replace("PHONE", "false")
    + """
window.hands = {left: structuredClone(hand), right: structuredClone(hand)};
const pose = ({position: [x, y, z], orientation: [a, b, c, w]}) =>
  ({transform: {position: {x, y, z}, orientation: {x: a, y: b, z: c, w}}});
navigator.xr.requestSession = async () => {
  const made = window.session = new Session();
  made.inputSources = ["right", "left"].map((handedness) => ({
    handedness, gripSpace: {handedness}, targetRayMode: "tracked-pointer",
    gamepad: { get buttons() {
      return hands[handedness].buttons.map((value) => ({value, pressed: value > 0.5}));
    } },
  }));
  made.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now(), {
    getViewerPose: () => ({transform: transform(), views: [view]}),
    getPose: (space) => pose(hands[space.handedness]),
  }), 11);
  return made;
};
"""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeleopServer]:
    with served(tmp_path_factory.mktemp("pair") / "data", TRANSFER, VIEWS) as running:
        yield running


@pytest.fixture
def page(browser: Any, server: TeleopServer, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the page, with the script that the test brings; nothing may go wrong in it."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    told = complaints(opened)
    if script := getattr(request, "param", ""):
        opened.add_init_script(script)
    wait(lambda: server.driver is None)
    opened.goto(server.address)
    until(opened, "document.body.dataset.drives === 'true'")
    number = server.loop.status.notice.number
    opened.keyboard.press("p")
    shown = "document.body.dataset"
    until(opened, f"Number({shown}.notice) > {number} && {shown}.armed === 'true'")
    yield opened
    opened.close()
    assert [text for text in told if "stall due to ReadPixels" not in text] == []


def tcps(server: TeleopServer) -> np.ndarray:
    """Return both tool centre points (2, 3)."""
    r = server.loop.session.rig.arm.readings  # type: ignore[attr-defined]
    return np.array([r["left_tcp_pos"], r["right_tcp_pos"]])


def driven(page: Any) -> list[str]:
    return list(page.locator(".arms .driven").all_inner_texts())


def test_a_key_changes_the_arm_the_page_shows_which_and_all_joints_are_recorded(
    page: Any, server: TeleopServer
) -> None:
    index = server.loop.session.album.index
    assert driven(page) == ["Left arm"]
    assert page.locator(".view.driven .name").all_inner_texts() == ["left wrist"]
    assert page.locator(".view").count() == 4
    before = tcps(server)
    page.keyboard.down("w")
    wait(lambda: (tcps(server) - before)[0][1] > 0.03)
    page.keyboard.up("w")
    page.keyboard.press(" ")
    wait(lambda: server.loop.session.rig.observation["qpos"][6] < 0.3)
    assert np.abs((tcps(server) - before)[1]).max() < 3e-3
    assert page.locator("#gripper").inner_text() == "Open the left gripper"
    page.keyboard.press("h")
    until(page, "document.body.dataset.hand === 'right'")
    assert driven(page) == ["Right arm"]
    assert page.locator("#gripper").inner_text() == "Close the right gripper"
    before = tcps(server)
    page.keyboard.down("e")
    wait(lambda: (tcps(server) - before)[1][2] > 0.03)
    page.keyboard.up("e")
    assert np.abs((tcps(server) - before)[0]).max() < 0.01
    if folder := os.environ.get("ARMTRIALS_PAGE_OUT"):
        page.wait_for_timeout(4000)
        page.screenshot(path=str(Path(folder) / "teleop_pair.png"), full_page=True)
    page.keyboard.press("n")
    wait(lambda: server.loop.session.album.index > index)
    moved = recorded(server, index)
    assert min(moved[:6].max(), moved[7:13].max()) > 0.05
    assert moved[6] > 0.5
    assert moved[13] < 1e-6


def recorded(server: TeleopServer, index: int) -> np.ndarray:
    """Return how far each joint was moved in the failed episode ``index``: all 14 are in it."""
    folder = server.loop.session.album.out / "failed"
    made = read_episode(next(folder.glob(f"*{index}.hdf5")))
    assert made.actions.shape[1] == made.observations["qpos"].shape[1] == 14
    assert made.meta.joints == ROBOTS["viperx_pair"].spec().joints
    return np.asarray(np.ptp(made.actions, axis=0))


@pytest.mark.parametrize("page", [GAMEPAD], indirect=True)
def test_the_right_bumper_of_a_gamepad_changes_the_arm(page: Any, server: TeleopServer) -> None:
    start = tcps(server)
    page.evaluate("pad.buttons[5].pressed = true")
    until(page, "document.body.dataset.hand === 'right'")
    page.evaluate("pad.buttons[5].pressed = false; pad.axes = [0, 0, 0, -1]")
    wait(lambda: (tcps(server) - start)[1][2] > 0.03)
    page.evaluate("pad.axes = [0, 0, 0, 0]")
    assert np.abs((tcps(server) - start)[0]).max() < 3e-3


@pytest.mark.parametrize("page", [CONTROLLERS], indirect=True)
def test_each_controller_of_a_headset_takes_the_arm_on_its_side_along(
    page: Any, server: TeleopServer
) -> None:
    start = tcps(server)
    page.locator("#xr:enabled").click()
    until(page, "document.getElementById('xr-state').textContent === 'in use'")
    page.evaluate("hands.left.buttons[1] = hands.right.buttons[1] = 1")
    until(page, "document.body.dataset.phase === 'recording'")
    # the left hand 4 cm away from the person, the right one 3 cm up, and it squeezes
    page.evaluate("""hands.left.position = [0, 1, -0.04]; hands.right.position = [0, 1.03, 0];
        hands.right.buttons[0] = 1""")
    goal = np.array([[0.0, 0.04, 0.0], [0.0, 0.0, 0.03]])
    wait(lambda: np.abs(tcps(server) - start - goal).max() < 0.015)
    wait(lambda: server.loop.session.rig.observation["qpos"][13] < 0.2)
    assert server.loop.session.rig.observation["qpos"][6] > 0.7
    assert sorted(driven(page)) == ["Left arm", "Right arm"]
    page.evaluate("hands.left.buttons[5] = 1")  # discards
    until(page, "document.body.dataset.phase === 'ready'")
    page.evaluate("session.end()")
    until(page, "document.getElementById('xr-state').textContent === 'available'")


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_two_arms_fit_every_width_too(browser: Any, server: TeleopServer, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 850}, color_scheme="dark")
    told = complaints(page)
    wait(lambda: server.driver is None)
    page.goto(server.address)
    page.locator(".arms").wait_for()
    page.locator(".view canvas").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get("ARMTRIALS_PAGE_OUT"):
        page.wait_for_timeout(2000)
        page.screenshot(path=str(Path(folder) / f"teleop_pair_{width}.png"))
    page.close()
    wait(lambda: not server.browsers)
    assert told == []
