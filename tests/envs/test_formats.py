"""Conversions between ALOHA HDF5, LeRobot v3.0 and robomimic: there and back, and bad files."""

import itertools
import json
import resource
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from converted import demonstration, folder_of, foreign, there_and_back

from envs.episode import Episode, episode_files, fingerprint, read_episode
from envs.episode import write_episode as write
from envs.errors import UsageError
from envs.formats.base import Options
from envs.formats.convert import FORMATS, Conversion, convert, open_source

pytest.importorskip("pyarrow")
EXACT = {"lerobot": ("lossless", "png"), "aloha": ("h264",), "robomimic": ("h264",)}


@pytest.mark.parametrize(("one", "two"), list(itertools.permutations(FORMATS, 2)))
def test_every_chain_of_formats_is_exact(one: str, two: str, tmp_path: Path) -> None:
    made = [demonstration(i) for i in range(2)]
    ways = ((one, EXACT[one][0]), (two, EXACT[two][0]))
    assert there_and_back(made, ways, tmp_path) == [fingerprint(episode) for episode in made]


def test_h264_keeps_the_state_exactly_and_pictures_within_its_error(tmp_path: Path) -> None:
    convert(Conversion(folder_of(tmp_path / "a"), tmp_path / "l", "lerobot"))
    convert(Conversion(tmp_path / "l", tmp_path / "b", "aloha"))
    for i, path in enumerate(episode_files(tmp_path / "b")):
        was, now = demonstration(i), read_episode(path)
        assert was.meta == now.meta
        for key in ("qpos", "objects/cube"):
            assert (was.observations[key] == now.observations[key]).all()
        assert (was.actions == now.actions).all()
        a, b = (e.observations["images/wrist"].astype(float) for e in (was, now))
        psnr = 10 * np.log10(255**2 / np.square(a - b).mean())
        assert psnr > 35


