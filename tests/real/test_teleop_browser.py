"""The page of teleoperation in a real browser: keys, gamepad, a headset and a phone."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.cartesian import SLOW, SPEED
from envs.episode import read_episode
from real.teleop.server import TeleopServer
from tests.chromium import MARKS
from tests.real.person import FAST, Person
from tests.real.served import SECONDS, served

pytestmark = MARKS
WAYS = (("w", "s"), ("a", "d"), ("e", "q"))
PRESSED = {"gripper": " ", "success": "Enter", "failure": "n", "reset": "p",
           "discard": "Backspace", "undo": "Control+z"}  # fmt: skip

# A headset (or, with `phone`, a telephone) whose hand is where window.hand says.
HEADSET = """
window.hand = {position: [0, 1, 0], orientation: [0, 0, 0, 1], buttons: [0, 0, 0, 0, 0, 0]};
const point = ([x, y, z]) => ({x, y, z});
const transform = () => ({
  position: point(hand.position),
  orientation: {...point(hand.orientation), w: hand.orientation[3]},
});
const view = {  // straight ahead, 90 degrees wide; matrices by columns
  projectionMatrix: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, -1, 0, 0, -0.2, 0],
  transform: {inverse: {matrix: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]}},
};
window.XRWebGLLayer = class {
  constructor(session, gl) { window.gl = gl; this.framebuffer = null; }
  getViewport() { return {x: 0, y: 0, width: 64, height: 64}; }
};
window.seen = new Uint8Array(4);
class Session extends EventTarget {
  inputSources = PHONE ? [] : [{
    gripSpace: {},
    targetRayMode: "tracked-pointer",
    gamepad: { get buttons() {
      return hand.buttons.map((value) => ({value, pressed: value > 0.5}));
    } },
  }];
  updateRenderState() {}
  async requestReferenceSpace(kind) { return {kind}; }
  requestAnimationFrame(draw) {
    const frame = {
      getViewerPose: () => ({transform: transform(), views: [view]}),
      getPose: () => ({transform: transform()}),
    };
    setTimeout(() => {
      draw(performance.now(), frame);
      if (!seen[3]) window.gl?.readPixels(32, 28, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, seen);
    }, 11);
  }
  async end() { this.dispatchEvent(new Event("end")); }
}
Object.defineProperty(navigator, "xr", {value: {
  isSessionSupported: async (mode) => mode === (PHONE ? "immersive-ar" : "immersive-vr"),
  requestSession: async (mode) => window.session = new Session(),
}});
"""
TOUCH = """(kind) => session.dispatchEvent(
    Object.assign(new Event(kind), {inputSource: {targetRayMode: "screen"}}))"""
GAMEPAD = """
window.pad = {connected: true, id: "Test pad (Vendor: 1)", axes: [0, 0, 0, 0],
  buttons: Array.from({length: 17}, () => ({pressed: false, value: 0}))};
navigator.getGamepads = () => [null, pad];
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeleopServer]:
    with served(tmp_path_factory.mktemp("teleop") / "by_hand") as running:
        yield running


