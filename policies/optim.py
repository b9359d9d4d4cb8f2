"""Learning-rate schedules, the optimiser, and the moving average of the weights."""

import copy
import math

import torch
from torch import Tensor, nn

from policies.base import Algorithm, TrainDefaults


def learning_rate(training: TrainDefaults, step: int) -> float:
    """Return the rate of step 0, 1, ...: linear warm-up, then cosine to zero or constant."""
    if step < training.warmup:
        return training.lr * (step + 1) / (training.warmup + 1)
    if training.schedule == "constant":
        return training.lr
    rest = max(1, training.steps - training.warmup)
    return training.lr * 0.5 * (1 + math.cos(math.pi * (step - training.warmup) / rest))


def make_optimizer(model: nn.Module, training: TrainDefaults) -> torch.optim.AdamW:
    """Return AdamW; fused, which on a CPU is several times faster than the default."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=training.lr,
        betas=training.betas,
        weight_decay=training.weight_decay,
        fused=True,
    )


class Ema:
    """Exponential moving average of an algorithm's weights (as in Chi et al. 2023).

    Decay after step k: ``min(ema_max, 1 - (1 + k) ** -ema_power)``. With power 0 there is no
    average and ``model`` is the trained network itself.
    """

    def __init__(self, source: Algorithm, training: TrainDefaults) -> None:
        """Start from the weights of ``source``."""
        self.power, self.max = training.ema_power, training.ema_max
        self.active = self.power > 0
        self.source = source
        self.model = copy.deepcopy(source).requires_grad_(False) if self.active else source

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step ``step`` = 0, 1, ..."""
        if not self.active:
            return
        decay = min(self.max, 1 - (1 + step) ** -self.power)
        mine: list[Tensor] = list(self.model.parameters())
        theirs: list[Tensor] = list(self.source.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for buffer, other in zip(self.model.buffers(), self.source.buffers(), strict=True):
            buffer.copy_(other)
