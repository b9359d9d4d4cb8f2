from dataclasses import replace

import pytest
import torch
from torch import Tensor

from envs.errors import UsageError
from policies.attention import LayerConfig
from policies.base import PolicySpec
from policies.diffusion import PAPER, DiffusionConfig, DiffusionPolicy
from policies.transformer import PUBLISHED, MemoryTransformer, TransformerConfig
from policies.unet import UNet, UNetConfig
from policies.vision import VisionConfig

VISION = VisionConfig(widths=(8, 16), strides=(1, 2), keypoints=4, features=6)
LAYER = LayerConfig(width=32, heads=4, feedforward=64, dropout=0.0, pre_norm=True)
CONFIG = DiffusionConfig(
    chunk=16,
    execute=8,
    patch=4,
    condition=(32, 32),
    unet=UNetConfig(channels=(16, 32), groups=4, step=16),
    transformer=TransformerConfig(layers=1, layer=LAYER),
    vision=VISION,
)
MEMORY = TransformerConfig(layers=1, layer=replace(LAYER, causal=True, gelu=True), memory=True)
STATE = {"qpos": (2,), "objects/cube": (7,)}
PIXELS = {"qpos": (2,), "images/overhead": (24, 24, 3), "images/wrist": (24, 24, 3)}


def make(
    config: DiffusionConfig = CONFIG, observations: dict[str, tuple[int, ...]] = STATE
) -> DiffusionPolicy:
    track = "pixels" if "images/wrist" in observations else "state"
    steps = (config.n_obs, config.chunk, config.execute)
    torch.manual_seed(0)
    spec = PolicySpec("toy", ("a", "b"), 50.0, "toy", track, observations, *steps)
    return DiffusionPolicy(config, spec).eval()


def observe(model: DiffusionPolicy, rows: int) -> dict[str, Tensor]:
    shapes = model.spec.observations
    return {k: torch.rand((rows, model.config.n_obs, *v)) for k, v in shapes.items()}


