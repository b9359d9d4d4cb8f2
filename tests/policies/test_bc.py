from dataclasses import replace

import pytest
import torch

from policies.base import PolicySpec
from policies.bc import BcConfig, BehaviorCloning


def spec(config: BcConfig, images: bool = False) -> PolicySpec:
    observations = {"qpos": (3,)} | ({"images/top": (16, 16, 3)} if images else {})
    return PolicySpec(
        "toy", ("a", "b", "c"), 50.0, "toy", "pixels" if images else "state", observations,
        config.n_obs, config.chunk, config.execute,
    )  # fmt: skip


@pytest.fixture
def config() -> BcConfig:
    return BcConfig(n_obs=2, chunk=4, execute=2, hidden=(16,))


def batch(rows: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "qpos": torch.rand((rows, 2, 3), generator=generator),
        "action": torch.rand((rows, 4, 3), generator=generator),
        "pad": torch.arange(4) > torch.arange(rows)[:, None],
    }


def test_the_loss_is_the_mean_over_the_steps_inside_the_episode(config: BcConfig):
    algorithm = BehaviorCloning(config, spec(config))
    data = batch()
    loss, _ = algorithm.loss(data)
    error = (algorithm.predict(data) - data["action"]).square()[~data["pad"]].mean()
    torch.testing.assert_close(loss, error)


def test_what_lies_behind_the_end_does_not_matter(config: BcConfig):
    algorithm = BehaviorCloning(config, spec(config))
    data = batch()
    changed = {**data, "action": data["action"].masked_fill(data["pad"][..., None], 9.0)}
    assert algorithm.loss(data)[0] == algorithm.loss(changed)[0]


def test_images_decide_the_action(config: BcConfig):
    algorithm = BehaviorCloning(config, spec(config, images=True)).eval()
    dark = torch.zeros((1, 2, 16, 16, 3), dtype=torch.uint8)
    light = dark.clone()
    light[:, :, 4:9] = 255
    qpos = torch.zeros((1, 2, 3))
    actions = [algorithm.predict({"qpos": qpos, "images/top": image}) for image in (dark, light)]
    assert (actions[0] != actions[1]).any()


@pytest.mark.parametrize("track", ["state", "pixels"])
@pytest.mark.parametrize("name", ["quick", "cpu", "paper"])
def test_every_preset_is_there_and_builds(track: str, name: str):
    preset = BehaviorCloning.PRESETS[track, name]
    small = replace(preset.config, hidden=(8,))
    assert isinstance(small, BcConfig)
    assert BehaviorCloning(small, spec(small, track == "pixels")).noise_shape is None
