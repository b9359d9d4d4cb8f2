"""Transformer layers in plain matrix products, and the tokens that go in.

Softmax attention is written out because the fused kernel's backward pass is slow on a CPU (about
half of an ACT training step); written out it also runs in bf16. Vaswani et al. 2017.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.configs import LATER


@dataclass(frozen=True)
class LayerConfig:
    """Shape of one transformer layer.

    Attributes:
        width: size of a token.
        heads: attention heads; must divide ``width``.
        feedforward: hidden size of the feed-forward part.
        dropout: rate after attention and within the feed-forward part.
        pre_norm: normalise before each part (trains without warm-up) or after (the paper).
        attention_dropout: rate of the weights of self-attention and of reading a memory.
        gelu: activation of the feed-forward part: GELU, or ReLU.
        causal: a token reads only itself and the tokens before it.
    """

    width: int = 256
    heads: int = 8
    feedforward: int = 1024
    dropout: float = 0.1
    pre_norm: bool = False
    attention_dropout: float = field(default=0.0, metadata=LATER)
    gelu: bool = field(default=False, metadata=LATER)
    causal: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        """Refuse heads that do not divide the width."""
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"heads must divide width {self.width}, got {self.heads}")


SMALL = LayerConfig(width=256, feedforward=512, dropout=0.0, pre_norm=True)
"""Layers of the small presets. Without dropout: drawing its masks takes a quarter of a step."""


class Attention(nn.Module):
    """Multi-head attention, softmax(q k' / sqrt(d)) v, with learnt input and output maps."""

    def __init__(self, config: LayerConfig, causal: bool = False) -> None:
        """Make the maps; ``causal`` hides later tokens of a memory as long as the readers."""
        super().__init__()
        width, self.heads = config.width, config.heads
        self.dropout, self.causal = config.attention_dropout, causal
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, memory: Tensor, where: Tensor | None = None) -> Tensor:
        """Let ``tokens`` (B, T, D) read ``memory`` (B, S, D).

        Args:
            tokens: the readers.
            memory: what is read.
            where: bool (B, S), True at the memory to leave out (padding).

        Returns:
            (B, T, D).
        """
        batch, length, width = tokens.shape
        query = self._split(self.query(tokens)) * (width // self.heads) ** -0.5
        key, value = (self._split(x) for x in self.key_value(memory).chunk(2, dim=-1))
        scores = query @ key.transpose(-1, -2)
        if where is not None:
            scores = scores.masked_fill(where[:, None, None, :], -torch.inf)
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        weights = functional.dropout(scores.softmax(-1), self.dropout, self.training)
        mixed = weights @ value
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, heads, T, D / heads)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class _Residual(nn.Module):
    """x + part(x), normalised before the part or after the sum."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.pre_norm = config.pre_norm

    def before(self, x: Tensor) -> Tensor:
        """Return what the part reads."""
        out: Tensor = self.norm(x) if self.pre_norm else x
        return out

    def after(self, x: Tensor, part: Tensor) -> Tensor:
        """Add what the part returned."""
        summed = x + self.dropout(part)
        out: Tensor = summed if self.pre_norm else self.norm(summed)
        return out


class Layer(nn.Module):
    """Self-attention, optionally cross-attention to a memory, feed-forward."""

    def __init__(self, config: LayerConfig, cross: bool = False) -> None:
        """Make a layer; ``cross`` adds the part that reads a memory (a decoder layer)."""
        super().__init__()
        self.attention = Attention(config, config.causal)
        self.attention_residual = _Residual(config)
        self.cross = Attention(config) if cross else None
        self.cross_residual = _Residual(config) if cross else None
        self.expand = nn.Linear(config.width, config.feedforward)
        self.dropout = nn.Dropout(config.dropout)
        self.contract = nn.Linear(config.feedforward, config.width)
        self.feedforward_residual = _Residual(config)
        self.activation = functional.gelu if config.gelu else functional.relu

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        pad: Tensor | None = None,
        beyond: Tensor | None = None,
    ) -> Tensor:
        """Transform tokens (B, T, D); ``memory`` (B, S, D) for a decoder.

        ``pad`` (B, T) and ``beyond`` (B, S), bool, say which tokens and what of the memory to skip.
        """
        inner = self.attention_residual.before(x)
        x = self.attention_residual.after(x, self.attention(inner, inner, pad))
        if self.cross is not None and self.cross_residual is not None:
            if memory is None:
                raise ValueError("a layer with cross-attention must be given a memory, got None")
            inner = self.cross_residual.before(x)
            x = self.cross_residual.after(x, self.cross(inner, memory, beyond))
        inner = self.feedforward_residual.before(x)
        hidden = self.dropout(self.activation(self.expand(inner)))
        return self.feedforward_residual.after(x, self.contract(hidden))


class Stack(nn.Module):
    """Layers one after the other; a pre-norm stack ends with a normalisation."""

    def __init__(self, config: LayerConfig, layers: int, cross: bool = False) -> None:
        """Make ``layers`` layers, initialised as in the original transformer (Xavier)."""
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, cross) for _ in range(layers))
        self.norm = nn.LayerNorm(config.width) if config.pre_norm else nn.Identity()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        pad: Tensor | None = None,
        beyond: Tensor | None = None,
    ) -> Tensor:
        """Transform tokens (B, T, D), see ``Layer``."""
        for layer in self.layers:
            x = layer(x, memory, pad, beyond)
        out: Tensor = self.norm(x)
        return out


def sinusoids(positions: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """Return sine and cosine codes (..., width) of ``positions`` (...); ``width`` is even."""
    if width % 2:
        raise ValueError(f"width must be even, got {width}")
    half = width // 2
    rates = torch.exp(torch.arange(half) * (-math.log(longest) / max(half - 1, 1)))
    angles = positions[..., None].float() * rates.to(positions.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
