"""Behaviour cloning: a multi-layer perceptron regresses the demonstrated actions.

The baseline of every comparison (Pomerleau 1989; figures of the robomimic study, Mandlekar et
al. 2021). The mean squared error makes it answer with the average of what was demonstrated. With
``chunk`` 1 it decides anew at every step; with a longer chunk it commits, as ACT does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from policies.augment import AugmentConfig
from policies.base import Algorithm, AlgorithmConfig, PolicySpec, Preset, TrainDefaults, flat
from policies.vision import RESNET18, ImageEncoder, VisionConfig


@dataclass(frozen=True)
class BcConfig(AlgorithmConfig):
    """Settings of behaviour cloning.

    Attributes:
        hidden: sizes of the hidden layers.
        dropout: after each hidden layer.
        vision: image encoder of the pixel track.
    """

    hidden: tuple[int, ...] = (1024, 1024)
    dropout: float = 0.0
    vision: VisionConfig = field(default_factory=VisionConfig)


SMALL = BcConfig(hidden=(512, 512, 512), dropout=0.05)
SEEING = replace(SMALL, chunk=16, execute=8)
"""A picture is drawn for every eighth action alone: a trial would take ten times as long."""
QUICK = TrainDefaults(steps=6000, batch=128, ema_power=0.75, normalization="meanstd")
"""Half a minute on one core. Training longer or wider did not help: with 50 demonstrations it
nearly always misses the grasp. Longer chunks do help (docs/experiments.md), and are ACT's idea."""


class BehaviorCloning(Algorithm):
    """Observation -> actions in one pass."""

    Config: ClassVar = BcConfig
    config: BcConfig

    def __init__(self, config: BcConfig, spec: PolicySpec) -> None:
        """Build the perceptron and, for pixels, the image encoder."""
        super().__init__(config, spec)
        self.images = ImageEncoder(spec.observations, config.vision)
        width = config.n_obs * (spec.width + self.images.size)
        layers: list[nn.Module] = []
        for size in config.hidden:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(config.dropout)]
            width = size
        self.trunk = nn.Sequential(*layers, nn.Linear(width, config.chunk * spec.n))

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the mean squared error over the steps inside the episode."""
        inside = ~batch["pad"]
        error = (self._actions(batch) - batch["action"]).square().mean(-1)
        return (error * inside).sum() / inside.sum(), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Return the actions; there is no noise."""
        return self._actions(obs)

    def _actions(self, obs: dict[str, Tensor]) -> Tensor:
        """(B, n_obs, ...) by key -> (B, chunk, n)."""
        inputs = flat(obs, self.spec)
        if self.images.shapes:
            inputs = torch.cat([inputs, self.images(obs).flatten(2)], dim=-1)
        out: Tensor = self.trunk(inputs.flatten(1)).float()
        return out.view(-1, self.config.chunk, self.spec.n)

    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(SMALL, QUICK),
        ("state", "cpu"): Preset(SMALL, replace(QUICK, steps=10_000)),
        ("state", "paper"): Preset(
            BcConfig(),
            TrainDefaults(
                steps=100_000, batch=100, lr=1e-4, schedule="constant", warmup=0, weight_decay=0.0,
                clip=0.0, precision="fp32",
            ),
        ),
        ("pixels", "quick"): Preset(
            SEEING, replace(QUICK, steps=1000, batch=64, augment=AugmentConfig())
        ),
        ("pixels", "cpu"): Preset(
            SEEING, replace(QUICK, steps=5000, batch=64, augment=AugmentConfig())
        ),
        ("pixels", "paper"): Preset(
            BcConfig(vision=RESNET18),
            TrainDefaults(
                steps=300_000, batch=16, lr=1e-4, schedule="constant", warmup=0, weight_decay=0.0,
                clip=0.0, precision="fp32", augment=AugmentConfig(),
            ),
        ),
    }  # fmt: skip
