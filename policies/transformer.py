"""A denoising network: a transformer over the time steps of a chunk.

Two forms. The small one puts the noise level and the condition before the chunk and lets every
token read every other. The published one (``TransformerForDiffusion`` of Chi et al. 2023) keeps
them apart, as a memory that each layer reads, and lets a time step read only itself and those
before it. There a chunk begins at the oldest observation and a mask hides later observations from
earlier actions; here it begins at the present, so that there is nothing to hide.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from policies.attention import SMALL, LayerConfig, Stack, sinusoids
from policies.configs import LATER


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of the transformer denoiser: ``layers`` times ``layer``.

    Attributes:
        layers: how many.
        layer: each of them.
        memory: noise level and observations are a memory, an observation step a token (published);
            or tokens before the chunk, all observations one of them.
    """

    layers: int = 4
    layer: LayerConfig = SMALL
    memory: bool = field(default=False, metadata=LATER)


TRANSFORMER = TransformerConfig()
PUBLISHED = TransformerConfig(
    layers=8,
    layer=LayerConfig(
        width=256,
        heads=4,
        feedforward=1024,
        dropout=0.3,
        pre_norm=True,
        attention_dropout=0.3,
        gelu=True,
        causal=True,
    ),
    memory=True,
)


class Transformer(nn.Module):
    """A transformer over the time steps; condition and noise level are its first tokens."""

    def __init__(
        self, features: int, condition: int, steps: int, config: TransformerConfig
    ) -> None:
        """Build a network for chunks of ``steps`` time steps.

        Args:
            features: size of one time step of the chunk.
            condition: size of the condition vector.
            steps: time steps of the chunk.
            config: shape of the layers.
        """
        super().__init__()
        self.width = width = config.layer.width
        self.token = nn.Linear(features, width)
        self.condition = nn.Linear(condition, width)
        self.step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.position = nn.Parameter(torch.randn(2 + steps, width) * 0.02)
        self.stack = Stack(config.layer, config.layers)
        self.out = nn.Linear(width, features)

    def forward(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Denoise ``x`` (B, T, features) at ``level`` (B,) under ``condition`` (B, c)."""
        head = torch.stack(
            [self.step(sinusoids(level, self.width)), self.condition(condition)], dim=1
        )
        tokens = torch.cat([head, self.token(x)], dim=1) + self.position
        out: Tensor = self.out(self.stack(tokens)[:, 2:])
        return out


class MemoryTransformer(nn.Module):
    """A transformer over the time steps that reads noise level and observations as a memory."""

    def __init__(
        self, features: int, seen: tuple[int, int], steps: int, config: TransformerConfig
    ) -> None:
        """Build a network for chunks of ``steps`` time steps.

        Args:
            features: size of one time step of the chunk.
            seen: observation steps in the condition vector, and the size of each.
            steps: time steps of the chunk.
            config: shape of the layers.
        """
        super().__init__()
        self.width = width = config.layer.width
        self.seen = seen
        self.token = nn.Linear(features, width)
        self.observation = nn.Linear(seen[1], width)
        self.position = nn.Parameter(torch.randn(steps, width) * 0.02)
        self.memory_position = nn.Parameter(torch.randn(1 + seen[0], width) * 0.02)
        self.memory = nn.Sequential(
            nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width)
        )
        self.stack = Stack(config.layer, config.layers, cross=True)
        self.out = nn.Linear(width, features)

    def forward(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Denoise ``x`` (B, T, features) at ``level`` (B,) under ``condition`` (B, c)."""
        observations = self.observation(condition.reshape(-1, *self.seen))
        code = sinusoids(level, self.width)[:, None].to(observations.dtype)
        memory = self.memory(torch.cat([code, observations], dim=1) + self.memory_position)
        out: Tensor = self.out(self.stack(self.token(x) + self.position, memory))
        return out
