"""Checkpoints with wrong statistics: whole folders that act wrongly, and replaced files."""

from pathlib import Path

import numpy as np
import pytest

from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from policies.checkpoint import load_checkpoint
from policies.restat import DAMAGES, OFFSET, damaged, refusal
from policies.train import train
from policies.train_config import TrainConfig


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("restat")
    collect(Collection("pick_place"), 3, folder / "data")
    return train(TrainConfig("bc", folder / "data", folder / "bc", preset="quick", steps=3, keep=2))


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_loads_and_acts_otherwise(policy: Path, kind: str) -> None:
    right, wrong = load_checkpoint(policy), load_checkpoint(damaged(policy, kind))
    rng = np.random.default_rng(0)
    shapes = right.spec.observations
    obs = {
        k: rng.normal(size=(1, right.spec.n_obs, *s)).astype(np.float32) for k, s in shapes.items()
    }
    for each in (right, wrong):
        each.reset([""], [0])
    assert wrong.provenance["damage"] == kind
    assert not np.allclose(right.act(obs), wrong.act(obs), atol=1e-4)
    assert damaged(policy, kind).stat().st_mtime_ns == damaged(policy, kind).stat().st_mtime_ns


def test_an_offset_moves_every_joint_by_as_much(policy: Path) -> None:
    right = load_checkpoint(policy).normalizer.stats.keys
    wrong = load_checkpoint(damaged(policy, "offset")).normalizer.stats.keys
    assert np.allclose(np.subtract(wrong["qpos"].mean, right["qpos"].mean), OFFSET)
    assert wrong["qpos"].std == right["qpos"].std
    assert wrong["objects/cube"] == right["objects/cube"]


@pytest.mark.parametrize("kind", ["offset", "mode"])
def test_statistics_put_into_the_folder_itself_are_refused(policy: Path, kind: str) -> None:
    assert "stats.json" in refusal(policy, kind) or "config.json" in refusal(policy, kind)
    load_checkpoint(policy)


def test_an_unknown_damage_lists_the_known_ones(policy: Path) -> None:
    with pytest.raises(UsageError, match="unknown damage 'rust'; known: degrees, mode, offset"):
        damaged(policy, "rust")


def test_checkpoints_are_kept_on_the_way_and_the_last_is_as_without(
    policy: Path, tmp_path: Path
) -> None:
    kept = load_checkpoint(policy / "steps" / "0000002")
    assert kept.provenance["training"]["steps"] == 2
    plain = train(
        TrainConfig("bc", policy.parent / "data", tmp_path / "bc", preset="quick", steps=3)
    )
    assert (plain / "model.safetensors").read_bytes() == (policy / "model.safetensors").read_bytes()
    assert not (plain / "steps").exists()
