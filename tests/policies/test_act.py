from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from envs.errors import UsageError
from policies.act import ACT, PAPER, ActConfig, Style
from policies.attention import SMALL, Attention, Layer, LayerConfig, sinusoids
from policies.base import PolicySpec
from policies.vision import VisionConfig

TINY = LayerConfig(width=32, heads=4, feedforward=32, dropout=0.0, pre_norm=True)
VISION = VisionConfig(widths=(8, 16), strides=(1, 2), keypoints=4, features=6)
CONFIG = ActConfig(
    chunk=20, execute=10, patch=5, layer=TINY, encoder_layers=1, latent=4, hidden=32, vision=VISION
)
STATE = {"qpos": (3,), "objects/cube": (7,)}
PIXELS = {"qpos": (3,), "images/overhead": (24, 24, 3), "images/wrist": (24, 24, 3)}


def spec(config: ActConfig, observations: dict[str, tuple[int, ...]]) -> PolicySpec:
    track = "pixels" if "images/wrist" in observations else "state"
    steps = (config.n_obs, config.chunk, config.execute)
    return PolicySpec("toy", ("a", "b", "c"), 50.0, "toy", track, observations, *steps)


def make(config: ActConfig = CONFIG, observations: dict[str, tuple[int, ...]] = STATE) -> ACT:
    torch.manual_seed(0)
    return ACT(config, spec(config, observations)).eval()


def observe(model: ACT, rows: int = 4) -> dict[str, Tensor]:
    steps = model.config.n_obs
    shapes = model.spec.observations
    return {k: torch.rand((rows, steps, *v)) for k, v in shapes.items()}


