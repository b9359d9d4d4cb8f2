"""Going on with another arm: a policy told in words keeps all but what joins it to the arm."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_contract import acts, observe
from toy import MakeDemos, episode
from toy_presets import around, shrink

from envs.episode import read_episode, write_episode
from envs.errors import UsageError
from envs.robots import ROBOTS
from policies.checkpoint import Deployment, load_checkpoint, load_network, load_policy
from policies.checkpoint_files import FILES
from policies.lora import LoraConfig
from policies.train import train
from policies.train_config import TrainConfig
from policies.trained import inherit
from scripts.main import main

LORA = LoraConfig(rank=4)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Demonstrations of pick_place by two arms, one of seven joints, the other of six."""
    folder = tmp_path_factory.mktemp("arms")
    words = "collect --task pick_place --episodes 2 --workers 1 --robot"
    for robot in ("viperx", "koch"):
        assert main([*words.split(), robot, "--out", str(folder / robot)]) == 0
    return {robot.name: robot for robot in folder.iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("lora", [None, LORA])
@pytest.mark.parametrize("preset", ["quick", "quick-tokens"])
def test_a_base_of_one_arm_is_trained_saved_and_acts_on_another(
    preset: str, lora: LoraConfig | None, arms: dict[str, Path], tmp_path: Path
):
    made = TrainConfig("vla", arms["viperx"], tmp_path / "base", preset=preset, steps=2)
    base = content(train(made))
    on = replace(made, data=arms["koch"], initial=made.out, lora=lora, steps=4)
    one, two = (train(replace(on, out=tmp_path / name)) for name in "ab")
    assert content(made.out) == base
    for file in FILES:
        assert (one / file).read_bytes() == (two / file).read_bytes()
    koch, viperx = (Deployment(ROBOTS[n].spec(), "pick_place", "state") for n in ("koch", "viperx"))
    policy = load_policy(one, koch)
    shown = read_episode(next(arms["koch"].glob("*.hdf5")))
    seen = {key: shown.observations[key][None, :1] for key in policy.spec.observations}
    actions = acts(policy, [seen], [0])[0, 0]
    assert actions.shape == (policy.spec.chunk, 6)
    middle = (shown.actions.max(0) + shown.actions.min(0)) / 2
    assert (np.abs(actions - middle) < 2 * np.ptp(shown.actions, axis=0) + 0.1).all()
    with pytest.raises(UsageError, match="trained for arm 'koch', this is 'viperx'"):
        load_policy(one, viperx)
    with pytest.raises(UsageError, match="trained for arm 'viperx', this is 'koch'"):
        load_policy(made.out, koch)


def test_what_does_not_depend_on_the_arm_is_the_bases(arms: dict[str, Path], tmp_path: Path):
    made = TrainConfig("vla", arms["viperx"], tmp_path / "base", preset="quick", steps=2)
    on = replace(made, data=arms["koch"], initial=train(made), out=tmp_path / "on", steps=1)
    adapted = load_network(train(replace(on, lora=LoraConfig(rank=4, layers=("memory.0",)))))
    before = load_network(made.out)
    old, new = before.algorithm.state_dict(), adapted.algorithm.state_dict()
    resized = {key for key in old if old[key].shape != new[key].shape}
    ends = {"denoiser.token.weight", "denoiser.out.weight", "denoiser.out.bias"}
    assert resized == {"scene.joints.weight", *ends}
    learned = (*before.algorithm.whole, "denoiser.memory.0.weight")
    kept = [key for key in old if not key.startswith(learned)]
    assert len(kept) > 20
    assert all(torch.equal(old[key], new[key]) for key in kept)
    scales, others = adapted.normalizer.stats.keys, before.normalizer.stats.keys
    assert {k for k in scales if scales[k] != others[k]} == {"qpos", "action"}
    fresh = load_network(train(replace(on, initial=None, out=tmp_path / "fresh")))
    assert all(scales[k] == fresh.normalizer.stats.keys[k] for k in ("qpos", "action"))


def other_arm(folder: Path, image: int = 0, **seen: Any) -> Path:
    """Write demonstrations of an arm that lacks the last joint of the toy."""
    for index in range(3):
        whole = episode(index, 20, image)
        observations = whole.observations | {"qpos": whole.observations["qpos"][:, :2]}
        observations = {k: v for k, v in observations.items() if k != "qvel"} | seen
        meta = replace(whole.meta, robot="other", joints=whole.meta.joints[:2])
        changed = replace(whole, observations=observations, actions=whole.actions[:, :2], meta=meta)
        write_episode(folder / f"episode_{index}.hdf5", changed)
    return folder


@pytest.mark.parametrize("lora", [None, LORA])
@pytest.mark.parametrize("algo", ["vla", "pi0", "vlm"])
def test_every_algorithm_that_reads_words_goes_on_from_pictures(
    algo: str, lora: LoraConfig | None, demos: MakeDemos, tmp_path: Path
):
    data = demos(episodes=3, image=16)
    made = TrainConfig(algo, data, tmp_path / "base", "pixels", "quick", steps=1)
    if algo != "vla":
        made = replace(made, weights=str(around(algo)["weights"]))
    other = other_arm(tmp_path / "other", image=16)
    on = replace(made, data=other, initial=train(made), out=tmp_path / "on", lora=lora)
    policy = load_checkpoint(train(on))
    seen = observe(policy, 1, 0)
    seen["images/overhead"] = np.zeros((1, 1, 16, 16, 3), np.uint8)
    actions = acts(policy, [seen], [0])[0]
    assert actions.shape == (1, policy.spec.chunk, 2)
    assert np.isfinite(actions).all()


def test_an_adapter_for_another_arm_can_be_the_base_of_a_third(demos: MakeDemos, tmp_path: Path):
    made = TrainConfig("vla", demos(episodes=3), tmp_path / "base", preset="quick", steps=1)
    other = other_arm(tmp_path / "other")
    first = replace(made, data=other, initial=train(made), out=tmp_path / "first", lora=LORA)
    back = replace(first, data=made.data, initial=train(first), out=tmp_path / "back")
    policy = load_checkpoint(train(back))
    assert policy.spec.arm == "toy"
    assert acts(policy, [observe(policy, 1, 0)], [0]).shape[-1] == 3


@pytest.mark.parametrize("algo", ["bc", "act", "flow"])
def test_an_algorithm_that_reads_no_words_stays_with_its_arm(
    algo: str, demos: MakeDemos, tmp_path: Path
):
    made = TrainConfig(algo, demos(episodes=3), tmp_path / "base", preset="quick", steps=1)
    on = replace(made, data=other_arm(tmp_path / "other"), initial=train(made), out=tmp_path / "on")
    told = "its arm must be other, got toy; only a policy that is told in words"
    with pytest.raises(UsageError, match=told):
        train(on)


def test_another_arm_must_be_seen_by_the_same_cameras(demos: MakeDemos, tmp_path: Path):
    data = demos(episodes=3, image=16)
    made = TrainConfig("vla", data, tmp_path / "base", "pixels", "quick", steps=1)
    more = {"images/wrist": np.zeros((20, 16, 16, 3), np.uint8)}
    other = other_arm(tmp_path / "other", image=16, **more)
    with pytest.raises(UsageError, match=r"its observations must be .*images/wrist"):
        train(replace(made, data=other, initial=train(made), out=tmp_path / "on"))


def test_only_what_joins_a_network_to_an_arm_may_have_another_shape(
    demos: MakeDemos, tmp_path: Path
):
    made = TrainConfig("vla", demos(episodes=3), tmp_path / "base", preset="quick", steps=1)
    own = load_network(train(made)).algorithm
    wide = type(own)(replace(own.config, readouts=own.config.readouts + 1), own.spec)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"denoiser\.memory_position must have shape \(6, 32\)"):
        inherit(wide, own)
