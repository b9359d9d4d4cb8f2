from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.examine import Examination, examine
from benchmarks.quality import arm_columns, findings, measure
from benchmarks.report.data_page import data_page
from envs.collect import collect
from envs.collection import Collection
from envs.episode import Episode, EpisodeMeta, read_episode, write_episode
from envs.errors import UsageError

META = EpisodeMeta(task="stack", success=True, joints=tuple("abcdefg"), control_hz=50.0)


def moving(length: int = 60, seed: int = 0, meta: EpisodeMeta = META) -> Episode:
    """A smooth motion of all joints, with a picture that changes at each step."""
    phase = np.linspace(0, 3, length)[:, None] + np.arange(7) + seed
    frames = np.arange(length)[:, None, None, None] + np.zeros((1, 8, 8, 3))
    observations = {
        "qpos": np.sin(phase),
        "objects/cube": np.tile([0.3 + 0.01 * seed, 0.1, 0.02, 1, 0, 0, 0], (length, 1)),
        "images/wrist": frames.astype(np.uint8),
    }
    return Episode(observations, np.sin(phase + 0.01), np.arange(length) * 0.02, meta)


def said(tmp_path: Path, *episodes: Episode) -> str:
    """The findings on a folder of these episodes, as one text."""
    for i, episode in enumerate(episodes):
        write_episode(tmp_path / f"episode_{i}.hdf5", episode)
    return "\n".join(f.text for f in findings(examine(tmp_path, films=0).data))


def test_a_clean_episode_measures_clean() -> None:
    found = measure("a", moving())
    assert found.rate_hz == pytest.approx(50)
    assert found.jitter_ms == pytest.approx(0, abs=1e-6)
    assert found.duration_s == pytest.approx(1.2)
    assert found.jump == pytest.approx(0.01, abs=1e-3)
    assert found.stale == 0
    assert found.fast is None
    assert found.sparc is not None
    assert found.places == {"cube": (pytest.approx(0.3), pytest.approx(0.1), 0.0)}


def test_grippers_are_no_joints() -> None:
    assert arm_columns(7).tolist() == [0, 1, 2, 3, 4, 5]
    assert arm_columns(14).tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]
    assert arm_columns(5).tolist() == [0, 1, 2, 3]


def test_good_data_get_one_good_finding(tmp_path: Path) -> None:
    text = said(tmp_path, *(moving(60 + i % 3, i) for i in range(20)))
    assert text == "Nothing found that speaks against learning from these 20."


def test_each_defect_is_found(tmp_path: Path) -> None:
    base = moving()
    slow = replace(base, timestamps=np.arange(60) * 0.025)
    uneven = replace(base, timestamps=np.arange(60) * 0.02 + 0.009 * (np.arange(60) % 2))
    jump = replace(base, actions=base.actions + np.float32(0.3))
    frozen = {**base.observations, "images/wrist": np.zeros((60, 8, 8, 3), np.uint8)}
    unknown = replace(base, meta=replace(META, success=None))
    stale = replace(base, observations=frozen)
    text = said(tmp_path, base, slow, uneven, jump, stale, unknown, base)
    assert "Only 7 demonstrations" in text
    assert "1 episode without a recorded outcome" in text
    assert "1 episode more than once" in text
    assert "All episodes start the same" in text
    assert "1 episode at another rate: 40.0 Hz instead of 50." in text
    assert "1 episode with more than 5 ms of jitter" in text
    assert "1 episode with a jump of up to 0.31 rad at first" in text
    assert "1 episode with frames repeated while the arm moves" in text


def test_a_joint_that_stands_still_is_named(tmp_path: Path) -> None:
    still = np.array(moving().actions)
    still[:, 3] = 0.5
    assert "Joint d hardly moves" in said(tmp_path, replace(moving(), actions=still))


def test_commands_beyond_the_speed_limit_are_counted() -> None:
    actions = np.array(moving().actions)
    actions[30:, 0] += 0.5
    found = measure("a", replace(moving(meta=replace(META, robot="viperx")), actions=actions))
    assert found.fast == pytest.approx(1 / 59)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Examination:
    """Three simulated demonstrations, one of them failed, a hostile file and a broken one."""
    folder = tmp_path_factory.mktemp("mixed")
    collect(Collection("pick_place"), 3, folder)
    path = folder / "episode_2.hdf5"
    saved = read_episode(path)
    write_episode(path, replace(saved, meta=replace(saved.meta, success=False, failure="dropped")))
    with h5py.File(folder / "episode_3.hdf5", "w") as file:
        file["action"] = h5py.ExternalLink("/etc/passwd", "/x")
    (folder / "episode_4.hdf5").write_bytes(path.read_bytes()[:3000])
    return examine(folder, films=1)


def test_refused_files_and_left_out_episodes_are_listed_with_reasons(mixed: Examination) -> None:
    data = mixed.data
    assert [e.name for e in data.episodes] == [f"episode_{i}.hdf5" for i in range(3)]
    assert data.excluded == {"episode_2.hdf5": "failed: dropped"}
    assert data.refused["episode_3.hdf5"].startswith("/action: external links are refused")
    assert "not a readable HDF5 file" in data.refused["episode_4.hdf5"]
    assert len(data.used) == 2


def test_the_odd_episode_is_filmed_first_and_all_have_tracks(mixed: Examination) -> None:
    films = [exhibit.footage.film for exhibit in mixed.exhibits]
    assert films[:2] == [None, None]
    assert films[2] is not None
    assert films[2][4:8] == b"ftyp"
    assert all({"hand", "cube", "target"} <= set(e.footage.tracks) for e in mixed.exhibits)


def test_the_page_is_one_file_with_every_episode_and_reason(mixed: Examination) -> None:
    page = data_page(mixed, "<mixed>")
    assert "&lt;mixed&gt;" in page
    assert "external links are refused" in page
    assert "left out: failed: dropped" in page
    assert page.count('class="chip ') == 3
    assert 'id="film-2"' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert data_page(mixed, "<mixed>") == page


def test_recorded_frames_are_the_film(tmp_path: Path) -> None:
    write_episode(tmp_path / "episode_0.hdf5", moving())
    shown = examine(tmp_path).exhibits[0].footage
    assert (shown.kind, shown.film is not None) == ("cameras", True)


def test_a_folder_without_a_usable_episode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds none"):
        examine(tmp_path)
    (tmp_path / "a.hdf5").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"no episode can be used; a.hdf5: is not a readable"):
        examine(tmp_path)


def test_episodes_of_two_arms_are_not_mixed(tmp_path: Path) -> None:
    write_episode(tmp_path / "episode_0.hdf5", moving())
    wide = {"qpos": np.zeros((9, 14)), "qvel": np.zeros((9, 14))}
    write_episode(
        tmp_path / "episode_1.hdf5", Episode(wide, np.zeros((9, 14)), np.arange(9) * 0.02)
    )
    with pytest.raises(UsageError, match="must be of one arm"):
        examine(tmp_path)
