"""`armtrials teleop` at an arm: the page's views are its cameras, objects are seen by their tags.

Every component is the real one, the browser apart: what a page would send is sent here.
"""

import io
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from envs.episode import read_episode
from tests.real.camera_bench import needs_gl, needs_opencv, needs_realsense
from tests.real.emulated import emulated
from tests.test_layout import ROOT

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
SECONDS = 120.0
STILL = {"type": "hand", "move": [0, 0, 0], "turn": [0, 0, 0]}
UP = {"type": "hand", "move": [0, 0, 1], "turn": [0, 0, 0]}


class Page:
    """What a browser does with the socket: hears all the time, sends at its own pace."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.hello: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.pictures: dict[int, bytes] = {}
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        for message in self.connection:
            if isinstance(message, bytes):
                self.pictures[message[0]] = message[1:]
                continue
            read = json.loads(message)
            if read["type"] == "hello":
                self.hello = read
            elif read["type"] == "state":
                self.state = read

    def until(self, holds: Any, hand: dict[str, Any] | None = None) -> None:
        """Wait until ``holds()``, moving the ``hand`` meanwhile."""
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"waited in vain: {self.state}"
            if hand is not None:
                self.connection.send(json.dumps(hand))
            time.sleep(0.02)

    def press(self, key: str) -> None:
        self.connection.send(json.dumps({"type": "press", "key": key}))


@needs_realsense
@needs_opencv
@needs_gl
def test_a_person_drives_an_arm_by_its_cameras_and_what_has_tags_is_seen(tmp_path: Path) -> None:
    with emulated("--robot", "koch", "--task", "pick_place") as arm:
        words = ["--robot", "koch", "--arm", *arm["port"], *arm["tags"], "--patient"]
        out = ["--out", str(tmp_path), "--operator", "anna", "--port", "0"]
        command = [sys.executable, "-m", "scripts.main", "teleop", *words, *out]
        pipe, closed = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, cwd=ROOT, stdin=closed, stdout=pipe, text=True) as running:
            try:
                port = _port(running)
                with connect(f"ws://localhost:{port}/socket", max_size=None) as connection:
                    _drive(Page(connection))
                running.send_signal(signal.SIGINT)
                rest = running.communicate(timeout=SECONDS)[0]
            finally:
                running.kill()
    assert running.returncode == 0
    assert "0 demonstrations, 2 failures" in rest
    _check(tmp_path)


def _port(running: "subprocess.Popen[str]") -> int:
    """Wait until the page can be opened; return its port."""
    assert running.stdout is not None
    said: list[str] = []
    while not (said and said[-1].startswith("Open ")):
        said.append(running.stdout.readline())
        assert said[-1], said
    assert not any("Nobody sees" in text for text in said)  # the tags do
    return int(said[-1].split()[1].rstrip("/").rpartition(":")[2])


def _drive(page: Page) -> None:
    """Record an episode that fails, then one that is stopped."""
    page.until(lambda: page.hello and page.pictures and page.state)
    assert [view["name"] for view in page.hello["views"]] == ["overhead"]
    assert page.hello["stops"]
    assert not page.hello["judges"]
    shown = np.asarray(Image.open(io.BytesIO(page.pictures[0])))
    assert shown.shape == (480, 640, 3)
    assert shown.std() > 5  # there is something in it
    assert "Set the scene up. cube: x " in page.state["scene"]
    page.until(lambda: page.state["armed"], STILL)
    page.until(lambda: page.state["steps"] > 20, UP)
    page.press("failure")
    page.until(lambda: page.state["failed"] == 1)
    page.until(lambda: page.state["episode"] == 1 and page.state["armed"], STILL)
    page.until(lambda: page.state["steps"] > 5, UP)
    page.connection.send(json.dumps({"type": "stop", "reaction": "hold"}))
    page.until(lambda: "emergency stop of browser" in page.state["stopped"])


def _check(out: Path) -> None:
    """Look at what was kept."""
    first, second = (read_episode(out / "failed" / f"episode_{k}.hdf5") for k in (0, 1))
    for made in (first, second):
        assert (made.meta.operator, made.meta.sim, made.meta.success) == ("anna", True, False)
        assert len(made.meta.calibration_hash) == 64
        assert "images/overhead" not in made.observations  # they were looked through, not recorded
    assert second.meta.failure == "interrupted"
    qpos, cube = first.observations["qpos"], first.observations["objects/cube"]
    assert np.abs(qpos[-1] - qpos[0]).max() > 0.02
    # Nobody has moved it: where the scene began. Its file says where it was to be put.
    begun = first.meta.start
    assert begun is not None
    np.testing.assert_allclose(cube[:, 2], 0.02, atol=5e-3)
    assert np.ptp(cube[:, :2], axis=0).max() < 5e-3
    assert np.abs(cube[0, :3] - np.array(begun.objects["cube"][:3])).max() > 5e-3
    cadence = json.loads((out / "cadence" / "episode_0.json").read_text())
    assert cadence["declared_hz"] == 50
    assert set(cadence["offset"]) == set(first.meta.joints)