def batch(model: ACT, rows: int = 4) -> dict[str, Tensor]:
    chunk = model.config.chunk
    pad = torch.arange(chunk) >= torch.tensor([[chunk], [chunk // 2], [7], [1]])[:rows]
    return {**observe(model, rows), "action": torch.randn(rows, chunk, 3), "pad": pad}


def loss(model: ACT, data: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    torch.manual_seed(1)
    return model.loss(data)


def test_what_lies_beyond_the_episode_does_not_change_the_loss() -> None:
    model, data = make(), batch(make())
    other = data["action"] + 100 * data["pad"][..., None]
    assert torch.equal(loss(model, data)[0], loss(model, {**data, "action": other})[0])


def test_the_mean_error_is_over_the_actions_of_the_episode_only() -> None:
    model = make()
    data = batch(model)
    with torch.no_grad():
        torch.nn.init.zeros_(model.latent.weight)  # the style has no effect
        error = (model.predict(observe_of(data, model)) - data["action"]).abs().mean(-1)
        _, parts = loss(model, data)
    assert parts["l1"] == pytest.approx(error[~data["pad"]].mean().item(), rel=1e-5)


def observe_of(data: dict[str, Tensor], model: ACT) -> dict[str, Tensor]:
    return {key: data[key] for key in model.spec.observations}


def test_the_divergence_starts_at_zero_and_is_that_of_two_normals() -> None:
    model, data = make(), batch(make())
    assert loss(model, data)[1]["kl"] == 0
    torch.nn.init.normal_(model.style.out.weight)
    mean, log_variance = model.style(data["qpos"][:, -1], data["action"], data["pad"])
    posterior = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(-1).mean()
    total, parts = loss(model, data)
    assert parts["kl"] == pytest.approx(expected.item(), rel=1e-4)
    assert total.item() == pytest.approx(parts["l1"] + 10 * parts["kl"], rel=1e-5)


def test_the_style_is_blind_to_padding() -> None:
    model = make()
    data = batch(model)
    style: Style = model.style
    torch.nn.init.normal_(style.out.weight)
    other = data["action"] + 9 * data["pad"][..., None]
    first, second = (style(data["qpos"][:, -1], a, data["pad"]) for a in (data["action"], other))
    assert torch.allclose(first[0], second[0])


@pytest.mark.parametrize("observations", [STATE, PIXELS])
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, n_obs=2, hidden=0, patch=1),
        replace(CONFIG, maps=True, layer=replace(TINY, pre_norm=False, dropout=0.1)),
    ],
)
def test_every_row_is_decided_by_its_own_observation(
    config: ActConfig, observations: dict[str, tuple[int, ...]]
) -> None:
    model = make(config, observations)
    obs = observe(model)
    together = model.predict(obs)
    assert together.shape == (4, 20, 3)
    assert torch.equal(together, model.predict(obs))
    alone = model.predict({key: value[2:3] for key, value in obs.items()})
    assert torch.allclose(together[2:3], alone, atol=1e-5)
    loss(model, {**obs, "action": torch.zeros(4, 20, 3), "pad": batch(model)["pad"]})[0].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without


def test_it_learns_a_chunk_that_follows_from_the_observation() -> None:
    model = make().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    ramp = torch.linspace(0, 1, 20)[:, None]
    errors = []
    for _ in range(200):
        obs = observe(model, 32)
        cube = obs["objects/cube"][:, :, :3]
        action = obs["qpos"] + (cube - obs["qpos"]) * ramp
        data = {**obs, "action": action, "pad": torch.zeros(32, 20, dtype=torch.bool)}
        with torch.autocast("cpu", torch.bfloat16):
            total, parts = model.loss(data)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        errors.append(parts["l1"])
    assert sum(errors[-20:]) / 20 < 0.25 * errors[0]


def test_attention_leaves_out_what_is_absent() -> None:
    attention = Attention(LayerConfig(width=8, heads=2))
    x = torch.randn(2, 5, 8)
    absent = torch.tensor([[False] * 3 + [True] * 2] * 2)
    changed = torch.where(absent[..., None], 7.0, x)
    assert torch.allclose(attention(x[:, :1], x, absent), attention(x[:, :1], changed, absent))
    assert not torch.allclose(attention(x[:, :1], x), attention(x[:, :1], changed))


def test_attention_equals_the_fused_kernel() -> None:
    attention = Attention(LayerConfig(width=8, heads=2))
    x, memory = torch.randn(3, 4, 8), torch.randn(3, 6, 8)

    def split(y: Tensor) -> Tensor:
        return y.reshape(3, -1, 2, 4).transpose(1, 2)

    key, value = attention.key_value(memory).chunk(2, dim=-1)
    mixed = torch.nn.functional.scaled_dot_product_attention(
        split(attention.query(x)), split(key), split(value)
    )
    expected = attention.out(mixed.transpose(1, 2).reshape(3, 4, 8))
    assert torch.allclose(attention(x, memory), expected, atol=1e-6)


def test_a_decoder_layer_needs_a_memory() -> None:
    with pytest.raises(ValueError, match="must be given a memory"):
        Layer(TINY, cross=True)(torch.zeros(1, 2, 32))


def test_codes_of_positions_differ_and_need_an_even_width() -> None:
    codes = sinusoids(torch.arange(100), 16)
    assert torch.cdist(codes, codes).fill_diagonal_(9).min() > 0.1
    with pytest.raises(ValueError, match="width must be even, got 7"):
        sinusoids(torch.arange(3), 7)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="chunk must be a multiple of patch=10, got 95"):
        ActConfig(chunk=95)
    with pytest.raises(ValueError, match="heads must divide width 256, got 7"):
        replace(SMALL, heads=7)


def test_the_paper_preset_has_the_published_size() -> None:
    shapes = {"qpos": (14,), "images/top": (480, 640, 3)}
    with torch.device("meta"):
        model = ACT(PAPER, spec(PAPER, shapes))
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert (PAPER.chunk, PAPER.layer.width, PAPER.layer.feedforward) == (100, 512, 3200)
    assert millions == pytest.approx(52, abs=2)  # LeRobot's ACT has 51.6 M


@pytest.mark.parametrize(("track", "name"), sorted(ACT.PRESETS))
def test_every_preset_is_whole(track: str, name: str) -> None:
    preset = ACT.PRESETS[track, name]
    config = preset.config
    assert isinstance(config, ActConfig)
    if preset.training.augment is not None:
        assert preset.training.augment.crop == config.vision.crop
    with torch.device("meta"):
        ACT(config, spec(config, PIXELS if track == "pixels" else STATE))
