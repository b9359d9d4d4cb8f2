"""`armtrials record` as at an arm: ports, a leader, cameras, keys; the arm and they are emulated.

Every component is the real one: command line, terminal, drivers, safety chain, camera library,
recorder. What is emulated is behind two serial ports and behind librealsense.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from envs.episode import read_episode
from real.emulators.dynamixel_hand import PERIOD_S, SWAY
from tests.real.camera_bench import needs_gl, needs_realsense
from tests.real.emulated import emulated
from tests.test_layout import ROOT

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
SECONDS = 120.0


class Terminal:
    """A command in a terminal of its own: what it says, and keys for it."""

    def __init__(self, *words: str) -> None:
        self._handle, slave = os.openpty()
        os.set_blocking(self._handle, False)
        command = [sys.executable, "-m", "scripts.main", *words]
        self.running = subprocess.Popen(
            command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.said = ""

    def press(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def until(self, *texts: str, key: str = "") -> None:
        """Wait until one of ``texts`` is said, pressing ``key`` again and again."""
        deadline = time.monotonic() + SECONDS
        while not any(text in self.said for text in texts):
            assert time.monotonic() < deadline, f"waited in vain for {texts}: {self.said}"
            assert self.running.poll() is None or self._listen(), self.said
            self._listen()
            if key:
                self.press(key)
            time.sleep(0.1)

    def _listen(self) -> bool:
        try:
            told = os.read(self._handle, 65536).decode(errors="replace")
        except OSError:  # nothing new, or the other end is closed
            return False
        self.said += told.replace("\r", "")
        return True

    def end(self) -> int:
        try:
            return self.running.wait(SECONDS)
        finally:
            self.running.kill()
            self.running.wait()
            os.close(self._handle)


@needs_realsense
@needs_gl
def test_a_person_records_an_arm_that_follows_a_leader_before_two_cameras(tmp_path: Path) -> None:
    with (
        emulated("--robot", "koch", "--task", "pick_place") as arm,
        emulated("--robot", "koch_leader", "--hand") as leader,
    ):
        ports = ["--robot", "koch", "--port", *arm["port"], "--leader", *leader["port"]]
        out = ["--out", str(tmp_path), "--operator", "anna", "--patient"]
        terminal = Terminal("record", *ports, *out, "--pixels", *arm["cameras"])
        try:
            terminal.until("Set the scene up. cube: x")
            terminal.until("Recording.", key="s")  # the leader passes by again and again
            time.sleep(PERIOD_S / 2)  # from one side to the other
            terminal.press("f")
            terminal.until("Episode 0 kept as a failure")
            terminal.press("q")
        finally:
            code = terminal.end()
    assert code == 0
    _check(tmp_path)


def _check(out: Path) -> None:
    """Look at what was kept: arm, leader, cameras, times."""
    episode = read_episode(out / "failed" / "episode_0.hdf5")
    meta = episode.meta
    assert (meta.operator, meta.robot, meta.success, meta.sim) == ("anna", "koch", False, True)
    steps = np.diff(episode.timestamps)
    assert (steps > 0).all()
    assert np.unique(np.round(steps, 7)).size > 1  # measured, not reckoned
    joints = episode.observations["qpos"]
    assert np.ptp(episode.actions[:, 0]) > 0.5 * SWAY
    assert np.ptp(joints[:, 0]) > 0.3 * SWAY  # it follows
    cadence = json.loads((out / "cadence" / "episode_0.json").read_text())
    assert cadence["declared_hz"] == 50
    for camera in ("overhead", "wrist"):
        pictures = episode.observations[f"images/{camera}"]
        assert pictures.shape == (len(episode), 84, 84, 3)
        assert pictures[0].std() > 5  # there is something in it
        told = cadence["cameras"][camera]
        assert told["frames"] + told["repeated"] == len(episode)
        assert told["frames"] > 1
        changed = (np.diff(pictures.astype(int), axis=0) != 0).any(axis=(1, 2, 3))
        assert changed.sum() == told["frames"] - 1  # what counts as new shows something new
