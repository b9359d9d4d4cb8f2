"""Hostile and broken files: each refused with its reason, before its data is read."""

import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.episode import inspect_file, read_episode, write_episode
from envs.errors import UsageError
from tests.envs.episodes import aloha, episode

Attack = Callable[[h5py.File, Path], object]


def external_link(file: h5py.File, folder: Path) -> None:
    del file["action"]
    file["action"] = h5py.ExternalLink(str(folder / "secret.h5"), "/action")


def external_storage(file: h5py.File, folder: Path) -> None:
    del file["action"]
    secret = folder / "secret.bin"
    secret.write_bytes(bytes(5 * 14 * 4))
    file.create_dataset("action", (5, 14), "f4", external=[(str(secret), 0, 5 * 14 * 4)])


def virtual(file: h5py.File, folder: Path) -> None:
    del file["action"]
    with h5py.File(folder / "secret.h5", "w") as secret:
        secret["action"] = np.zeros((5, 14), "f4")
    layout = h5py.VirtualLayout((5, 14), "f4")
    layout[:] = h5py.VirtualSource(folder / "secret.h5", "action", (5, 14))
    file.create_virtual_dataset("action", layout)


def terabyte(file: h5py.File, folder: Path) -> None:
    del file["observations/images/cam_high"]
    shape = (5, 262144, 262144, 3)
    file.create_dataset("observations/images/cam_high", shape, "u1", chunks=(1, 64, 64, 3))


def replace_action(data: object, **options: object) -> Attack:
    def attack(file: h5py.File, folder: Path) -> None:
        del file["action"]
        file.create_dataset("action", data=data, **options)

    return attack


def bomb(file: h5py.File, folder: Path) -> None:
    """Zeros of 60 MB in 12 kB, most of them not even stored."""
    shape, frame = (5, 2048, 2048, 3), (1, 2048, 2048, 3)
    options = {"compression": "gzip", "chunks": frame}
    file.create_dataset("observations/images/big", shape, "u1", **options)[0] = 0


def jpeg_garbage(file: h5py.File, folder: Path) -> None:
    del file["observations/images/cam_high"]
    file["observations/images/cam_high"] = np.full((5, 100), 7, np.uint8)


def link_cycle(file: h5py.File, folder: Path) -> None:
    file["observations/again"] = file["/"]
    file["observations/deep"] = h5py.SoftLink("/action")


def nan_actions(file: h5py.File, folder: Path) -> None:
    file["action"][2, 3] = np.nan


def odd_attribute(file: h5py.File, folder: Path) -> None:
    """Lists of integers of any length: h5py can crash on a damaged one."""
    kind = h5py.h5t.vlen_create(h5py.h5t.NATIVE_INT32)
    h5py.h5a.create(file.id, b"task", kind, h5py.h5s.create(h5py.h5s.SCALAR))


ATTACKS: list[tuple[Attack, str]] = [
    (external_link, r"/action: external links are refused"),
    (external_storage, r"/action: external storage is refused"),
    (virtual, r"/action: virtual datasets are refused"),
    (terabyte, r"cam_high: absurd shape"),
    (bomb, r"big: absurd shape"),
    (link_cycle, r"soft .* links are refused"),
    (nan_actions, r"action must be finite .* step 2"),
    (jpeg_garbage, r"cam_high: must hold JPEG"),
    (replace_action(np.zeros((4, 14))), r"qpos: must have shape \(4, 14\), got \(5, 14\)"),
    (replace_action(np.zeros((5, 6))), r"qpos: must have shape"),
    (replace_action(np.zeros((5, 65))), r"qpos: must have shape|absurd"),
    (replace_action(np.zeros((0, 14))), r"action: absurd shape"),
    (replace_action(np.zeros(5)), r"action: must have shape \(any, any\)"),
    (replace_action(["a"] * 5), r"must hold numbers"),
    (replace_action(np.zeros((5, 14), complex)), r"must hold numbers"),
    (lambda f, _: f.pop("action"), r"must have the dataset /action"),
    (lambda f, _: f.pop("observations/qpos"), r"must have the dataset /observations/qpos"),
    (lambda f, _: f.pop("observations"), r"must have the group /observations"),
    (lambda f, _: f.attrs.__setitem__("start", "{"), r"attribute 'start' is broken"),
    (lambda f, _: f.attrs.__setitem__("start", '{"qpos": [NaN]}'), r"attribute 'start' is broken"),
    (
        lambda f, _: f.attrs.__setitem__("task", ["a", "b"]),
        r"'task' must be one number or short text",
    ),
    (odd_attribute, r"'task' must be one number or short text"),
    (lambda f, _: f.attrs.__setitem__("control_hz", 0), r"'control_hz' is broken"),
]


@pytest.mark.parametrize(("attack", "match"), ATTACKS)
def test_a_hostile_file_is_refused_with_the_reason(
    tmp_path: Path, attack: Attack, match: str
) -> None:
    path = tmp_path / "episode_0.hdf5"
    with aloha(path) as file:
        attack(file, tmp_path)
    with pytest.raises(UsageError, match=match) as caught:
        read_episode(path)
    assert str(path) in str(caught.value)


def test_a_terabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with aloha(path) as file:
        terabyte(file, tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError):
        inspect_file(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_what_is_no_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.hdf5").write_bytes(content)
    with pytest.raises(UsageError, match="not a readable HDF5 file"):
        read_episode(tmp_path / "a.hdf5")


def test_a_pipe_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.hdf5")
    for path in (tmp_path / "pipe.hdf5", tmp_path, tmp_path / "none.hdf5"):
        with pytest.raises(UsageError, match="must be a regular file"):
            read_episode(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_truncated_file_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = write_episode(tmp_path_factory.mktemp("t") / "a.hdf5", episode())
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(UsageError):
        read_episode(path)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 20_000), value=st.integers(0, 255))
def test_a_flipped_byte_never_ends_in_another_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    path = write_episode(tmp_path_factory.mktemp("f") / "a.hdf5", episode())
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content)
    with suppress(UsageError):
        read_episode(path)
