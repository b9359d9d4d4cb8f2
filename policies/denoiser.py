"""What policies that draw chunks from noise share: they encode observations and denoise a chunk."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from envs.errors import UsageError
from policies.base import Algorithm, AlgorithmConfig, PolicySpec, flat
from policies.transformer import TRANSFORMER, MemoryTransformer, Transformer, TransformerConfig
from policies.unet import UNET, UNet, UNetConfig
from policies.vision import KEYPOINTS, ImageEncoder, VisionConfig

DENOISERS = ("unet", "transformer")


@dataclass(frozen=True)
class DenoiserConfig(AlgorithmConfig):
    """Settings of observation encoder and denoising network.

    Attributes:
        denoiser: ``"unet"`` or ``"transformer"``.
        draws: noised copies of each chunk in a training step: what the image encoder, most of the
            work, has seen once is denoised from several levels.
        denoise: steps at inference.
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
    draws: int = 1
    denoise: int = 10
    patch: int = 8
    condition: tuple[int, ...] = (256, 256)
    unet: UNetConfig = UNET
    transformer: TransformerConfig = TRANSFORMER
    vision: VisionConfig = KEYPOINTS

    def __post_init__(self) -> None:
        """Refuse unknown choices and a chunk that does not divide into time steps."""
        super().__post_init__()
        choose("denoiser", self.denoiser, DENOISERS)
        if self.draws < 1:
            raise UsageError(f"draws must be at least 1, got {self.draws}")
        if self.denoiser == "transformer" and self.transformer.memory and self.condition:
            raise UsageError("a transformer with a memory needs condition=(): a token a step")
        halvings = len(self.unet.channels) - 1 if self.denoiser == "unet" else 0
        unit = self.patch * 2**halvings
        if self.chunk % unit:
            raise UsageError(
                f"chunk must be a multiple of {unit} for patch {self.patch}, got {self.chunk}"
            )


def choose(what: str, found: str, known: tuple[str, ...]) -> None:
    """Refuse, with ``UsageError``, a choice that is not among the known ones."""
    if found not in known:
        raise UsageError(f"unknown {what} {found!r}; known: {', '.join(known)}")


def perceptron(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return linear layers of the given sizes with SiLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class ChunkDenoiser(Algorithm):
    """Image encoder, observation encoder, denoising network."""

    Config: ClassVar = DenoiserConfig
    config: DenoiserConfig

    def __init__(self, config: DenoiserConfig, spec: PolicySpec) -> None:
        """Build the observation encoder and the denoiser."""
        super().__init__(config, spec)
        self.images = ImageEncoder(spec.observations, config.vision)
        one = spec.width + self.images.size
        size = config.n_obs * one
        self.encode = perceptron((size, *config.condition))
        condition = (size, *config.condition)[-1]
        features, steps = config.patch * spec.n, config.chunk // config.patch
        shape = config.transformer
        self.denoiser: nn.Module
        if config.denoiser == "unet":
            self.denoiser = UNet(features, condition, config.unet)
        elif shape.memory:
            self.denoiser = MemoryTransformer(features, (config.n_obs, one), steps, shape)
        else:
            self.denoiser = Transformer(features, condition, steps, shape)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(chunk, n): what denoising starts from."""
        return (self.config.chunk, self.spec.n)

    def drawn(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return action, pad and condition of a batch, each row ``draws`` times."""
        seen = (batch["action"], batch["pad"], self.observe(batch))
        action, pad, condition = (x.repeat_interleave(self.config.draws, dim=0) for x in seen)
        return action, pad, condition

    def given(self, noise: Tensor | None) -> Tensor:
        """Return the noise; ``ValueError`` where there is none."""
        if noise is None:
            raise ValueError(f"noise must have shape (B, {self.noise_shape}), got None")
        return noise

    def observe(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Encode observations into the condition vector (B, c), one observation after the other."""
        steps = flat(obs, self.spec)
        if self.images.shapes:
            steps = torch.cat([steps, self.images(obs).flatten(2)], dim=-1)
        out: Tensor = self.encode(steps.flatten(1))
        return out

    def denoise(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Run the network on a noisy chunk (B, chunk, n)."""
        steps = x.reshape(x.shape[0], -1, self.config.patch * x.shape[-1])
        out: Tensor = self.denoiser(steps, level, condition)
        return out.reshape(x.shape)


def mean_error(error: Tensor, pad: Tensor) -> Tensor:
    """Return the mean over the steps inside the episode of errors (B, chunk, n)."""
    return error.mean(-1).masked_fill(pad, 0.0).sum() / (~pad).sum()
