"""Marks of an expert in an episode's file."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.episode import Episode, fingerprint, inspect_file, read_episode, write_episode
from envs.errors import UsageError
from envs.marks import Marks
from envs.recorder import Answer, Recorder, read_steps

T, N = 6, 3


def episode(marks: Marks | None = None) -> Episode:
    qpos = np.arange(T * N, dtype=np.float32).reshape(T, N)
    return Episode({"qpos": qpos}, qpos + 1, np.arange(T) / 50, marks=marks)


def marks(asked: list[bool], acted: list[bool]) -> Marks:
    return Marks(np.full((T, N), 0.5, np.float32), np.array(asked), np.array(acted))


@given(st.lists(st.sampled_from([(0, 0), (1, 0), (1, 1)]), min_size=T, max_size=T))
def test_what_is_marked_is_read_back(tmp_path_factory, flags) -> None:
    asked, acted = ([bool(f[k]) for f in flags] for k in (0, 1))
    made = episode(marks(asked, acted))
    path = write_episode(tmp_path_factory.mktemp("marks") / "episode_0.hdf5", made)
    found = read_episode(path)
    assert found.marks is not None
    assert found.marks.asked.tolist() == asked
    assert found.marks.acted.tolist() == acted
    np.testing.assert_array_equal(found.marks.actions, made.marks.actions)
    np.testing.assert_array_equal(found.actions, made.actions)
    assert fingerprint(found) == fingerprint(made)
    assert inspect_file(path).marked


def test_an_episode_without_marks_is_as_before(tmp_path: Path) -> None:
    path = write_episode(tmp_path / "episode_0.hdf5", episode())
    assert read_episode(path).marks is None
    assert not inspect_file(path).marked
    with h5py.File(path) as file:
        assert "expert" not in file


def test_marks_are_part_of_an_episodes_identity() -> None:
    asked, nothing = [True] * T, [False] * T
    made = [None, marks(asked, nothing), marks(asked, asked)]
    assert len({fingerprint(episode(m)) for m in made}) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acted": np.ones(T)}, "it must have been asked"),
        ({"asked": np.ones(T - 1)}, r"marks must be \(T, n\), \(T,\) and \(T,\)"),
        ({"actions": np.full((T, N), np.nan)}, "must be finite"),
    ],
)
def test_marks_that_cannot_be_are_refused(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(marks([False] * T, [False] * T), **change)


def test_a_file_with_broken_marks_is_refused_by_name(tmp_path: Path) -> None:
    path = write_episode(tmp_path / "e_0.hdf5", episode(marks([True] * T, [False] * T)))
    with h5py.File(path, "a") as file:
        del file["expert/acted"]
    with pytest.raises(UsageError, match=r"e_0.hdf5: must have the dataset /expert/acted"):
        read_episode(path)


def test_a_recorder_keeps_what_an_expert_says_also_when_it_is_cut_off(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "episode_0.hdf5")
    for t in range(T):
        action = np.full(N, t, np.float32)
        answer = Answer(action + 1, asked=t > 1, acted=t > 3)
        recorder.append({"qpos": action}, action, t / 50, answer)
    cut = read_steps(tmp_path / "episode_0.hdf5.journal")
    for found in (cut, read_episode(recorder.finish())):
        assert found.marks.asked.tolist() == [False] * 2 + [True] * 4
        assert found.marks.acted.tolist() == [False] * 4 + [True] * 2
        np.testing.assert_array_equal(found.marks.actions[:, 0], np.arange(T) + 1)
