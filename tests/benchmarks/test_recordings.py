"""Demonstrations recorded on an arm: what they are of, which are learned from, what is refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.experiment import Ask
from benchmarks.experiment_fit import Fit
from benchmarks.experiments import EXPERIMENTS
from benchmarks.recordings import Recordings, read_recordings
from envs.arm import CameraSpec
from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError
from envs.robots import ROBOTS
from policies.dataset import EpisodeSet

ARM = ROBOTS["viperx"].spec()
META = EpisodeMeta(
    task="pick_place", robot="viperx", success=True, joints=ARM.joints, control_hz=50.0, sim=False
)
OBJECTS = ("objects/cube", "objects/target")
ASKED = EXPERIMENTS["sim2real"].arm


def write(
    folder: Path, number: int, steps: int = 6, seen: tuple[str, ...] = OBJECTS, **meta: Any
) -> Path:
    """Write an episode whose numbers are drawn from its own."""
    rng = np.random.default_rng(number)
    n = len(ARM.joints)
    observations: dict[str, Any] = {
        key: np.zeros((steps, 12, 16, 3), np.uint8)
        if key.startswith("images/")
        else rng.normal(size=(steps, 7))
        for key in seen
    }
    observations["qpos"] = rng.normal(size=(steps, n))
    actions, times = rng.normal(size=(steps, n)), np.arange(steps) / 50
    episode = Episode(observations, actions, times, replace(META, **meta))
    return write_episode(folder / f"episode_{number}.hdf5", episode)


def few(folder: Path, count: int = 3, **how: Any) -> Path:
    for number in range(count):
        write(folder, number, **how)
    return folder


def test_a_folder_says_which_arm_task_and_scene_it_is_of(tmp_path: Path) -> None:
    found = read_recordings(few(tmp_path))
    assert (found.task, found.robot, found.track, found.sim) == (
        "pick_place", "viperx", "state", False,
    )  # fmt: skip
    assert (found.cameras, found.most) == ((), 3)
    told = found.to_json()
    assert (told["episodes"], told["sim"], told["excluded"]) == (3, False, {})


def test_pictures_make_the_pixel_track_with_the_cameras_as_recorded(tmp_path: Path) -> None:
    found = read_recordings(few(tmp_path, 2, seen=("images/overhead", "images/wrist")))
    assert found.track == "pixels"
    assert found.cameras == (CameraSpec("overhead", 16, 12), CameraSpec("wrist", 16, 12))
    ask = Ask("pick_place", real=found, at=("0", "2"))
    fits = [fit for cell in ASKED.grid(ask) for fit in cell.fit.chain()]
    assert {fit.track for fit in fits} == {"pixels"}
    assert {fit.stream.collection.cameras for fit in fits if fit.stream} == {found.cameras}


def test_the_first_in_file_order_that_can_be_learned_from_are_taken(tmp_path: Path) -> None:
    for number in (0, 2, 10, 9, 1):
        write(tmp_path / "all", number)
    write(tmp_path / "all", 3, success=False, failure="dropped")
    write(tmp_path / "all", 4, flag="blurred")
    found = read_recordings(tmp_path / "all")
    assert [path.stem for path, _ in found.marks] == [
        f"episode_{i}" for i in (0, 1, 2, 9, 10)
    ]  # fmt: skip
    assert dict(found.excluded) == {
        "episode_3.hdf5": "failed: dropped", "episode_4.hdf5": "flagged: blurred",
    }  # fmt: skip
    laid = found.lay_out(found.first(4), tmp_path / "root")
    assert sorted(path.stem for path in laid.iterdir()) == [f"episode_{i}" for i in (0, 1, 2, 9)]
    assert EpisodeSet.load(laid).fingerprint == found.first(4).sha256
    assert found.lay_out(found.first(4), tmp_path / "root") == laid
    with pytest.raises(UsageError, match=r"M must be 0..5, .* got 6"):
        found.first(6)


def test_a_training_learns_from_exactly_so_many_though_one_is_odd_among_them(
    tmp_path: Path,
) -> None:
    for number in range(14):  # the first is odd among few, not among all
        write(tmp_path / "all", number, steps=40 if number in (0, 12, 13) else 6)
    found = read_recordings(tmp_path / "all")
    assert found.excluded == ()
    laid = found.lay_out(found.first(11), tmp_path / "root")
    data = EpisodeSet.load(laid)
    assert (len(data), dict(data.excluded)) == (11, {})
    assert not (laid / "episode_0.hdf5").exists()


def test_what_a_policy_is_made_from_is_named_by_content_not_by_place(tmp_path: Path) -> None:
    def fit(folder: Path) -> Fit:
        found = read_recordings(folder)
        return ASKED.grid(Ask(found.task, real=found))[-1].fit

    here, there = fit(few(tmp_path / "a")), fit(few(tmp_path / "b"))
    assert here.folder(tmp_path) == there.folder(tmp_path)
    write(tmp_path / "b", 1, operator="somebody else")
    changed = fit(tmp_path / "b")
    assert changed.folder(tmp_path) != here.folder(tmp_path)
    assert changed.demos.folder(tmp_path) != here.demos.folder(tmp_path)
    assert changed.initial.folder(tmp_path) == here.initial.folder(tmp_path)


Change = Callable[[Path], object]
REFUSED: tuple[tuple[str, Change, str], ...] = (
    ("none", lambda f: None, "must be a folder of episodes, and there is none"),
    ("failed", lambda f: few(f, success=False), "none of its episodes can be learned from"),
    ("tasks", lambda f: write(few(f), 7, task="insertion"),
     "episode_7.hdf5: task must be 'pick_place' as in episode_0.hdf5, got 'insertion'"),
    ("arms", lambda f: write(few(f), 7, robot="koch"), "robot must be 'viperx'"),
    ("worlds", lambda f: write(few(f), 7, sim=True), "sim must be False as in episode_0"),
    ("cameras", lambda f: write(few(f), 7, seen=("images/overhead",)),
     "its cameras and objects must be those of episode_0.hdf5"),
    ("task", lambda f: few(f, task="juggling"),
     "the task 'juggling', which is not simulated; known: .*pick_place"),
    ("arm", lambda f: few(f, robot="crane"), "the arm 'crane', which is not simulated; known: .*"),
    ("unable", lambda f: few(f, robot="viperx_pair"), "cannot do pick_place"),
    ("no protocol", lambda f: few(f, robot="koch"),
     "no session tries pick_place on it: pick_place/v1 is of viperx"),
    ("joints", lambda f: few(f, joints=ARM.joints[::-1]), "joints of viperx must be"),
    ("rate", lambda f: few(f, control_hz=30.0), "control_hz of viperx must be 50.0, got 30.0"),
    ("camera", lambda f: few(f, seen=("images/ceiling",)),
     "camera 'ceiling' of its episodes is not simulated; known: overhead, wrist"),
    ("objects", lambda f: few(f, seen=OBJECTS[:1]),
     r"must hold objects/cube 7, objects/target 7, qpos 7 .* got objects/cube 7, qpos 7"),
)  # fmt: skip


@pytest.mark.parametrize(("make", "told"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_cannot_be_used_is_refused_by_name(make: Change, told: str, tmp_path: Path) -> None:
    make(tmp_path / "data")
    with pytest.raises(UsageError, match=told):
        read_recordings(tmp_path / "data")


@pytest.fixture
def three(tmp_path: Path) -> Recordings:
    return read_recordings(few(tmp_path / "data"))


@pytest.mark.parametrize(("asked", "told"), [
    ({"task": "insertion"}, "the task 'pick_place', got --task 'insertion'; known: pick_place"),
    ({"track": "pixels"}, "the track 'state', got --track 'pixels'; known: state"),
    ({"gap": "hard"}, "--gap is of the twin, --real of an arm: leave out --gap hard"),
    ({"split": "dev"}, "leave out --split dev"),
    ({"at": ("0", "4")}, "M must be 0..3, its episodes that can be learned from, got 4"),
    ({"at": ("all",)}, "sim2real has no cell at 'all'; known: 0, 3"),
])  # fmt: skip
def test_what_contradicts_the_demonstrations_is_refused(
    asked: dict[str, Any], told: str, three: Recordings
) -> None:
    with pytest.raises(UsageError, match=told):
        ASKED.grid(Ask(**{"task": "pick_place", "real": three, **asked}))


@pytest.mark.parametrize(("count", "at", "places", "left"), [
    (3, (), {0, 3}, "left out: M = 10, 25"),
    (12, (), {0, 10}, "left out: M = 25; .* has 12"),
    (12, ("0", "2", "12"), {0, 2, 12}, ""),
    (26, (), {0, 10, 25}, ""),
])  # fmt: skip
def test_the_places_are_those_that_there_are_demonstrations_for(
    count: int, at: tuple[str, ...], places: set[int], left: str, tmp_path: Path
) -> None:
    found = read_recordings(few(tmp_path, count))
    ask = Ask("pick_place", real=found, at=at)
    cells = ASKED.grid(ask)
    assert {cell.x for cell in cells} == places
    assert {cell.protocol for cell in cells} == {"pick_place/v1"}
    assert len({cell.key for cell in cells}) == len(cells) == 2 + 3 * (len(places) - 1)
    assert not [cell.series for cell in cells if "twin" in cell.series]
    said = " ".join(ASKED.conclude(ask, []).said)
    assert re.search(left, said) if left else not said
