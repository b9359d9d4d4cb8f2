"""A denoising network: the 1-D U-Net with FiLM of Chi et al. 2023.

It takes a noisy chunk of actions, the level of noise and a condition vector. ``patch`` consecutive
actions may form one time step of the network: at 50 Hz neighbouring actions are nearly equal, and
a quarter of the time steps costs a quarter. The layout is (batch, channel, time), contiguous:
measured on a CPU, torch's convolution and group normalisation are fastest there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.attention import sinusoids
from policies.convolution import Conv1d, mish


@dataclass(frozen=True)
class UNetConfig:
    """Shape of the U-Net.

    Attributes:
        channels: of each level; each level after the first halves the time steps.
        kernel: taps of a convolution, odd.
        groups: of the group normalisation.
        step: size of the noise level's code.
        mish: activation Mish as published, or SiLU (a seventh of its time on a CPU).
    """

    channels: tuple[int, ...] = (128, 256)
    kernel: int = 3
    groups: int = 8
    step: int = 128
    mish: bool = False

    def __post_init__(self) -> None:
        """Refuse groups that do not divide the channels, and even kernels."""
        if any(c % self.groups for c in self.channels):
            raise ValueError(f"groups must divide {self.channels}, got {self.groups}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")


UNET = UNetConfig()


class _Conv(nn.Module):
    """Convolution, group normalisation, activation."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.conv = Conv1d(inputs, outputs, config.kernel, padding=config.kernel // 2)
        self.norm = nn.GroupNorm(config.groups, outputs)
        self.mish = config.mish

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T)."""
        y = self.norm(self.conv(x))
        return mish(y) if self.mish else functional.silu(y)


class _Block(nn.Module):
    """Two convolutions and a short cut; FiLM (scale and bias by the condition) in between."""

    def __init__(self, inputs: int, outputs: int, condition: int, config: UNetConfig) -> None:
        super().__init__()
        self.first = _Conv(inputs, outputs, config)
        self.second = _Conv(outputs, outputs, config)
        self.film = nn.Linear(condition, 2 * outputs)
        same = inputs == outputs
        self.short = nn.Identity() if same else Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Transform (B, C, T) under an activated condition (B, c)."""
        scale, bias = self.film(condition)[..., None].chunk(2, dim=1)
        y = self.first(x) * (1 + scale) + bias
        out: Tensor = self.second(y) + self.short(x)
        return out


class _Pair(nn.Module):
    """Two blocks, the first of which changes the number of channels."""

    def __init__(self, inputs: int, outputs: int, condition: int, config: UNetConfig) -> None:
        super().__init__()
        self.first = _Block(inputs, outputs, condition, config)
        self.second = _Block(outputs, outputs, condition, config)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Transform (B, C, T) under an activated condition (B, c)."""
        out: Tensor = self.second(self.first(x, condition), condition)
        return out


class UNet(nn.Module):
    """Down, middle, up with skip connections; two blocks a level."""

    def __init__(self, features: int, condition: int, config: UNetConfig) -> None:
        """Build the network.

        Args:
            features: size of one time step of the chunk.
            condition: size of the condition vector.
            config: shape.
        """
        super().__init__()
        widths = config.channels
        self.width = config.step
        self.step = nn.Sequential(
            nn.Linear(config.step, 4 * config.step),
            nn.SiLU(),
            nn.Linear(4 * config.step, config.step),
        )
        size = config.step + condition

        falling = zip((features, *widths), widths, strict=False)
        self.down = nn.ModuleList(_Pair(a, b, size, config) for a, b in falling)
        self.shrink = nn.ModuleList(Conv1d(w, w, 3, 2, 1) for w in widths[:-1])
        self.middle = _Pair(widths[-1], widths[-1], size, config)
        rising = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(_Pair(2 * a, b, size, config) for a, b in rising)
        self.grow = nn.ModuleList(nn.ConvTranspose1d(w, w, 4, 2, 1) for w in widths[-2::-1])
        self.last = _Conv(widths[0], widths[0], config)
        self.out = Conv1d(widths[0], features, 1)

    def forward(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Denoise.

        Args:
            x: noisy chunk (B, T, features); T divisible by 2 for every level but the first.
            level: noise level (B,), an index of the schedule.
            condition: (B, c).

        Returns:
            (B, T, features): what the network is trained to predict.
        """
        code = self.step(sinusoids(level, self.width))
        film = functional.silu(torch.cat([code, condition], dim=-1))
        y = x.transpose(1, 2).contiguous()
        skips = []
        for i, down in enumerate(self.down):
            y = down(y, film)
            skips.append(y)
            y = self.shrink[i](y) if i < len(self.shrink) else y
        y = self.middle(y, film)
        for up, grow in zip(self.up, self.grow, strict=True):
            y = grow(up(torch.cat([y, skips.pop()], dim=1), film))
        out: Tensor = self.out(self.last(y)).transpose(1, 2)
        return out
