import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.episode import (
    Episode,
    EpisodeMeta,
    fingerprint,
    inspect_file,
    read_episode,
    write_episode,
)
from envs.errors import UsageError
from tests.envs.episodes import META, aloha, episode


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    before = episode()
    after = read_episode(write_episode(tmp_path / "a.hdf5", before))
    assert after.meta == before.meta
    assert list(after.observations) == list(before.observations)
    assert all(np.array_equal(after.observations[k], v) for k, v in before.observations.items())
    assert np.array_equal(after.actions, before.actions)
    assert fingerprint(after) == fingerprint(before)


@settings(max_examples=20, deadline=None)
@given(
    length=st.integers(1, 30),
    n=st.sampled_from([7, 14]),
    images=st.booleans(),
    seed=st.integers(0, 9),
)
def test_any_episode_survives_the_disk(
    tmp_path_factory: pytest.TempPathFactory, length: int, n: int, images: bool, seed: int
) -> None:
    before = episode(length, n, images, seed)
    path = tmp_path_factory.mktemp("e") / "a.hdf5"
    assert fingerprint(read_episode(write_episode(path, before))) == fingerprint(before)


def test_the_same_episode_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write_episode(tmp_path / name, episode()) for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_the_layout_is_that_of_aloha(tmp_path: Path) -> None:
    with h5py.File(write_episode(tmp_path / "a.hdf5", episode())) as file:
        assert file["observations/qpos"].dtype == np.float32
        assert file["action"].shape == (6, 7)
        assert file["observations/images/wrist"].chunks == (1, 16, 16, 3)
        assert file.attrs["sim"]
        assert not file.attrs["compress"]
        assert json.loads(file.attrs["start"])["seed"] == 7


def test_jpeg_images_come_back_in_rgb(tmp_path: Path) -> None:
    path = write_episode(tmp_path / "a.hdf5", episode(), compress=True)
    with h5py.File(path) as file:
        assert file["compress_len"].shape == (1, 6)
        assert file["observations/images/wrist"].ndim == 2
    frames = read_episode(path).observations["images/wrist"]
    true = episode().observations["images/wrist"]
    assert np.abs(frames.astype(int) - true).mean() < 3
    assert inspect_file(path).shapes["images/wrist"] == (16, 16, 3)


def test_a_fingerprint_sees_every_part() -> None:
    base = episode()
    moved = np.array(base.actions)
    moved[-1, -1] += 1e-3
    others = [
        replace(base, actions=moved),
        replace(base, timestamps=base.timestamps * 1.001),
        replace(base, meta=replace(base.meta, success=False)),
    ]
    assert len({fingerprint(e) for e in [base, *others]}) == 4


def test_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        episode().actions[0] = 0


def test_a_foreign_two_arm_file_is_read(tmp_path: Path) -> None:
    aloha(tmp_path / "a.hdf5").close()
    foreign = read_episode(tmp_path / "a.hdf5")
    assert foreign.actions.shape == (5, 14)
    assert foreign.meta.success is None
    assert not foreign.meta.timed
    assert foreign.timestamps[-1] == pytest.approx(0.08)
    assert foreign.cameras == ("cam_high",)
    assert read_episode(tmp_path / "a.hdf5", cameras=()).cameras == ()


def test_a_header_needs_no_array(tmp_path: Path) -> None:
    header = inspect_file(write_episode(tmp_path / "a.hdf5", episode()))
    assert header.length == 6
    assert header.shapes["qpos"] == (7,)
    assert header.meta == META


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda e: {"actions": e.actions[:-1]}, "one length"),
        (lambda e: {"actions": np.full_like(e.actions, np.nan)}, "action must be finite"),
        (lambda e: {"actions": np.full(e.actions.shape, 1e300)}, "action must be finite"),
        (lambda e: {"actions": e.actions[:, :6]}, "fit"),
        (lambda e: {"timestamps": e.timestamps[::-1]}, "increase"),
        (lambda e: {"observations": {}}, "qpos"),
        (lambda e: {"observations": {**e.observations, "smell": e.actions}}, "unknown observation"),
        (
            lambda e: {"observations": {**e.observations, "objects/x": e.actions[:, :3]}},
            "objects/x",
        ),
        (lambda e: {"observations": {**e.observations, "images/x": e.actions}}, "uint8"),
    ],
)
def test_what_cannot_be_an_episode_is_refused(
    change: Callable[[Episode], dict[str, Any]], match: str
) -> None:
    base = episode()
    with pytest.raises(ValueError, match=match):
        replace(base, **change(base))


def test_metadata_with_an_unknown_key_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown metadata mood; known: task, instruction"):
        EpisodeMeta.from_json({"mood": "good"})
    assert EpisodeMeta.from_json(META.to_json()) == META


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="could not be written"):
        write_episode(tmp_path / "file" / "a.hdf5", episode())
