import errno
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import MakeDemos, episode

from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError
from policies.dataset import EpisodeSet, Reading, split
from policies.windows import Sampler


def test_a_set_holds_the_episodes_as_written(demos: MakeDemos):
    data = EpisodeSet.load(demos(episodes=4), Reading())
    assert data.lengths.tolist() == [20, 21, 22, 23]
    assert sorted(data.observations) == ["objects/cube", "qpos"]
    third = slice(data.starts[2], data.starts[2] + 22)
    np.testing.assert_array_equal(data.actions[third], episode(2, 22).actions)
    expected = episode(2, 22).observations["qpos"]
    np.testing.assert_array_equal(data.observations["qpos"][third], expected)


def test_episodes_stand_in_order_of_their_number(demos: MakeDemos):
    data = EpisodeSet.load(demos(episodes=12))
    assert data.names == tuple(f"episode_{i}.hdf5" for i in range(12))


@given(st.integers(2, 200), st.floats(0.01, 0.9), st.integers(0, 99))
def test_the_split_keeps_every_episode_once_and_holds_some_out(episodes, share, seed):
    train, held = split(episodes, share, seed)
    assert sorted(train + held) == list(range(episodes))
    assert train
    assert held
    assert split(episodes, share, seed) == (train, held)


def test_of_fifty_episodes_six_are_held_out():
    assert len(split(50, 0.12, 0)[1]) == 6


def test_statistics_come_from_the_training_split_alone(demos: MakeDemos):
    folder = demos(episodes=6)
    data = EpisodeSet.load(folder)
    outlier = data.validation[0]
    far = episode(outlier, int(data.lengths[outlier]))
    moved = {k: v + 50 if k == "qpos" else v for k, v in far.observations.items()}
    shifted = Episode(moved, far.actions + 50, far.timestamps, far.meta)
    write_episode(folder / data.names[outlier], shifted)
    again = EpisodeSet.load(folder)
    assert again.actions.max() > 40
    assert again.stats().hash == data.stats().hash
    assert again.fingerprint != data.fingerprint


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 12), st.integers(0, 3), st.integers(0, 19))
def test_a_window_is_the_past_repeated_at_the_start_and_the_chunk_padded_at_the_end(
    n_obs, chunk, which, step
):
    data = _in_memory()
    sampler = Sampler(data, [which], n_obs, chunk)
    window = sampler.windows(np.array([step]))
    first, length = data.starts[which], data.lengths[which]
    for i in range(n_obs):
        past = max(0, step - n_obs + 1 + i)
        np.testing.assert_array_equal(window["qpos"][0, i], data.observations["qpos"][first + past])
    for i in range(chunk):
        ahead = min(step + i, length - 1)
        np.testing.assert_array_equal(window["action"][0, i], data.actions[first + ahead])
        assert window["pad"][0, i] == (step + i > length - 1)


def _in_memory() -> EpisodeSet:
    rng = np.random.default_rng(0)
    lengths = np.array([20, 25, 20, 30])
    return EpisodeSet(
        observations={"qpos": rng.normal(size=(95, 3)).astype(np.float32)},
        actions=rng.normal(size=(95, 3)).astype(np.float32),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        names=("a", "b", "c", "d"),
        train=(0, 1, 2),
        validation=(3,),
        excluded={},
        fingerprint="",
        meta=EpisodeMeta(),
        reading=Reading(),
        recorded={"qpos": (3,)},
    )


def test_a_batch_follows_from_its_seed():
    sampler = Sampler(_in_memory(), [0, 1], 1, 5)
    one = sampler.batch(np.random.default_rng(3), 8)
    same = sampler.batch(np.random.default_rng(3), 8)
    assert all((one[key] == same[key]).all() for key in one)
    assert one["action"].shape == (8, 5, 3)


def test_a_set_over_the_memory_limit_is_mapped_and_gives_the_same_windows(demos: MakeDemos):
    folder = demos(image=8)
    inside = EpisodeSet.load(folder, Reading(track="pixels"))
    mapped = EpisodeSet.load(folder, Reading(track="pixels", memory_limit=1))
    windows = [Sampler(s, s.train, 2, 4).windows(np.arange(9)) for s in (inside, mapped)]
    assert isinstance(mapped.actions.base, np.memmap)
    assert all((windows[0][key] == windows[1][key]).all() for key in windows[0])


def test_pixels_are_joints_and_images_and_blind_leaves_the_images_out(demos: MakeDemos):
    folder = demos(image=16)
    seen = EpisodeSet.load(folder, Reading(track="pixels", image_size=(8, 8)))
    assert seen.observations["images/overhead"].shape[1:] == (8, 8, 3)
    assert seen.observations["images/overhead"].dtype == np.uint8
    assert seen.recorded["images/overhead"] == (16, 16, 3)
    blind = EpisodeSet.load(folder, Reading(track="pixels", blind=True))
    assert list(blind.observations) == ["qpos"]


def test_what_the_filter_leaves_out_is_listed_with_its_reason(demos: MakeDemos):
    folder = demos(episodes=4)
    bad = episode(9, 20)
    meta = EpisodeMeta(**{**bad.meta.__dict__, "success": False, "failure": "dropped"})
    write_episode(
        folder / "episode_9.hdf5", Episode(bad.observations, bad.actions, bad.timestamps, meta)
    )
    data = EpisodeSet.load(folder)
    assert len(data) == 4
    assert dict(data.excluded) == {"episode_9.hdf5": "failed: dropped"}


def test_a_missing_an_empty_and_a_foreign_folder_are_refused(demos: MakeDemos, tmp_path):
    with pytest.raises(UsageError, match="is not a folder of demonstrations"):
        EpisodeSet.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no episode"):
        EpisodeSet.load(tmp_path / "empty")
    (tmp_path / "empty" / "episode_0.hdf5").write_bytes(b"half a file")
    with pytest.raises(UsageError, match=r"episode_0.* move the file away .*armtrials inspect"):
        EpisodeSet.load(tmp_path / "empty")


def test_a_disk_without_room_for_the_mapped_arrays_is_a_clear_error(
    demos: MakeDemos, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UsageError, match=r"has no room for .*No space left .* TMPDIR"):
        EpisodeSet.load(demos("pixels", 2, image=8), Reading(track="pixels", memory_limit=1))


def test_state_demonstrations_are_not_for_the_pixel_track(demos: MakeDemos):
    with pytest.raises(UsageError, match="no images: not for pixels"):
        EpisodeSet.load(demos(), Reading(track="pixels"))


def test_episodes_of_another_arm_do_not_mix(demos: MakeDemos):
    folder = demos(episodes=2)
    other = episode(5, 20)
    meta = EpisodeMeta(**{**other.meta.__dict__, "robot": "koch"})
    write_episode(
        folder / "episode_5.hdf5",
        Episode(other.observations, other.actions, other.timestamps, meta),
    )
    with pytest.raises(UsageError, match="robot must be 'toy' as in the first, got 'koch'"):
        EpisodeSet.load(folder)
