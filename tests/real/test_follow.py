"""Recording by leader and follower: keys, cadence, no jump, nothing that was kept is lost."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.arm import Observation
from envs.collection import Collection
from envs.episode import episode_files, read_episode
from envs.errors import UsageError
from real.address import PATIENT, ArmAddress, Manner
from real.cadence import measure
from real.calibration import Calibration, JointCalibration
from real.connect import connect_leader
from real.dynamixel_arms import PER_RADIAN
from real.emulators.dynamixel import Emulated
from real.emulators.dynamixel_faults import Fault
from real.emulators.dynamixel_plant import FirstOrderPlant
from real.emulators.dynamixel_wire import Timing, VirtualPort
from real.emulators.twin import ClockTwin
from real.emulators.twin_table import twin_arm
from real.follow import FollowSession, preflight
from real.machine import MachineError
from real.real_arm import RealArm
from real.safe_arm import StoppedError
from real.teleop.album import FAILED, RECORDING, UNDONE
from real.teleop.later import LaterAlbum

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)

COLLECTION = Collection(task="pick_place")


class Hand:
    """A leader that a test moves."""

    def __init__(self) -> None:
        self.at = np.zeros(7)
        self.away = 0.0

    def engage(self, command: np.ndarray) -> None:
        self.at = np.array(command, float)

    def target(self, observation: Observation) -> np.ndarray:
        moved = self.at.copy()
        moved[0] += self.away
        return moved


@pytest.fixture(scope="module")
def arm() -> Iterator[RealArm]:
    with ClockTwin() as twin, twin_arm(twin) as made:
        yield made


def follow(session: FollowSession, periods: int) -> None:
    for _ in range(periods):
        session.tick()


def recorded(session: FollowSession, periods: int, key: str, again: bool = True) -> None:
    """Record so many periods and end them by ``key``; ``again``: go to the start before."""
    if again:
        session.begin()
    follow(session, 1)
    session.press("s")
    follow(session, periods)
    session.press(key)


def test_the_arm_waits_for_its_leader_and_joins_it_without_a_jump(
    arm: RealArm, tmp_path: Path
) -> None:
    said: list[str] = []
    hand = Hand()
    with LaterAlbum(tmp_path, COLLECTION) as album:
        session = FollowSession(arm, hand, album, "anna", said.append)
        session.begin()
        hand.away = 0.4
        follow(session, 3)
        session.press("s")
        assert not session.recording
        assert "Bring the leader to the arm" in said[-1]
        hand.away = 0.05
        follow(session, 1)
        assert session.following
        assert abs(session.command[0] - session.scene.qpos[0]) < 0.02  # what is left fades out


def test_a_session_keeps_redoes_and_takes_back_by_keys(arm: RealArm, tmp_path: Path) -> None:
    said: list[str] = []
    with LaterAlbum(tmp_path, COLLECTION) as album:
        session = FollowSession(arm, Hand(), album, "anna", said.append, sim=True)
        recorded(session, 12, "r")
        recorded(session, 12, "y", again=False)
        recorded(session, 8, "f")
        session.press("y")
        assert "Nothing was recorded yet" in said[-1]
        session.press("u")
        assert any("taken back" in text for text in said[-2:])
        session.press("q")
        assert session.quit
    [kept] = episode_files(tmp_path)
    episode = read_episode(kept)
    assert len(episode) == 12
    assert (episode.meta.operator, episode.meta.success) == ("anna", True)
    np.testing.assert_allclose(np.diff(episode.timestamps), 0.02, atol=2e-3)
    assert len(list((tmp_path / UNDONE).iterdir())) == 1
    report = json.loads((tmp_path / "cadence/episode_0.json").read_text())
    assert report["hz"] == pytest.approx(50, rel=0.02)
    assert report["offset"]["waist"] < 0.2


def test_a_person_at_a_real_arm_is_told_where_things_go(arm: RealArm, tmp_path: Path) -> None:
    said: list[str] = []
    with LaterAlbum(tmp_path, COLLECTION) as album:
        FollowSession(arm, Hand(), album, "anna", said.append, sim=False).begin()
        FollowSession(arm, Hand(), album, "anna", said.append, sim=True).begin()
    places = (
        r"cube: x -?0\.\d{3} m, y -?0\.\d{3} m from the arm's base, turned by -?\d+ deg; target: "
    )
    assert re.search(f"put the red cube .* Set the scene up. {places}", said[0])
    assert not set("{}()[]'") & set(said[0].replace("arm's", "arm"))
    assert "Set the scene up" not in said[1]


def test_data_of_another_rate_is_not_kept_as_a_success(arm: RealArm, tmp_path: Path) -> None:
    with LaterAlbum(tmp_path, COLLECTION) as album:
        session = FollowSession(arm, Hand(), album, "anna")
        session.begin()
        follow(session, 1)
        session.press("s")
        for _ in range(10):
            follow(session, 1)
            for _ in range(1):  # somebody else takes a period of every two
                arm.command(np.array(session.scene.qpos))
                session._seen = arm.observe()
        session.press("y")
        assert not session.takes[0].success
    [path] = (tmp_path / FAILED).glob("*.hdf5")
    meta = read_episode(path).meta
    assert meta.failure == "cadence"
    assert meta.flag.startswith("recorded at 25.")


def test_what_a_kill_left_complete_is_found_with_its_success(arm: RealArm, tmp_path: Path) -> None:
    with LaterAlbum(tmp_path, COLLECTION) as album:
        session = FollowSession(arm, Hand(), album, "anna")
        session.begin()
        follow(session, 1)
        session.press("s")
        follow(session, 5)
        recorder = session._recorder
        assert recorder is not None
        recorder.seal(replace(session._meta, success=True))  # and nobody makes the file
    assert list((tmp_path / RECORDING).glob("*.journal"))
    with LaterAlbum(tmp_path, COLLECTION) as album:
        assert album.successes == (0,)
        assert album.index == 1


def test_a_disk_that_is_too_small_is_told_beforehand(arm: RealArm, tmp_path: Path) -> None:
    assert preflight(tmp_path / "new", arm, 10, 60.0) > 1e6
    with pytest.raises(UsageError, match="GB are free"):
        preflight(tmp_path / "new", arm, 10**9, 3600.0)


@given(
    st.lists(st.floats(0.001, 0.5), min_size=1, max_size=60),
    st.floats(10, 100),
)
def test_a_rate_is_kept_if_and_only_if_its_mean_is_near(periods: list[float], hz: float) -> None:
    times = np.concatenate([[5.0], 5.0 + np.cumsum(periods)])
    found = measure(times.tolist(), hz)
    true = len(periods) / (times[-1] - times[0])
    if abs(true / hz - 1) > 0.051:
        assert not found.kept
    if abs(true / hz - 1) < 0.049:
        assert found.kept
    assert found.lost == int((np.diff(times) > 1.5 / hz).sum())


def test_lost_and_repeated_pictures_are_counted() -> None:
    found = measure([0.0, 0.02, 0.04, 0.06, 0.08], 50, numbers={"wrist": [3, 3, 4, 7, 7]})
    wrist = found.cameras["wrist"]
    assert (wrist.frames, wrist.dropped, wrist.repeated) == (3, 2, 2)
    with pytest.raises(ValueError, match="at least 2 steps"):
        measure([0.0], 50)


def test_a_leader_is_read_without_torque_and_moved_by_hand() -> None:
    chain = Emulated("koch_leader").chain(0.0)
    port = VirtualPort(chain, Timing())
    read = connect_leader(ArmAddress("koch_leader", lambda: port))
    before = read()
    assert not any(servo.get("Torque Enable") for servo in chain.servos)
    assert isinstance(chain.plant, FirstOrderPlant)
    chain.plant.angle[0] += 0.5  # a hand turns the first joint
    port.pass_time(0.1)
    moved = read() - before
    assert moved[0] == pytest.approx(0.5, abs=0.01)
    assert np.abs(moved[1:]).max() < 0.01
    assert not any(servo.get("Torque Enable") for servo in chain.servos)
    with pytest.raises(UsageError, match="koch_leader"):
        connect_leader(ArmAddress("hand", "/dev/nothing"))


def test_a_leader_that_falls_silent_stops_the_arm_and_is_read_again_once_it_answers() -> None:
    chain = Emulated("koch_leader").chain(0.0)
    port = VirtualPort(chain, Timing())
    read = connect_leader(ArmAddress("koch_leader", lambda: port))
    before = read()
    chain.inject(Fault.parse("silence@2"))
    np.testing.assert_allclose(read(), before, atol=1e-3)  # for a moment it only stays
    port.pass_time(1.0)
    with pytest.raises(StoppedError, match=r"the leader's shoulder_lift \(id 2\): no answer"):
        read()
    chain.clear()
    np.testing.assert_allclose(read(), before, atol=1e-3)


def test_a_leader_of_which_a_motor_never_answers_is_refused() -> None:
    chain = Emulated("koch_leader").chain(0.0)
    port = VirtualPort(chain, Timing())
    chain.inject(Fault.parse("unplug@4"))
    with pytest.raises((UsageError, MachineError), match="wrist_flex"):
        connect_leader(ArmAddress("koch_leader", lambda: port))


def test_a_leader_is_read_through_its_own_calibration() -> None:
    chain = Emulated("koch_leader").chain(0.0)
    port = VirtualPort(chain, Timing())
    nominal = connect_leader(ArmAddress("koch_leader", lambda: port))()
    turned = JointCalibration(2048 + 100, 1, -1.0, 1.0)
    own = Calibration("koch_leader", {"shoulder_pan": turned})
    found = connect_leader(ArmAddress("koch_leader", lambda: port, calibration=own))()
    assert found[0] - nominal[0] == pytest.approx(-100 / PER_RADIAN, abs=1e-6)
    np.testing.assert_allclose(found[1:], nominal[1:], atol=1e-6)
    with pytest.raises(UsageError, match="calibration is of koch_leader, not of koch"):
        ArmAddress("koch", "/dev/nothing", calibration=own)


def test_an_action_is_never_waited_for_until_the_watchdog_of_the_motors_bites() -> None:
    for watchdog_s in (0.1, 0.2, 2.0, None):
        for manner in (Manner(), PATIENT):
            assert 0 < manner.patience(watchdog_s) < 0.5 * (watchdog_s or manner.pace.watchdog)


def test_what_only_a_program_can_be_counts_as_emulated() -> None:
    handle, slave = os.openpty()
    try:
        assert ArmAddress("koch", os.ttyname(slave)).emulated
    finally:
        os.close(handle)
        os.close(slave)
    assert ArmAddress("openarm", "239.74.163.2", "udp_multicast").emulated
    assert not ArmAddress("openarm", "can0", "socketcan").emulated
    assert not ArmAddress("koch", "/dev/ttyUSB0").emulated


def test_a_killed_session_loses_no_episode_that_was_kept(tmp_path: Path) -> None:
    words = ["record", "--twin", "--script", "--clock", "own", "--out", str(tmp_path)]
    command = [sys.executable, "-c", _RECORD, *words, "--episodes", "2"]
    kept = 0
    for killed in (True, False):  # the second time it may end
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            for line in program.stdout:
                kept += " kept: " in line
                if killed and kept:
                    program.send_signal(signal.SIGKILL)
                    break
            kept += program.stdout.read().count(" kept: ")
    assert kept == len(episode_files(tmp_path)) == 2
    assert all(read_episode(path).meta.success for path in episode_files(tmp_path))


_RECORD = """
import sys
from unittest.mock import patch
from envs.tasks import TASKS
task = TASKS["pick_place"]
# A task that is done when the hand is where it begins: episodes are short.
with patch.object(type(task), "milestones", lambda self, r: (True,) * 5), \\
        patch.object(type(task), "goal", lambda self, r: True):
    from scripts.main import main
    sys.exit(main(sys.argv[1:]))
"""