@pytest.fixture
def page(browser: Any, server: TeleopServer, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the page, with the script that the test brings; nothing may go wrong in it."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    told: list[str] = []
    opened.on("console", lambda m: told.append(m.text) if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: told.append(str(error)))
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


def complaints(page: Any) -> list[str]:
    """Return a list that fills with what goes wrong in ``page``."""
    told: list[str] = []
    page.on("console", lambda m: told.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    return told


def wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def until(page: Any, expression: str, given: Any = None) -> None:
    """Wait until it is true (playwright's own way is what the page's policy forbids)."""
    wait(lambda: page.evaluate(expression, given))


def tcp(server: TeleopServer) -> np.ndarray:
    return np.array(server.loop.session.rig.arm.readings["tcp_pos"])  # type: ignore[attr-defined]


def tap(page: Any, server: TeleopServer, way: np.ndarray) -> None:
    """Hold the key of the longest part of ``way`` for about as long as it takes; wait for rest.

    A press has a length of its own, so it does not matter how late the browser hears of it.
    """
    axis = int(np.argmax(np.abs(way)))
    distance = abs(float(way[axis]))
    slow = distance < FAST
    seconds = max(0.04, 0.85 * distance / (SPEED * (SLOW if slow else 1.0)))
    if slow:
        page.keyboard.down("Shift")
    page.keyboard.press(WAYS[axis][0 if way[axis] > 0 else 1], delay=1000 * seconds)
    if slow:
        page.keyboard.up("Shift")
    before = tcp(server) + 1
    while np.abs(before - tcp(server)).max() > 1e-3:
        before = tcp(server)
        page.wait_for_timeout(60)


def test_a_person_does_the_task_with_the_keys_of_the_page(page: Any, server: TeleopServer) -> None:
    album = server.loop.session.album
    index, person = album.index, Person(server.loop.session.rig, close=0.007)  # type: ignore[arg-type]
    while album.index == index:
        hand = person.hand()
        if person.pressed:
            page.keyboard.press(PRESSED[person.pressed.pop()])
        elif hand.still:
            page.wait_for_timeout(20)
        else:
            tap(page, server, person.way)
    until(page, f"document.body.dataset.saved === '{len(album.successes)}'")
    assert page.locator("#notice").inner_text().startswith(f"Success: episode {index}")
    made = read_episode(album.out / f"episode_{index}.hdf5")
    assert made.meta.success
    page.keyboard.press(PRESSED["undo"])
    until(page, f"document.body.dataset.episode === '{index}'")
    until(page, "document.getElementById('notice').textContent.includes('is taken back')")


def test_keys_light_up_and_the_arm_stops_when_the_window_loses_them(
    page: Any, server: TeleopServer
) -> None:
    page.keyboard.down("w")
    until(page, "Number(document.body.dataset.steps) > 5")
    assert page.locator("[data-key=w].down").count() == 1
    assert page.locator("text[data-cross=w].down").count() == 2
    page.evaluate("dispatchEvent(new Event('blur'))")
    until(page, "!document.querySelector('[data-key].down')")
    still = (0.0, 0.0, 0.0)
    wait(lambda: (hand := server.loop.desk.take()[0]) is not None and hand.move == still)


def test_a_keycap_is_pressed_with_a_finger(page: Any, server: TeleopServer) -> None:
    before = tcp(server)
    page.locator("[data-key=e]").hover()
    page.mouse.down()
    until(page, "Number(document.body.dataset.steps) > 15")
    page.mouse.up()
    assert (tcp(server) - before)[2] > 0.02


@pytest.mark.parametrize("key", ["success", "failure", "discard", "reset", "gripper"])
def test_each_key_of_the_episode_does_what_its_button_says(
    page: Any, server: TeleopServer, key: str
) -> None:
    page.keyboard.down("w")
    until(page, "Number(document.body.dataset.steps) > 3")
    page.keyboard.up("w")
    number = server.loop.status.notice.number
    closing = server.loop.status.closing
    page.keyboard.press(PRESSED[key])
    if key == "gripper":
        until(page, f"document.body.dataset.closing === '{str(not closing).lower()}'")
        return
    wait(lambda: server.loop.status.notice.number > number)
    words = {"success": "still to come", "failure": "Kept as a failure", "discard": "another scene",
             "reset": "same scene"}  # fmt: skip
    until(page, f"document.getElementById('notice').textContent.includes('{words[key]}')")


@pytest.mark.parametrize("page", [HEADSET.replace("PHONE", "false")], indirect=True)
def test_the_hand_of_a_headset_takes_the_arm_along(page: Any, server: TeleopServer) -> None:
    rig = server.loop.session.rig
    start, opening = rig.control.point.copy(), float(rig.observation["qpos"][-1])
    page.locator("#xr:enabled").click()
    until(page, "document.getElementById('xr-state').textContent === 'in use'")
    # The view is drawn for the eyes, where the browser has WebGL.
    until(page, "!window.gl || (gl.getError() === 0 && seen[3] === 255)")
    page.evaluate("hand.buttons[1] = 1")  # takes hold
    until(page, "document.body.dataset.phase === 'recording'")
    # 6 cm to the right, 4 cm down and 3 cm towards the person, who faces the arm; turned by .3 rad
    page.evaluate("""hand.position = [0.06, 0.96, 0.03];
        hand.orientation = [0, Math.sin(0.15), 0, Math.cos(0.15)]""")
    goal = start + np.array([0.03, 0.06, -0.04])
    wait(lambda: np.abs(rig.control.point - goal).max() < 2e-3)
    wait(lambda: np.abs(tcp(server) - goal).max() < 0.012)
    page.evaluate("hand.buttons[0] = 0.5")  # half a squeeze
    wait(lambda: abs(rig.observation["qpos"][-1] - 0.5) < 0.1)
    assert opening > 0.7
    page.evaluate("hand.buttons[1] = 0; hand.position = [0.5, 0.5, 0.5]")  # lets go
    page.wait_for_timeout(200)
    assert np.abs(rig.control.point - goal).max() < 0.01
    page.evaluate("hand.buttons[5] = 1")  # discards
    until(page, "document.body.dataset.phase === 'ready'")
    page.evaluate("session.end()")
    until(page, "document.getElementById('xr-state').textContent === 'available'")


@pytest.mark.parametrize("page", [HEADSET.replace("PHONE", "true")], indirect=True)
def test_a_phone_takes_the_arm_along_while_a_finger_is_on_its_screen(
    page: Any, server: TeleopServer
) -> None:
    start = tcp(server)
    page.locator("#xr:enabled").click()
    until(page, "document.getElementById('xr-state').textContent === 'in use'")
    page.locator("#overlay [data-press=gripper]").wait_for(state="visible")
    page.evaluate(TOUCH, "selectstart")
    until(page, "document.body.dataset.phase === 'recording'")
    page.evaluate("hand.position = [-0.05, 1, 0]")
    wait(lambda: np.abs(tcp(server) - start - [0, -0.05, 0]).max() < 0.015)
    page.evaluate(TOUCH, "selectend")
    page.evaluate("hand.position = [3, 1, 0]")
    page.wait_for_timeout(200)
    assert np.abs(tcp(server) - start - [0, -0.05, 0]).max() < 0.015
    page.evaluate("hand.position = [NaN, 1, 0]")
    page.evaluate(TOUCH, "selectstart")
    until(page, "document.getElementById('notice').textContent.includes('refused')")
    wait(lambda: server.loop.held)
    page.evaluate(TOUCH, "selectend")
    page.locator("#xr-end").click()
    assert not page.locator("#overlay").is_visible()


@pytest.mark.parametrize("page", [GAMEPAD], indirect=True)
def test_a_gamepad_moves_the_arm(page: Any, server: TeleopServer) -> None:
    start = tcp(server)
    page.evaluate("pad.axes = [1, 0.05, 0, 0]")  # right, and a drift within the dead zone
    until(page, "Number(document.body.dataset.steps) > 25")
    page.evaluate("pad.axes = [0, 0, 0, 0]")
    way = tcp(server) - start
    assert way[1] > 0.04
    assert abs(way[0]) < 0.02
    assert page.locator("#pad").inner_text() == "connected: Test pad"
    closing = server.loop.status.closing
    page.evaluate("pad.buttons[0].pressed = true")
    wait(lambda: server.loop.status.closing is not closing)


def test_the_views_are_shown_and_change_places(page: Any, server: TeleopServer) -> None:
    drawn = """(canvas) => canvas.getContext('2d').getImageData(9, 9, 1, 1).data[3] === 255"""
    for canvas in page.locator(".view canvas").element_handles():
        until(page, drawn, canvas)
    page.locator(".view", has_text="overhead").click()
    assert page.locator(".view.main .name").inner_text() == "overhead"
    if folder := os.environ.get("ARMTRIALS_PAGE_OUT"):
        page.screenshot(path=str(Path(folder) / "teleop.png"), full_page=True)


def test_the_second_page_watches_until_the_controls_are_free(
    browser: Any, page: Any, server: TeleopServer
) -> None:
    second = browser.new_page()
    second.goto(server.address)
    second.get_by_text("You watch: another browser drives").wait_for()
    assert second.locator(".actions [data-press=discard]").is_disabled()
    page.get_by_text("You drive, 1 watching").wait_for()
    page.goto("about:blank")
    second.get_by_text("take them").click()
    second.get_by_text("You drive").wait_for()
    second.close()


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_no_width_makes_the_page_scroll_sideways(
    browser: Any, server: TeleopServer, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 850}, color_scheme="dark")
    told = complaints(page)
    page.goto(server.address)
    page.locator(".view canvas").first.wait_for()
    page.get_by_text("You drive").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
    wait(lambda: not server.browsers)
    assert told == []


def test_a_server_that_ends_is_told_and_the_arm_is_held(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    with served(tmp_path / "data") as own:
        page.goto(own.address)
        until(page, "document.body.dataset.drives === 'true'")
    page.get_by_text("Connection lost: the arm is held").wait_for()
    page.close()
