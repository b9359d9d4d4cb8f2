"""Diffusion Policy (Chi et al. 2023): a chunk of actions drawn by denoising, given observations.

Training adds noise of a random level to a demonstrated chunk (DDPM, Ho et al. 2020) and asks a
network for the noise (``"epsilon"``, the paper) or for the clean chunk (``"sample"``, which learns
an order of magnitude sooner here and is what the small presets use). Inference walks down a few
levels without drawing new noise (DDIM, Song et al. 2021, eta = 0), so that a chunk is a function of
the observation and of the noise it starts from.

The paper's chunk begins at the oldest observation and its first ``n_obs - 1`` actions, which are
past, are cut off; here it begins at the present.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import UsageError
from policies.base import Algorithm, AlgorithmConfig, PolicySpec, Preset, TrainDefaults, flat
from policies.unet import TRANSFORMER, UNET, Transformer, TransformerConfig, UNet, UNetConfig
from policies.vision import KEYPOINTS, RESNET18, AugmentConfig, ImageEncoder, VisionConfig

PREDICTIONS = ("epsilon", "sample")
DENOISERS = ("unet", "transformer")


@dataclass(frozen=True)
class DiffusionConfig(AlgorithmConfig):
    """Settings of the diffusion policy.

    Attributes:
        denoiser: ``"unet"`` or ``"transformer"``.
        prediction: what the network returns, ``"epsilon"`` or ``"sample"``.
        levels: noise levels of the training schedule (squared cosine).
        draws: noised copies of each chunk in a training step: what the image encoder, most of the
            work, has seen once is denoised from several levels.
        denoise: DDIM steps at inference.
        spacing: which levels those are: ``"leading"`` or ``"trailing"``, which starts at the
            noisiest, where ``"epsilon"`` says nothing about the chunk.
        patch: consecutive actions that form one time step of the network.
        condition: hidden and output sizes of the network that encodes the observations;
            empty: they condition the denoiser as they are (the paper).
        unet: shape of the U-Net.
        transformer: shape of the transformer.
        vision: image encoder of the pixel track.
    """

    n_obs: int = 1
    chunk: int = 96
    execute: int = 40
    denoiser: str = "unet"
    prediction: str = "sample"
    levels: int = 100
    draws: int = 1
    denoise: int = 10
    spacing: str = "trailing"
    patch: int = 8
    condition: tuple[int, ...] = (256, 256)
    unet: UNetConfig = UNET
    transformer: TransformerConfig = TRANSFORMER
    vision: VisionConfig = KEYPOINTS

    def __post_init__(self) -> None:
        """Refuse unknown choices and a chunk that does not divide into time steps."""
        super().__post_init__()
        for what, known in (("denoiser", DENOISERS), ("prediction", PREDICTIONS)):
            if getattr(self, what) not in known:
                found = getattr(self, what)
                raise UsageError(f"unknown {what} {found!r}; known: {', '.join(known)}")
        if self.draws < 1:
            raise UsageError(f"draws must be at least 1, got {self.draws}")
        if not 1 <= self.denoise <= self.levels:
            raise UsageError(f"denoise must be in 1..levels={self.levels}, got {self.denoise}")
        halvings = len(self.unet.channels) - 1 if self.denoiser == "unet" else 0
        unit = self.patch * 2**halvings
        if self.chunk % unit:
            raise UsageError(
                f"chunk must be a multiple of {unit} for patch {self.patch}, got {self.chunk}"
            )


@dataclass(frozen=True)
class Descent:
    """One DDIM step from a noise level to the next lower one.

    Attributes:
        level: index into the training schedule.
        signal: sqrt(abar) here, and ``noise`` is sqrt(1 - abar).
        noise: see ``signal``.
        next_signal: the same at the next level.
        next_noise: the same at the next level.
    """

    level: int
    signal: float
    noise: float
    next_signal: float
    next_noise: float

    def apply(self, x: Tensor, output: Tensor, prediction: str) -> Tensor:
        """Return the chunk at the next level; the clean estimate is clipped to [-1, 1].

        Song et al. 2021, equation 12 with eta = 0, as diffusers' ``DDIMScheduler.step``: the
        noise estimate is the one before clipping.
        """
        if prediction == "epsilon":
            noise, clean = output, (x - self.noise * output) / self.signal
        else:
            noise, clean = (x - self.signal * output) / self.noise, output
        return self.next_signal * clean.clamp(-1, 1) + self.next_noise * noise


def descent(config: DiffusionConfig) -> tuple[Descent, ...]:
    """Return the DDIM steps of ``config``, from the noisiest level to none."""
    scheduler = DDIMScheduler(**_schedule(config), timestep_spacing=config.spacing)
    scheduler.set_timesteps(config.denoise)
    levels = [int(t) for t in scheduler.timesteps]
    stride = config.levels // config.denoise
    steps = []
    for level in levels:
        here = float(scheduler.alphas_cumprod[level])
        after = level - stride
        there = float(scheduler.alphas_cumprod[after]) if after >= 0 else 1.0
        roots = (math.sqrt(here), math.sqrt(1 - here), math.sqrt(there), math.sqrt(1 - there))
        steps.append(Descent(level, *roots))
    return tuple(steps)


def _schedule(config: DiffusionConfig) -> dict[str, object]:
    return {
        "num_train_timesteps": config.levels,
        "beta_schedule": "squaredcos_cap_v2",
        "clip_sample": True,
        "prediction_type": config.prediction,
    }


def perceptron(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return linear layers of the given sizes with SiLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


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


class DiffusionPolicy(Algorithm):
    """Denoises chunks of actions under the encoded observations."""

    Config: ClassVar = DiffusionConfig
    config: DiffusionConfig

    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(DiffusionConfig(), QUICK),
        ("state", "cpu"): Preset(DiffusionConfig(), replace(QUICK, steps=3000)),
        ("state", "cpu-epsilon"): Preset(EPSILON, replace(QUICK, steps=3000)),
        ("state", "paper"): Preset(PAPER, PAPER_TRAINING),
        ("pixels", "quick"): Preset(SEEING, replace(QUICK, augment=AugmentConfig())),
        ("pixels", "cpu"): Preset(SEEING, replace(QUICK, steps=8000, augment=AugmentConfig())),
        ("pixels", "paper"): Preset(
            PAPER_PIXELS, replace(PAPER_TRAINING, batch=64, augment=AugmentConfig())
        ),
    }

    def __init__(self, config: DiffusionConfig, spec: PolicySpec) -> None:
        """Build the observation encoder and the denoiser."""
        super().__init__(config, spec)
        self.images = ImageEncoder(spec.observations, config.vision)
        size = config.n_obs * (spec.width + self.images.size)
        self.encode = perceptron((size, *config.condition))
        condition = (size, *config.condition)[-1]
        features, steps = config.patch * spec.n, config.chunk // config.patch
        self.denoiser = (
            UNet(features, condition, config.unet)
            if config.denoiser == "unet"
            else Transformer(features, condition, steps, config.transformer)
        )
        self.training_schedule = DDPMScheduler(**_schedule(config))
        self.descent = descent(config)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(chunk, n): what denoising starts from."""
        return (self.config.chunk, self.spec.n)

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the prediction at random levels, padding left out."""
        seen = (batch["action"], batch["pad"], self.observe(batch))
        action, pad, condition = (x.repeat_interleave(self.config.draws, dim=0) for x in seen)
        noise = torch.randn_like(action)
        level = torch.randint(self.config.levels, (len(action),), device=action.device)
        noisy = self.training_schedule.add_noise(action, noise, level)
        output = self.denoise(noisy, level, condition)
        target = noise if self.config.prediction == "epsilon" else action
        error = functional.mse_loss(output.float(), target, reduction="none").mean(-1)
        return error.masked_fill(pad, 0.0).sum() / (~pad).sum(), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Denoise ``noise`` (B, chunk, n)."""
        if noise is None:
            raise ValueError(f"noise must have shape (B, {self.noise_shape}), got None")
        condition, x = self.observe(obs), noise
        for step in self.descent:
            level = torch.full((len(x),), step.level, device=x.device)
            x = step.apply(x, self.denoise(x, level, condition), self.config.prediction)
        return x

    def use_steps(self, steps: int) -> None:
        """Predict by this many DDIM steps instead of ``config.denoise``."""
        self.descent = descent(replace(self.config, denoise=steps))

    def observe(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Encode observations into the condition vector (B, c)."""
        vectors = flat(obs, self.spec).flatten(1)
        if self.images.shapes:
            vectors = torch.cat([vectors, self.images(obs).flatten(1)], dim=-1)
        out: Tensor = self.encode(vectors)
        return out

    def denoise(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Run the network on a noisy chunk (B, chunk, n)."""
        steps = x.reshape(len(x), -1, self.config.patch * x.shape[-1])
        out: Tensor = self.denoiser(steps, level, condition)
        return out.reshape(x.shape)
