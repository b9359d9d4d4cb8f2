"""A checkpoint is whole, unedited and for this arm, or it is refused before the first action."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from toy import N, arm_spec

from envs.errors import UsageError
from policies import checkpoint
from policies.checkpoint import (
    Deployment,
    load_checkpoint,
    load_policy,
    manifest_entry,
)
from policies.checkpoint_files import FILES, PROVENANCE, sha256
from policies.dataset import EpisodeSet
from policies.train import train
from policies.train_config import TrainConfig

HERE = Deployment(arm_spec(), "toy", "state")


@pytest.fixture
def folder(config: TrainConfig) -> Path:
    return train(config)


@pytest.fixture
def other(config: TrainConfig, tmp_path: Path) -> Path:
    """A checkpoint of another seed, split and data, of the same shapes."""
    return train(replace(config, out=tmp_path / "other", seed=7, validation=0.3, steps=5))


def rehash(folder: Path) -> None:
    """Do what a careful forger would: make the provenance fit the files."""
    path = folder / PROVENANCE
    provenance = json.loads(path.read_text())
    hashes = {name: sha256((folder / name).read_bytes()) for name in FILES}
    path.write_text(json.dumps({**provenance, "hashes": hashes}))


def observe(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"qpos": (N,), "objects/cube": (7,)}
    return {key: rng.normal(size=(rows, 1, *s)).astype(np.float32) for key, s in shapes.items()}


def test_a_loaded_policy_acts_as_the_trained_one_in_physical_units(folder: Path):
    policy = load_policy(folder, HERE)
    policy.reset(["go"] * 4, range(4))
    actions = policy.act(observe(4))
    assert actions.shape == (4, 1, N)
    assert actions.dtype == np.float32
    again = load_policy(folder, HERE)
    again.reset(["go"] * 4, range(4))
    np.testing.assert_array_equal(again.act(observe(4)), actions)


def test_it_learnt_where_the_demonstrations_go(config: TrainConfig):
    policy = load_policy(train(replace(config, steps=300)), HERE)
    data = EpisodeSet.load(config.data)
    rows = data.steps(data.train)
    policy.reset(["go"] * len(rows), rows)
    seen = {key: array[rows, None] for key, array in data.observations.items()}
    assert np.abs(policy.act(seen)[:, 0] - data.actions[rows]).mean() < 0.05


@pytest.mark.parametrize("name", [*FILES, PROVENANCE])
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises(UsageError, match=f"{name} cannot be read .* incomplete"):
        load_policy(folder, HERE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"provenance\.json is not JSON"),
        ("[" * 100_000, r"provenance\.json is not JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "must hold hashes, .*; hashes, blind, .*training is missing"),
        ("wrong hashes", r"hashes must be a JSON object, got \[1\]"),
    ],
)
def test_a_provenance_that_is_none_is_named(folder: Path, text: str, message: str):
    path = folder / PROVENANCE
    if text == "wrong hashes":
        text = json.dumps({**json.loads(path.read_text()), "hashes": [1]})
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_policy(folder, HERE)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(folder: Path, name: str):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(UsageError, match=f"{name} is not the file .* truncated"):
        load_policy(folder, HERE)


@pytest.mark.parametrize("name", [name for name in FILES if name != "spec.json"])
def test_a_file_of_another_checkpoint_is_named(folder: Path, other: Path, name: str):
    shutil.copy(other / name, folder / name)
    with pytest.raises(UsageError, match=f"{name} is not the file"):
        load_policy(folder, HERE)


def test_swapped_statistics_are_refused_even_if_the_provenance_was_made_to_fit(
    folder: Path, other: Path
):
    shutil.copy(other / "stats.json", folder / "stats.json")
    rehash(folder)
    with pytest.raises(UsageError, match=r"stats\.json does not belong to the weights"):
        load_policy(folder, HERE)


def test_weights_that_do_not_act_as_when_saved_are_refused_by_the_canary(folder: Path):
    path = folder / "model.safetensors"
    with safe_open(path, "np") as file:
        header = file.metadata()
    weights = load_file(path)
    next(iter(weights.values())).add_(0.5)
    save_file(weights, path, metadata=header)
    rehash(folder)
    with pytest.raises(UsageError, match="does not act as when it was saved"):
        load_policy(folder, HERE)


def test_weights_of_another_shape_are_refused(folder: Path):
    path = folder / "model.safetensors"
    with safe_open(path, "np") as file:
        header = file.metadata()
    weights = {name: tensor[..., :1].contiguous() for name, tensor in load_file(path).items()}
    save_file(weights, path, metadata=header)
    rehash(folder)
    with pytest.raises(UsageError, match=r"model\.safetensors does not fit its config\.json"):
        load_policy(folder, HERE)


def test_an_unknown_key_of_the_config_lists_the_known_ones(folder: Path):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["settings"]["hiden"] = [3]
    with pytest.raises(
        UsageError, match="unknown key 'hiden'; known: n_obs, chunk, execute, actions, hidden"
    ):
        checkpoint.from_json(
            checkpoint.ALGORITHMS["bc"].load().Config, config["settings"], str(path)
        )


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Deployment(arm_spec("koch"), "toy", "state"), "trained for arm 'toy', this is 'koch'"),
        (
            Deployment(replace(arm_spec(), joints=("a", "b", "c")), "toy", "state"),
            "trained for joints",
        ),
        (
            Deployment(replace(arm_spec(), control_hz=30.0), "toy", "state"),
            r"trained for control rate \[Hz\] 50.0, this is 30.0",
        ),
        (Deployment(arm_spec(), "pick_place", "state"), "trained for task 'toy'"),
        (Deployment(arm_spec(), "toy", "pixels"), "trained for track 'state'"),
    ],
)
def test_a_policy_for_something_else_is_refused(folder: Path, where: Deployment, message: str):
    with pytest.raises(UsageError, match=message):
        load_policy(folder, where)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a checkpoint folder"):
        load_policy(tmp_path / "nothing", HERE)


def test_a_wrong_observation_is_named(folder: Path):
    policy = load_policy(folder, HERE)
    policy.reset(["go"] * 2, range(2))
    with pytest.raises(ValueError, match=r"qpos must have shape \(2, 1, 3\), got \(2, 1, 4\)"):
        policy.act({**observe(2), "qpos": np.zeros((2, 1, 4), np.float32)})
    with pytest.raises(ValueError, match=r"objects/cube must have shape .* got nothing"):
        policy.act({"qpos": observe(2)["qpos"]})


def test_the_same_training_is_saved_to_the_same_bytes(config: TrainConfig, tmp_path: Path):
    one, two = (train(replace(config, out=tmp_path / name)) for name in "ab")
    for name in FILES:
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_the_manifest_entry_has_all_that_a_row_of_the_board_needs(folder: Path):
    entry = manifest_entry(load_policy(folder, HERE))
    assert set(entry) == {
        "name", "algorithm", "preset", "seed", "floor", "hashes", "data", "training",
    }  # fmt: skip
    assert set(entry["hashes"]) == {"weights", "config", "stats", "spec"}
    assert json.loads(json.dumps(entry)) == entry
    assert not entry["floor"]


def test_nothing_is_unpickled(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("unpickled")

    monkeypatch.setattr("pickle.load", refuse)
    monkeypatch.setattr("pickle.loads", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert load_checkpoint(folder).name == "bc"
