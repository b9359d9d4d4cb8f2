"""Bad data sets: a clear error that names the file, the source untouched, nothing lost."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from converted import folder_of, foreign

from envs.episode import episode_files
from envs.errors import UsageError
from envs.formats import movie
from envs.formats.base import Options
from envs.formats.convert import Conversion, convert, open_source

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.wrist/chunk-000/file-000.mp4"


@pytest.fixture
def lerobot(tmp_path: Path) -> Path:
    convert(Conversion(folder_of(tmp_path / "a"), tmp_path / "l", "lerobot"))
    return tmp_path / "l"


def edit_info(root: Path, **changes: Any) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_table(path: Path, change: Callable[[Any], Any]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def slower(root: Path) -> None:
    """Exchange the video for one of another rate."""
    frames = np.zeros((36, 48, 64, 3), np.uint8)
    movie.encode(root / VIDEO, frames, 25, 20)


def shorter(root: Path) -> None:
    movie.encode(root / VIDEO, np.zeros((30, 48, 64, 3), np.uint8), 50, 20)


def later(table: Any) -> Any:
    at = table.schema.get_field_index("timestamp")
    doubled = pa.array([2 * t for t in table.column("timestamp").to_pylist()], pa.float32())
    return table.set_column(at, table.schema.field(at), doubled)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a truncated table": (lambda r: cut(r / DATA), rf"{DATA}: is no whole parquet file"),
    "a truncated table of episodes": (
        lambda r: cut(r / EPISODES), rf"{EPISODES}: is no whole parquet file",
    ),
    "a truncated video": (lambda r: cut(r / VIDEO), rf"{VIDEO}: is no whole video"),
    "a missing table": (lambda r: (r / DATA).unlink(), rf"{DATA}: is missing"),
    "a missing video": (lambda r: (r / VIDEO).unlink(), rf"{VIDEO}: is missing"),
    "a missing episode": (
        lambda r: edit_table(r / EPISODES, lambda t: t.slice(0, 2)),
        "counts 3 episodes, episode 2 is missing",
    ),
    "missing frames": (
        lambda r: edit_table(r / DATA, lambda t: t.slice(0, 30)),
        "holds 6 frames of episode 2, its row says 12",
    ),
    "frames twice": (
        lambda r: edit_table(r / DATA, lambda t: t.take([*range(35), 0])),
        "frames of episode|holds 13 frames of episode 0",
    ),
    "a missing column": (
        lambda r: edit_table(r / DATA, lambda t: t.drop_columns(["action"])), "of its columns",
    ),
    "another fps than the video's": (slower, "25 frames a second, info.json says 50: the fps is"),
    "another fps than the timestamps'": (
        lambda r: edit_table(r / DATA, later), "not frame / 50: the fps is wrong",
    ),
    "an fps that was edited": (lambda r: edit_info(r, fps=30), "the fps is wrong"),
    "an fps that is none": (lambda r: edit_info(r, fps=0), r"fps must be 1..1000"),
    "a fraction as fps": (lambda r: edit_info(r, fps=29.97), "fps must be a whole number"),
    "a video that is too short": (shorter, "must hold frames 24..35, some are missing"),
    "an older version": (lambda r: edit_info(r, codebase_version="v2.1"), "of version v3.0"),
    "no JSON": (lambda r: (r / "meta/info.json").write_text("{"), r"info.json: is broken"),
    "a path that leads out": (
        lambda r: edit_info(r, data_path="../{chunk_index}/{file_index}"), "must lead into it",
    ),
    "a path that formats without end": (
        lambda r: edit_info(r, data_path="{chunk_index:0999999999d}"), "must lead into it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_lerobot_data_set_is_named_and_left_as_it_is(name: str, lerobot: Path) -> None:
    spoil, told = BAD[name]
    spoil(lerobot)
    before = {p: p.read_bytes() for p in lerobot.rglob("*") if p.is_file()}
    with pytest.raises(UsageError, match=told):
        convert(Conversion(lerobot, lerobot.parent / "b", "aloha"))
    assert not (lerobot.parent / "b").exists()
    assert before == {p: p.read_bytes() for p in lerobot.rglob("*") if p.is_file()}


def test_the_whole_episodes_of_a_cut_data_set_can_be_saved(lerobot: Path) -> None:
    edit_table(lerobot / DATA, lambda table: table.slice(0, 30))
    job = Conversion(lerobot, lerobot.parent / "b", "aloha", Options(), skip_broken=True)
    report = convert(job)
    assert (report.episodes, list(report.broken)) == (2, ["episode 2"])
    assert len(episode_files(job.out)) == 2


def test_a_link_out_of_the_data_set_is_refused(lerobot: Path) -> None:
    outside = lerobot.parent / "secret.parquet"
    (lerobot / DATA).rename(outside)
    (lerobot / DATA).symlink_to(outside)
    with pytest.raises(UsageError, match="leads out of the data set"):
        convert(Conversion(lerobot, lerobot.parent / "b", "aloha"))


def no_demo(file: h5py.File) -> None:
    del file["data/demo_1"]


def filtered(file: h5py.File) -> None:
    del file["data"].attrs["total"]
    del file["data/demo_1"]
    file["mask/train"] = np.array([b"demo_0", b"demo_1"])


def no_actions(file: h5py.File) -> None:
    del file["data/demo_0/actions"]


def other_count(file: h5py.File) -> None:
    file["data/demo_0"].attrs["num_samples"] = 99


def unequal(file: h5py.File) -> None:
    del file["data/demo_0/obs/object"]
    file["data/demo_0/obs/object"] = np.zeros((4, 7))


def outside(file: h5py.File) -> None:
    file["data/demo_0/obs/link"] = h5py.ExternalLink("/etc/passwd", "/")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (no_demo, "counts 11 samples, its demonstrations hold 5: some are missing"),
        (filtered, "demonstrations are missing: /mask/train lists demo_1"),
        (no_actions, "must have the dataset /data/demo_0/actions"),
        (other_count, "states 99 samples, its actions are 5"),
        (unequal, "demo_0: all the input array dimensions"),
        (outside, "external links are refused"),
    ],
)
def test_a_bad_robomimic_file_is_named(
    spoil: Callable[[h5py.File], None], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "f.hdf5"
    foreign(path)
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(UsageError, match=told):
        convert(Conversion(path, tmp_path / "b", "aloha"))
    assert not (tmp_path / "b").exists()


def test_a_robomimic_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    foreign(tmp_path / "f.hdf5")
    cut(tmp_path / "f.hdf5")
    with pytest.raises(UsageError, match=r"f.hdf5: is not a readable HDF5 file"):
        open_source(tmp_path / "f.hdf5")


def test_what_is_no_data_set_is_told_what_it_could_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be a folder of ALOHA episodes"):
        open_source(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        open_source(tmp_path / "none")
    job = Conversion(folder_of(tmp_path / "a", 1), tmp_path / "o", "lerobot")
    with pytest.raises(UsageError, match="unknown images 'gif'; known: h264, lossless, png"):
        convert(replace(job, options=Options("gif")))
    with pytest.raises(UsageError, match="unknown format 'rlds'; known: aloha, lerobot, robomimic"):
        convert(replace(job, to="rlds"))
