"""Diffusion Policy (Chi et al. 2023): a chunk of actions drawn by denoising, given observations.

Training adds noise of a random level to a demonstrated chunk (DDPM, Ho et al. 2020) and asks a
network for the noise (``"epsilon"``, the paper) or for the clean chunk (``"sample"``, which learns
an order of magnitude sooner here and is what the small presets use). Inference walks down a few
levels without drawing new noise (DDIM, Song et al. 2021, eta = 0), so that a chunk is a function of
the observation and of the noise it starts from.

The paper's chunk begins at the oldest observation and its first ``n_obs - 1`` actions, which are
past, are cut off; here it begins at the present.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor
from torch.nn import functional

from policies.augment import AugmentConfig
from policies.base import PolicySpec, Preset, TrainDefaults
from policies.configs import LATER
from policies.denoiser import ChunkDenoiser, DenoiserConfig, choose, mean_error
from policies.samplers import SAMPLERS, Schedule
from policies.transformer import PUBLISHED
from policies.unet import UNetConfig
from policies.vision import RESNET18

PREDICTIONS = ("epsilon", "sample")


@dataclass(frozen=True)
class DiffusionConfig(DenoiserConfig):
    """Settings of the diffusion policy, beside those of the denoising network.

    Attributes:
        prediction: what the network returns, ``"epsilon"`` or ``"sample"``.
        levels: noise levels of the training schedule (squared cosine).
        spacing: which levels are visited at inference: ``"leading"`` or ``"trailing"``, which
            starts at the noisiest, where ``"epsilon"`` says nothing about the chunk.
        sampler: how: ``"ddim"`` or ``"dpm"``.
    """

    prediction: str = "sample"
    levels: int = 100
    spacing: str = "trailing"
    sampler: str = field(default="ddim", metadata=LATER)

    def __post_init__(self) -> None:
        """Refuse unknown choices and more steps than levels."""
        super().__post_init__()
        choose("prediction", self.prediction, PREDICTIONS)
        choose("sampler", self.sampler, tuple(SAMPLERS))
        self.schedule()

    def schedule(self) -> Schedule:
        """Return the noise levels."""
        return Schedule(self.levels, self.prediction, self.denoise, self.spacing)


QUICK = TrainDefaults(steps=1200, batch=64, lr=2e-3, ema_power=0.75, ema_max=0.99)
SEEING = DiffusionConfig(execute=96, draws=4)
"""From pixels the whole chunk is executed, as with ACT."""

EPSILON = DiffusionConfig(prediction="epsilon", spacing="leading", denoise=20)
"""As the small preset but for the noise that is predicted (Ho et al. 2020, the paper's choice)."""

PAPER = DiffusionConfig(
    n_obs=2,
    chunk=16,
    execute=8,
    prediction="epsilon",
    denoise=16,
    spacing="leading",
    patch=1,
    condition=(),
    unet=UNetConfig(channels=(256, 512, 1024), kernel=5, step=256, mish=True),
)
PAPER_TRAINING = TrainDefaults(
    steps=100_000,
    batch=256,
    lr=1e-4,
    warmup=500,
    weight_decay=1e-6,
    betas=(0.95, 0.999),
    clip=0.0,
    ema_power=0.75,
    precision="fp32",
)
PAPER_PIXELS = replace(
    PAPER,
    unet=UNetConfig(channels=(512, 1024, 2048), kernel=5, step=128, mish=True),
    vision=RESNET18,
)
ATTENTIVE = DiffusionConfig(denoiser="transformer")
ATTENTIVE_TRAINING = replace(QUICK, lr=1e-3)
ATTENTIVE_PAPER = replace(PAPER, denoiser="transformer", transformer=PUBLISHED)
ATTENTIVE_PAPER_TRAINING = replace(
    PAPER_TRAINING, warmup=1000, weight_decay=1e-3, betas=(0.9, 0.95)
)


class DiffusionPolicy(ChunkDenoiser):
    """Denoises chunks of actions under the encoded observations."""

    Config: ClassVar = DiffusionConfig
    config: DiffusionConfig

    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(DiffusionConfig(), QUICK),
        ("state", "cpu"): Preset(DiffusionConfig(), replace(QUICK, steps=3000)),
        ("state", "cpu-epsilon"): Preset(EPSILON, replace(QUICK, steps=3000)),
        ("state", "paper"): Preset(PAPER, PAPER_TRAINING),
        ("state", "quick-transformer"): Preset(ATTENTIVE, ATTENTIVE_TRAINING),
        ("state", "cpu-transformer"): Preset(ATTENTIVE, replace(ATTENTIVE_TRAINING, steps=3000)),
        ("state", "paper-transformer"): Preset(ATTENTIVE_PAPER, ATTENTIVE_PAPER_TRAINING),
        ("pixels", "quick"): Preset(SEEING, replace(QUICK, augment=AugmentConfig())),
        ("pixels", "cpu"): Preset(SEEING, replace(QUICK, steps=8000, augment=AugmentConfig())),
        ("pixels", "paper"): Preset(
            PAPER_PIXELS, replace(PAPER_TRAINING, batch=64, augment=AugmentConfig())
        ),
        ("pixels", "quick-transformer"): Preset(
            replace(SEEING, denoiser="transformer"),
            replace(ATTENTIVE_TRAINING, augment=AugmentConfig()),
        ),
        ("pixels", "cpu-transformer"): Preset(
            replace(SEEING, denoiser="transformer"),
            replace(ATTENTIVE_TRAINING, steps=8000, augment=AugmentConfig()),
        ),
        ("pixels", "paper-transformer"): Preset(
            replace(ATTENTIVE_PAPER, vision=RESNET18),
            replace(ATTENTIVE_PAPER_TRAINING, batch=64, augment=AugmentConfig()),
        ),
    }

    def __init__(self, config: DiffusionConfig, spec: PolicySpec) -> None:
        """Build the networks and prepare the noise levels."""
        super().__init__(config, spec)
        self.training_schedule = DDPMScheduler(**config.schedule().training())
        self.sampler = SAMPLERS[config.sampler](config.schedule())

    def use_steps(self, steps: int) -> None:
        """Visit this many levels at inference, instead of ``config.denoise``."""
        self._use(replace(self.config, denoise=steps))

    def use_sampler(self, name: str) -> None:
        """Visit them by ``"ddim"`` or ``"dpm"``, instead of ``config.sampler``."""
        self._use(replace(self.config, sampler=name))

    def _use(self, config: DiffusionConfig) -> None:
        self.config = config
        self.sampler = SAMPLERS[config.sampler](config.schedule())

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the prediction at random levels, padding left out."""
        action, pad, condition = self.drawn(batch)
        noise = torch.randn_like(action)
        level = torch.randint(self.config.levels, (len(action),), device=action.device)
        noisy = self.training_schedule.add_noise(action, noise, level)
        output = self.denoise(noisy, level, condition)
        target = noise if self.config.prediction == "epsilon" else action
        error = functional.mse_loss(output.float(), target, reduction="none")
        return mean_error(error, pad), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Denoise ``noise`` (B, chunk, n)."""
        x, condition = self.given(noise), self.observe(obs)

        def network(x: Tensor, level: int) -> Tensor:
            return self.denoise(x, torch.full((x.shape[0],), level, device=x.device), condition)

        return self.sampler(network, x)
