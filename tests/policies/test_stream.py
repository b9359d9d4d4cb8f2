"""Demonstrations that are made while training: the same bytes as if they had been kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_train import interrupted_at, weights

from envs.arm import CameraSpec
from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet, Reading
from policies.stream import Stream, StreamConfig
from policies.train import train
from policies.train_config import TrainConfig

CLEAN = Collection("pick_place")
VARIED = Collection("pick_place", operator="mixed", recovery=0.3)


@pytest.fixture
def streamed(small: None, tmp_path: Path) -> TrainConfig:
    stream = StreamConfig(VARIED, window=2, refresh=5)
    return TrainConfig(
        "bc", None, tmp_path / "run", preset="quick", steps=14, batch=16, stream=stream
    )


def content(data: EpisodeSet) -> dict[str, bytes]:
    rows = data.steps(data.train)
    arrays = {**data.observations, "action": data.actions}
    return {key: np.asarray(array[rows]).tobytes() for key, array in arrays.items()}


def test_a_stream_holds_what_a_folder_of_demonstrations_would(tmp_path: Path):
    collect(CLEAN, 2, tmp_path)
    kept = EpisodeSet.load(tmp_path, Reading(validation=0.0))
    made = Stream(StreamConfig(CLEAN, window=2), Reading(validation=0.0)).data
    assert content(made) == content(kept)
    assert made.stats() == kept.stats()
    assert made.recorded == kept.recorded


def test_the_oldest_episode_makes_room_for_a_new_one():
    stream = Stream(StreamConfig(CLEAN, window=2, refresh=10), Reading(validation=0.5))
    before, held = content(stream.data), stream.data.actions[stream.data.starts[2]].copy()
    assert [stream.advance(step) for step in (0, 9, 10, 11, 19, 20)] == [
        *(False, False, True, False, False, True)
    ]
    assert content(stream.data) != before
    assert np.array_equal(stream.data.actions[stream.data.starts[2]], held)
    later = Stream(StreamConfig(CLEAN, window=2, refresh=10), Reading(validation=0.5))
    later.advance(20)
    assert content(later.data) == content(stream.data)
    later.advance(10)
    later.advance(0)
    assert content(later.data) == before


def test_a_resumed_stream_gives_bit_identical_weights(streamed: TrainConfig, tmp_path: Path):
    straight = train(replace(streamed, out=tmp_path / "straight"))
    with pytest.raises(KeyboardInterrupt):
        train(streamed, advance=interrupted_at(7))
    train(streamed)
    assert weights(streamed.out) == weights(straight)
    assert not list(tmp_path.rglob("*.hdf5"))


def test_the_checkpoint_says_what_it_learned_from_and_is_not_mixed_up(streamed: TrainConfig):
    data = load_checkpoint(train(streamed)).provenance["data"]
    assert data["episodes"] == 2 + 13 // 5
    assert data["train"] == ["stream 0..3"]
    stated = data["stream"]["collection"]
    assert (stated["operator"], stated["recovery"]) == ("mixed", 0.3)
    assert json.dumps(data)
    other = StreamConfig(VARIED, window=2, refresh=6)
    with pytest.raises(UsageError, match="holds a run with another data"):
        train(replace(streamed, stream=other))


def test_images_can_be_streamed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ARMTRIALS_GL", "ray")
    seen = replace(CLEAN, cameras=(CameraSpec("overhead", 16, 12),))
    reading = Reading("pixels", image_size=(6, 8), validation=0.0)
    data = Stream(StreamConfig(seen, window=2), reading).data
    assert data.observations["images/overhead"].shape[1:] == (6, 8, 3)
    assert data.recorded["images/overhead"] == (12, 16, 3)


@pytest.mark.parametrize(
    ("settings", "match"),
    [({"window": 1}, "window must be at least 2"), ({"refresh": 0}, "refresh must be at least 1")],
)
def test_numbers_that_cannot_be_are_refused(settings: dict[str, int], match: str):
    with pytest.raises(UsageError, match=match):
        StreamConfig(CLEAN, **settings)


def test_a_hopeless_expert_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("envs.tasks.pick_place.PickPlace.horizon", 5)
    with pytest.raises(UsageError, match="the expert failed 20 times at episode 0"):
        Stream(StreamConfig(CLEAN, window=2), Reading())


def test_a_training_has_one_source_of_demonstrations(tmp_path: Path):
    for data, stream in ((None, None), (tmp_path, StreamConfig(CLEAN))):
        with pytest.raises(UsageError, match="one of --data FOLDER and --stream TASK"):
            TrainConfig("bc", data, tmp_path, stream=stream)
