"""Sessions without a browser: what is recorded, kept, taken back and found again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.examine import examine
from envs.arm import Array, CameraSpec, InitialCondition, Observation
from envs.cartesian import Hand
from envs.collect import collect
from envs.collection import Collection, read_info
from envs.episode import Episode, read_episode
from envs.errors import UsageError
from envs.sim import SimArm
from envs.tasks import TASKS
from real.teleop.album import Album
from real.teleop.rig import ArmRig, Seat, SimRig
from real.teleop.session import RECORDING, Session
from tests.real.person import Person

COLLECTION = Collection("pick_place")
AWAY = Hand(move=(0.5, 0.0, 0.0))


@pytest.fixture(scope="module")
def rig() -> Iterator[SimRig]:
    made = SimRig(COLLECTION)
    yield made
    made.close()


@pytest.fixture
def session(rig: SimRig, tmp_path: Path) -> Iterator[Session]:
    with Album(tmp_path / "data", COLLECTION) as album:
        yield Session(rig, album, "anna")


def move(session: Session, steps: int = 20) -> None:
    session.tick(Hand())
    for _ in range(steps):
        session.tick(AWAY)


def perform(session: Session, rig: SimRig) -> Episode:
    """Let a person do the task once; return what was kept."""
    person, index = Person(rig), session.album.index
    while session.album.index == index:
        hand = person.hand()
        while person.pressed:
            session.press(person.pressed.pop())
        session.tick(hand)
    return read_episode(session.album.out / f"episode_{index}.hdf5")


def test_a_persons_episode_is_kept_like_a_collected_one(
    session: Session, rig: SimRig, tmp_path: Path
) -> None:
    made = perform(session, rig)
    assert made.meta.success
    assert (made.meta.operator, made.meta.index) == ("anna", 0)
    assert made.meta.start == COLLECTION.start(0)
    assert made.actions.dtype == np.float32
    collect(COLLECTION, 1, tmp_path / "other")
    other = read_episode(tmp_path / "other" / "episode_0.hdf5")
    shapes = {key: (v.shape[1:], v.dtype) for key, v in made.observations.items()}
    assert shapes == {key: (v.shape[1:], v.dtype) for key, v in other.observations.items()}
    same = {"task", "instruction", "robot", "joints", "control_hz", "sim", "start", "seed"}
    assert all(getattr(made.meta, name) == getattr(other.meta, name) for name in same)
    assert np.allclose(np.diff(made.timestamps), 0.02)
    assert session.notice.text.startswith("Success: episode 0")


def test_what_was_recorded_replays_to_the_same_observations(session: Session, rig: SimRig) -> None:
    made = perform(session, rig)
    arm = SimArm(TASKS["pick_place"])
    observation = arm.home(made.meta.start)
    for t, action in enumerate(made.actions):
        for key, values in made.observations.items():
            assert np.array_equal(observation[key], values[t]), (key, t)
        observation = arm.command(action)
    assert arm.sim.success[0]


@pytest.mark.parametrize("robot", ["koch", "openarm"])
def test_the_other_arms_can_be_driven_too(robot: str, tmp_path: Path) -> None:
    collection = Collection("pick_place", robot)
    rig = SimRig(collection)
    with Album(tmp_path, collection) as album:
        assert perform(Session(rig, album), rig).meta.success
    rig.close()


def test_pictures_are_recorded_where_asked_for(tmp_path: Path) -> None:
    collection = Collection("pick_place", cameras=(CameraSpec("overhead", 32, 24),))
    rig = SimRig(collection)
    with Album(tmp_path, collection) as album:
        session = Session(rig, album)
        move(session, 3)
        session.press("failure")
    rig.close()
    made = read_episode(tmp_path / "failed" / "episode_0.hdf5")
    assert made.observations["images/overhead"].shape == (3, 24, 32, 3)


def test_nothing_is_recorded_before_the_first_motion_nor_while_nobody_drives(
    session: Session,
) -> None:
    for _ in range(50):
        session.tick(Hand())
        session.tick(None)
    assert session.phase == "ready"
    move(session, 10)
    before = session.rig.observation["qpos"].copy()
    for _ in range(50):
        session.tick(None)
    assert np.array_equal(session.rig.observation["qpos"], before)
    assert (session.phase, session.status().steps) == (RECORDING, 10)
    session.tick(AWAY)
    session.press("failure")
    times = read_episode(session.album.out / "failed" / "episode_0.hdf5").timestamps
    assert np.allclose(times, np.arange(11) / 50)


def test_a_key_still_held_from_the_last_episode_does_not_begin_the_next(session: Session) -> None:
    move(session)
    session.press("failure")
    for _ in range(10):
        session.tick(AWAY)
    assert session.phase == "ready"
    move(session, 1)
    assert session.phase == RECORDING


def test_a_trigger_held_since_the_last_episode_does_not_begin_the_next(session: Session) -> None:
    move(session)
    session.press("failure")
    for _ in range(10):
        session.tick(Hand(opening=0.4))
    assert session.phase == "ready"
    session.tick(Hand(opening=0.2))
    assert session.phase == RECORDING


def test_a_failure_lies_with_the_failures(session: Session) -> None:
    move(session)
    session.press("failure")
    made = read_episode(session.album.out / "failed" / "episode_0.hdf5")
    assert (made.meta.success, made.meta.failure, len(made)) == (False, "other", 20)
    info = read_info(session.album.out)
    assert info is not None
    assert (info.attempts, info.episodes, info.failed) == (1, 0, (0,))


def test_success_is_not_kept_on_a_word_where_the_simulator_sees_none(session: Session) -> None:
    move(session)
    session.press("success")
    assert session.phase == RECORDING
    assert "“reach” is still to come" in session.notice.text
    assert not list(session.album.out.glob("*.hdf5"))


@pytest.mark.parametrize(("key", "same"), [("discard", False), ("reset", True)])
def test_discard_shows_another_scene_and_reset_the_same(
    session: Session, key: str, same: bool
) -> None:
    first = session.rig.observation["objects/cube"].copy()
    move(session)
    session.press(key)
    assert session.phase == "ready"
    assert np.array_equal(session.rig.observation["objects/cube"], first) is same
    assert not list(session.album.out.rglob("*.hdf5*"))


def test_undo_takes_back_one_episode_after_another(session: Session, rig: SimRig) -> None:
    perform(session, rig)
    perform(session, rig)
    move(session)
    session.press("undo")
    assert "End this episode first" in session.notice.text
    session.press("reset")
    session.press("undo")
    session.press("undo")
    session.press("undo")
    assert "no episode of this session left" in session.notice.text
    status = session.status()
    assert (status.saved, status.episode) == (0, 0)
    undone = sorted(p.name for p in (session.album.out / "undone").iterdir())
    assert undone == ["episode_0.hdf5", "episode_1.hdf5"]
    perform(session, rig)
    session.press("undo")
    assert len(list((session.album.out / "undone").iterdir())) == 3
    info = read_info(session.album.out)
    assert info is not None
    assert info.attempts == 0


@pytest.mark.parametrize("key", ["success", "failure"])
def test_an_episode_that_has_not_begun_is_not_kept(session: Session, key: str) -> None:
    session.press(key)
    assert session.notice.text.startswith("Nothing is being recorded yet")


def test_the_time_limit_ends_an_episode(session: Session, rig: SimRig) -> None:
    rig.limit, whole = 30, rig.limit
    try:
        move(session, 31)
    finally:
        rig.limit = whole
    made = read_episode(session.album.out / "failed" / "episode_0.hdf5")
    assert (made.meta.failure, len(made)) == ("timeout", 30)


def test_what_runs_at_the_end_is_kept_as_interrupted(session: Session) -> None:
    move(session)
    session.close()
    made = read_episode(session.album.out / "failed" / "episode_0.hdf5")
    assert (made.meta.success, made.meta.failure) == (False, "interrupted")


def test_what_a_killed_session_recorded_is_found_again(rig: SimRig, tmp_path: Path) -> None:
    with Album(tmp_path, COLLECTION) as album:
        session = Session(rig, album)
        move(session, 12)
        assert session._recorder is not None
        session._recorder._journal.close()  # as a kill does
    with Album(tmp_path, COLLECTION) as album:
        made = read_episode(tmp_path / "failed" / "episode_0.hdf5")
        assert (made.meta.failure, len(made)) == ("interrupted", 12)
        assert (album.failed, album.index) == ((0,), 1)


def test_a_folder_of_other_data_is_refused(tmp_path: Path) -> None:
    collect(COLLECTION, 1, tmp_path / "scripted")
    with (
        pytest.raises(UsageError, match='other settings: operator "clean" \\(now "teleop"\\)'),
        Album(tmp_path / "scripted", COLLECTION),
    ):
        pass
    with Album(tmp_path / "mine", COLLECTION):
        pass
    with (
        pytest.raises(UsageError, match="other settings: seed 0"),
        Album(tmp_path / "mine", replace(COLLECTION, seed=1)),
    ):
        pass


def test_two_sessions_do_not_fill_one_folder(tmp_path: Path) -> None:
    with (
        Album(tmp_path, COLLECTION),
        pytest.raises(UsageError, match="another process is recording into it"),
        Album(tmp_path, COLLECTION),
    ):
        pass


def test_the_folder_can_be_inspected(session: Session, rig: SimRig) -> None:
    perform(session, rig)
    move(session)
    session.press("failure")
    examined = examine(session.album.out)
    assert [e.operator for e in examined.data.episodes] == ["anna"]
    assert json.loads((session.album.out / "dataset.json").read_text())["attempts"] == 2


@pytest.mark.parametrize("limit", [0.0, 5.0, float("inf"), float("nan"), 1e9])
def test_a_limit_that_cannot_be_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="--limit must be 8 s"):
        SimRig(COLLECTION, limit)


class Bench:
    """An arm that is no simulation: it goes where it is told, sees nothing but itself."""

    def __init__(self) -> None:
        self.spec = SimArm(TASKS["pick_place"]).spec
        self.sent: list[Array] = []

    def home(self, start: InitialCondition) -> Observation:
        self.at = np.array(start.qpos, np.float32)
        return self.observe()

    def command(self, target: Array) -> Observation:
        self.at = np.asarray(target, np.float32)
        self.sent.append(self.at)
        return self.observe()

    def observe(self) -> Observation:
        return {"qpos": self.at.copy(), "images/top": np.full((12, 16, 3), 90, np.uint8)}

    def close(self) -> None:
        self.sent.clear()


def test_any_arm_is_driven_and_judged_by_the_person(tmp_path: Path) -> None:
    arm = Bench()
    seat = Seat(0.0, (CameraSpec("top", 16, 12),), (None,))
    rig = ArmRig(arm, COLLECTION, 1000, seat)
    with Album(tmp_path, COLLECTION) as album:
        session = Session(rig, album)
        move(session, 15)
        session.tick(None)
        assert np.array_equal(arm.sent[-1], arm.sent[-2]), "held: the last target again"
        session.press("success")
        assert len(album.successes) == 1
        assert rig.draw(rig.snapshot())[0].startswith(b"\xff\xd8")
    made = read_episode(tmp_path / "episode_0.hdf5")
    assert (made.meta.success, made.meta.sim, len(made)) == (True, False, 15)
    rig.close()
    assert not arm.sent
