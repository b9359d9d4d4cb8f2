"""Flow matching (Lipman et al. 2023; Liu et al. 2023): a chunk in one to ten steps.

A straight line leads from noise to each demonstrated chunk, x(t) = (1 - t) noise + t chunk, and a
network learns the direction at every point of it, chunk - noise. Inference follows the field from
t = 0 to 1 in ``denoise`` steps of Euler's method. Beside diffusion this needs fewer steps, as the
way is nearly straight: it is the action head of pi0 (Black et al. 2024). Network and encoder are
those of the diffusion policy. The network may name the end of the line instead, and the direction
follows from where it stands, (chunk - x) / (1 - t): as with diffusion, the clean chunk is learnt
sooner than anything that contains the noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from envs.errors import UsageError
from policies.augment import AugmentConfig
from policies.base import Preset, TrainDefaults
from policies.denoiser import ChunkDenoiser, DenoiserConfig, choose, mean_error
from policies.transformer import PUBLISHED
from policies.vision import RESNET18

PREDICTIONS = ("clean", "direction")
SCALE = 100.0
"""Time 0..1 is told to the network in hundredths, as a level of diffusion is."""


@dataclass(frozen=True)
class FlowConfig(DenoiserConfig):
    """Settings of flow matching, beside those of the denoising network.

    Attributes:
        prediction: what the network gives: ``"clean"``, the chunk, or ``"direction"`` (papers).
        tilt: training times t are drawn with density (1 + tilt) (1 - t)^tilt: more of them where
            there is most noise; 0: uniform. pi0 has .5.
    """

    denoise: int = 4
    prediction: str = "clean"
    tilt: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        super().__post_init__()
        choose("prediction", self.prediction, PREDICTIONS)
        if self.denoise < 1:
            raise UsageError(f"denoise must be at least 1, got {self.denoise}")
        if not self.tilt >= 0:
            raise UsageError(f"tilt must not be negative, got {self.tilt}")


QUICK = TrainDefaults(steps=1200, batch=64, lr=2e-3, ema_power=0.75, ema_max=0.99)
SEEING = FlowConfig(execute=96, draws=4)
"""From pixels the whole chunk is executed, as with ACT."""

PAPER = FlowConfig(
    chunk=50,
    execute=25,
    denoiser="transformer",
    denoise=10,
    prediction="direction",
    tilt=0.5,
    patch=1,
    n_obs=1,
    condition=(),
    transformer=PUBLISHED,
)
"""Steps, chunk and times of pi0, whose network is a language model; here that of Chi et al."""
PAPER_TRAINING = TrainDefaults(
    steps=100_000,
    batch=256,
    lr=1e-4,
    warmup=1000,
    weight_decay=1e-3,
    betas=(0.9, 0.95),
    clip=0.0,
    ema_power=0.75,
    precision="fp32",
)


class FlowPolicy(ChunkDenoiser):
    """Follows a learnt field from noise to a chunk of actions.

    Attributes:
        reach: largest action, scaled.
    """

    Config: ClassVar = FlowConfig
    config: FlowConfig
    reach: ClassVar[float] = 1.0

    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(FlowConfig(), QUICK),
        ("state", "cpu"): Preset(FlowConfig(), replace(QUICK, steps=3000)),
        ("state", "paper"): Preset(PAPER, PAPER_TRAINING),
        ("pixels", "quick"): Preset(SEEING, replace(QUICK, augment=AugmentConfig())),
        ("pixels", "cpu"): Preset(SEEING, replace(QUICK, steps=8000, augment=AugmentConfig())),
        ("pixels", "paper"): Preset(
            replace(PAPER, vision=RESNET18),
            replace(PAPER_TRAINING, batch=64, augment=AugmentConfig()),
        ),
    }

    def use_steps(self, steps: int) -> None:
        """Take this many steps at inference, instead of ``config.denoise``."""
        self.config = replace(self.config, denoise=steps)

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the prediction at random times, padding left out."""
        action, pad, condition = self.drawn(batch)
        noise = torch.randn_like(action)
        time = 1 - torch.rand(len(action), device=action.device) ** (1 / (1 + self.config.tilt))
        at = time[:, None, None]
        found = self.denoise((1 - at) * noise + at * action, SCALE * time, condition)
        target = action if self.config.prediction == "clean" else action - noise
        return mean_error((found.float() - target).square(), pad), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Follow the field from ``noise`` (B, chunk, n); what comes out is clipped to ``reach``."""
        x, condition = self.given(noise), self.observe(obs)
        steps, clean = self.config.denoise, self.config.prediction == "clean"
        for step in range(steps):
            time = torch.full((x.shape[0],), SCALE * step / steps, device=x.device)
            found = self.denoise(x, time, condition)
            # of the way that is left, 1 - t, each of the remaining steps takes an equal part
            x = x + ((found - x) / (steps - step) if clean else found / steps)
        return x.clamp(-self.reach, self.reach)