def test_lerobots_files_say_where_each_episode_is(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    convert(Conversion(folder_of(tmp_path / "a"), tmp_path / "l", "lerobot"))
    info = json.loads((tmp_path / "l/meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 50, 36)
    assert info["features"]["observation.state"]["shape"] == [7]
    rows = pq.read_table(tmp_path / "l/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(r["dataset_from_index"], r["dataset_to_index"]) for r in rows] == [
        (0, 12), (12, 24), (24, 36),
    ]  # fmt: skip
    camera = "videos/observation.images.wrist"
    assert [r[f"{camera}/from_timestamp"] for r in rows] == [0.0, 0.24, 0.48]
    data = pq.read_table(tmp_path / "l/data/chunk-000/file-000.parquet")
    assert data.column("index").to_pylist() == list(range(36))
    stats = json.loads((tmp_path / "l/meta/stats.json").read_text())
    actions = np.concatenate([demonstration(i).actions for i in range(3)]).astype(np.float64)
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(0), rtol=1e-9)
    np.testing.assert_allclose(stats["action"]["std"], actions.std(0), rtol=1e-9)


def test_tables_and_videos_are_cut_into_files_of_limited_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from envs.formats import lerobot_tables

    monkeypatch.setattr(lerobot_tables, "DATA_MB", 0.012)
    monkeypatch.setattr(lerobot_tables, "VIDEO_MB", 0.001)
    monkeypatch.setattr(lerobot_tables, "CHUNK", 2)
    convert(
        Conversion(folder_of(tmp_path / "a", 5), tmp_path / "l", "lerobot", Options("lossless"))
    )
    videos = sorted((tmp_path / "l/videos").rglob("*.mp4"))
    assert [p.parent.name[-1] + p.stem[-1] for p in videos] == ["00", "01", "10", "11", "20"]
    convert(Conversion(tmp_path / "l", tmp_path / "b", "aloha"))
    back = [fingerprint(read_episode(p)) for p in episode_files(tmp_path / "b")]
    assert back == [fingerprint(demonstration(i)) for i in range(5)]


def test_robomimics_actions_are_within_one_and_undo_to_the_joints_range(tmp_path: Path) -> None:
    from envs.robots import ROBOTS

    convert(Conversion(folder_of(tmp_path / "a", 20), tmp_path / "r.hdf5", "robomimic"))
    spec = ROBOTS["viperx"].spec()
    low, high = np.array(spec.lower), np.array(spec.upper)
    with h5py.File(tmp_path / "r.hdf5") as file:
        demo = file["data/demo_4"]
        assert file["data"].attrs["total"] == 240
        actions = demo["actions"][...]
        wanted = np.clip(demonstration(4).actions, low, high)
        np.testing.assert_allclose(low + (actions + 1) / 2 * (high - low), wanted, atol=1e-6)
        assert np.abs(actions).max() <= 1
        assert (demo["next_obs/qpos"][:-1] == demo["obs/qpos"][1:]).all()
        assert demo["rewards"][-1] == 1
        assert {bytes(n) for n in file["mask/valid"]} == {b"demo_9", b"demo_19"}


def test_a_foreign_robomimic_file_keeps_its_names_and_its_actions(tmp_path: Path) -> None:
    foreign(tmp_path / "f.hdf5")
    report = convert(Conversion(tmp_path / "f.hdf5", tmp_path / "a", "aloha"))
    assert set(report.dropped) == {"dones", "rewards", "states", "model_file", "obs/depth"}
    episode = read_episode(tmp_path / "a/episode_1.hdf5")
    assert episode.meta.control_hz == 20
    assert episode.observations["state"].shape == (6, 10)
    assert not episode.observations["qpos"].any()
    convert(Conversion(tmp_path / "a", tmp_path / "l", "lerobot", Options("lossless")))
    convert(Conversion(tmp_path / "l", tmp_path / "g.hdf5", "robomimic"))
    with h5py.File(tmp_path / "f.hdf5") as one, h5py.File(tmp_path / "g.hdf5") as two:
        assert json.loads(one["data"].attrs["env_args"]) == json.loads(
            two["data"].attrs["env_args"]
        )
        for key in ("actions", "obs/eef_pos", "obs/object", "obs/agentview_image"):
            was = np.asarray(one[f"data/demo_1/{key}"])
            kept = was if was.dtype == np.uint8 else was.astype(np.float32)
            assert (kept == two[f"data/demo_1/{key}"][...]).all(), key


def test_an_interrupted_conversion_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from envs.formats import aloha

    folder_of(tmp_path / "a", 4)
    read, seen = aloha.read_episode, []

    def interrupted(path: Path) -> Episode:
        seen.append(path.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(aloha, "read_episode", interrupted)
    job = Conversion(tmp_path / "a", tmp_path / "l", "lerobot", Options("lossless"))
    with pytest.raises(KeyboardInterrupt):
        convert(job)
    assert not job.out.exists()
    report = convert(job)
    assert (report.episodes, report.kept) == (4, 2)
    assert seen == [f"episode_{i}.hdf5" for i in (0, 1, 2, 2, 3)]
    convert(replace(job, source=job.out, out=tmp_path / "b", to="aloha"))
    back = [fingerprint(read(p)) for p in episode_files(tmp_path / "b")]
    assert back == [fingerprint(demonstration(i)) for i in range(4)]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_another_conversions_pieces_are_never_mixed_in(tmp_path: Path) -> None:
    folder_of(tmp_path / "a")
    (tmp_path / "a/episode_1.hdf5").write_bytes(b"broken")
    job = Conversion(tmp_path / "a", tmp_path / "l", "lerobot")
    with pytest.raises(UsageError, match="episode_1"):
        convert(job)
    with pytest.raises(UsageError, match="unfinished conversion of something else"):
        convert(replace(job, options=Options("png")))


def test_a_broken_episode_stops_or_is_left_out_and_nothing_else_is_lost(tmp_path: Path) -> None:
    folder_of(tmp_path / "a")
    path = tmp_path / "a/episode_1.hdf5"
    path.write_bytes(path.read_bytes()[:-900])
    job = Conversion(tmp_path / "a", tmp_path / "l", "lerobot", Options("png"))
    with pytest.raises(UsageError, match=r"episode_1.hdf5.*--skip-broken leaves this one out"):
        convert(job)
    report = convert(replace(job, skip_broken=True))
    assert report.episodes == 2
    assert list(report.broken) == ["episode_1.hdf5"]
    convert(Conversion(tmp_path / "l", tmp_path / "b", "aloha"))
    back = [fingerprint(read_episode(p)) for p in episode_files(tmp_path / "b")]
    assert back == [fingerprint(demonstration(i)) for i in (0, 2)]


def test_episodes_of_two_kinds_are_refused_with_both_names(tmp_path: Path) -> None:
    folder_of(tmp_path / "a", 1)
    write(tmp_path / "a/episode_1.hdf5", demonstration(1, size=(32, 32)))
    with pytest.raises(UsageError, match=r"episode_1.hdf5 does not fit episode_0.hdf5: obser.*32"):
        convert(Conversion(tmp_path / "a", tmp_path / "l", "lerobot"))


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    folder_of(tmp_path / "a", 1)
    with pytest.raises(UsageError, match="exists already"):
        convert(Conversion(tmp_path / "a", tmp_path / "a", "aloha"))


@pytest.mark.parametrize("to", ["lerobot", "robomimic", "aloha"])
def test_a_full_disk_is_told_and_the_conversion_continues_afterwards(
    to: str, tmp_path: Path
) -> None:
    folder_of(tmp_path / "a", 3)
    out = tmp_path / ("o.hdf5" if to == "robomimic" else "o")
    job = Conversion(tmp_path / "a", out, to, Options("png"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = {"lerobot": 60_000, "robomimic": 400_000, "aloha": 60_000}[to]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        with pytest.raises(UsageError, match=r"the disk is full|could not be written"):
            convert(job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not out.exists()
    assert convert(job).episodes == 3
    assert len(open_source(out).names) == 3