def learn(model: DiffusionPolicy, targets: Tensor, steps: int) -> None:
    """Fit one observation to ``targets`` (B, chunk, n)."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = {k: torch.zeros(len(targets), 1, *v) for k, v in model.spec.observations.items()}
    pad = torch.zeros(targets.shape[:2], dtype=torch.bool)
    for _ in range(steps):
        loss, _ = model.loss({**data, "action": targets, "pad": pad})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


@pytest.mark.parametrize("observations", [STATE, PIXELS])
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, denoiser="transformer"),
        replace(CONFIG, n_obs=2, prediction="epsilon", patch=1, condition=()),
        replace(CONFIG, n_obs=2, denoiser="transformer", condition=(), transformer=MEMORY),
        replace(CONFIG, sampler="dpm", denoise=4),
    ],
)
def test_a_chunk_is_a_function_of_observation_and_noise(
    config: DiffusionConfig, observations: dict[str, tuple[int, ...]]
) -> None:
    model = make(config, observations)
    obs, noise = observe(model, 4), torch.randn(4, *model.noise_shape)
    together = model.predict(obs, noise)
    assert together.shape == (4, 16, 2)
    assert torch.equal(together, model.predict(obs, noise))
    alone = model.predict({k: v[1:2] for k, v in obs.items()}, noise[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    assert not torch.allclose(together, model.predict(obs, torch.randn_like(noise)))


@pytest.mark.parametrize("denoiser", ["unet", "transformer"])
def test_what_lies_beyond_the_episode_is_not_learned(denoiser: str) -> None:
    model = make(replace(CONFIG, denoiser=denoiser))
    obs = observe(model, 8)
    action, pad = torch.randn(8, 16, 2), torch.zeros(8, 16, dtype=torch.bool)
    pad[:, 12:] = True
    torch.manual_seed(1)
    loss, _ = model.loss({**obs, "action": action, "pad": pad})
    loss.backward()
    torch.manual_seed(1)
    noisy = model.training_schedule.add_noise(
        action, torch.randn_like(action), level := torch.randint(100, (8,))
    )
    error = model.denoise(noisy, level, model.observe(obs)) - action
    assert loss.item() == pytest.approx(error[:, :12].square().mean().item(), rel=1e-5)
    assert not [name for name, p in model.named_parameters() if p.grad is None]


@pytest.mark.parametrize("denoiser", ["unet", "transformer"])
def test_it_draws_either_of_two_ways_and_not_their_mean(denoiser: str) -> None:
    model = make(replace(CONFIG, denoiser=denoiser))
    way = torch.ones(1, 16, 2) * 0.7
    learn(model, torch.cat([way, -way] * 16), 250)
    obs = {k: torch.zeros(40, 1, *v) for k, v in STATE.items()}
    drawn = model.predict(obs, torch.randn(40, 16, 2)).mean((1, 2))
    assert ((drawn.abs() - 0.7).abs() < 0.15).float().mean() > 0.9
    assert 4 <= (drawn > 0).sum() <= 36


def test_predicting_the_noise_learns_too() -> None:
    model = make(replace(CONFIG, prediction="epsilon", spacing="leading", denoiser="transformer"))
    goal = torch.linspace(-0.8, 0.8, 16)[None, :, None].expand(32, -1, 2)
    learn(model, goal, 300)
    obs = {k: torch.zeros(8, 1, *v) for k, v in STATE.items()}
    assert (model.predict(obs, torch.randn(8, 16, 2)) - goal[:8]).abs().mean() < 0.15


def test_what_is_drawn_stays_within_the_normalised_range() -> None:
    model = make()
    obs, noise = observe(model, 4), torch.randn(4, 16, 2)
    torch.nn.init.constant_(model.denoiser.out.bias, 5.0)
    assert model.predict(obs, noise).abs().max() <= 1


def test_noise_is_needed() -> None:
    model = make()
    with pytest.raises(ValueError, match="noise must have shape"):
        model.predict(observe(model, 1), None)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown prediction 'x'; known: epsilon, sample"):
        DiffusionConfig(prediction="x")
    with pytest.raises(UsageError, match="unknown denoiser 'mlp'; known: unet, transformer"):
        DiffusionConfig(denoiser="mlp")
    with pytest.raises(UsageError, match="chunk must be a multiple of 16 for patch 8, got 40"):
        DiffusionConfig(chunk=40)
    with pytest.raises(UsageError, match=r"denoise must be in 1\.\.levels=100, got 0"):
        DiffusionConfig(denoise=0)
    with pytest.raises(ValueError, match="kernel must be odd, got 4"):
        UNetConfig(kernel=4)
    with pytest.raises(ValueError, match="groups must divide"):
        UNetConfig(channels=(12, 24))


def test_a_time_step_far_away_is_seen_through_the_levels() -> None:
    torch.manual_seed(0)
    net = UNet(2, 4, UNetConfig(channels=(16, 16, 16), groups=4, step=16)).eval()
    x = torch.zeros(1, 16, 2, requires_grad=True)
    net(x, torch.zeros(1), torch.zeros(1, 4))[0, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[0, -1].abs().sum() > 0


def test_the_paper_preset_has_the_published_size() -> None:
    with torch.device("meta"):
        net = UNet(7, 2 * 21, PAPER.unet)
    millions = sum(p.numel() for p in net.parameters()) / 1e6
    assert (PAPER.n_obs, PAPER.chunk, PAPER.execute, PAPER.levels) == (2, 16, 8, 100)
    assert millions == pytest.approx(65, abs=2)  # LeRobot's has 64 M


@pytest.mark.parametrize(("track", "name"), sorted(DiffusionPolicy.PRESETS))
def test_every_preset_is_whole(track: str, name: str) -> None:
    config, training = DiffusionPolicy.PRESETS[track, name]
    assert isinstance(config, DiffusionConfig)
    assert training.normalization == "minmax"  # what is drawn is clipped to [-1, 1]
    if training.augment is not None:
        assert training.augment.crop == config.vision.crop
    if not name.startswith("paper"):
        make(config, PIXELS if track == "pixels" else STATE)


def test_the_published_transformer_has_the_published_size_and_looks_back_only() -> None:
    torch.manual_seed(0)
    net = MemoryTransformer(7, (2, 21), 16, PUBLISHED).eval()
    millions = sum(p.numel() for p in net.parameters()) / 1e6
    assert millions == pytest.approx(9, abs=0.5)  # Chi et al. name about 9 M
    x = torch.zeros(1, 16, 7, requires_grad=True)
    condition = torch.ones(1, 42, requires_grad=True)
    net(x, torch.zeros(1), condition)[0, 5].sum().backward()
    assert x.grad is not None
    assert condition.grad is not None
    assert x.grad[0, :6].abs().sum(-1).min() > 0
    assert x.grad[0, 6:].abs().max() == 0
    assert condition.grad[0].view(2, 21).abs().sum(-1).min() > 0


def test_a_memory_of_encoded_observations_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a transformer with a memory needs condition=\(\)"):
        replace(CONFIG, denoiser="transformer", transformer=MEMORY)


def test_steps_and_sampler_can_be_changed_after_training() -> None:
    model = make()
    obs, noise = observe(model, 2), torch.randn(2, *model.noise_shape)
    usual = model.predict(obs, noise)
    model.use_steps(3)
    fewer = model.predict(obs, noise)
    model.use_sampler("dpm")
    other = model.predict(obs, noise)
    assert (model.config.denoise, model.config.sampler) == (3, "dpm")
    assert not torch.equal(usual, fewer)
    assert not torch.equal(fewer, other)
    same = make(replace(CONFIG, denoise=3, sampler="dpm"))
    assert torch.equal(same.predict(obs, noise), other)
    with pytest.raises(UsageError, match=r"denoise must be in 1\.\.levels=100, got 101"):
        model.use_steps(101)
    with pytest.raises(UsageError, match="unknown sampler 'euler'; known: ddim, dpm"):
        model.use_sampler("euler")
