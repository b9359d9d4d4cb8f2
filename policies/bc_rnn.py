"""Behaviour cloning with a memory: an LSTM whose output is a mixture of Gaussians.

BC-RNN of the robomimic study (Mandlekar et al. 2021). The mixture lets it choose between ways
where a mean would go in between; the memory lets it act on where it comes from. In training the
LSTM is unrolled from an empty memory over ``horizon`` predictions that follow each other; in a
trial its memory is carried from one prediction to the next and emptied after as many. A trial draws
a Gaussian and takes its mean (with the little noise of ``eval_std``, as there).

In robomimic a prediction is one action at every control step. Here it may be a chunk, one mixture
over all of it, made every ``execute`` steps: at 50 Hz ten steps are a fifth of a second, too short
a past to tell anything, and what BC loses by deciding anew at every step, this loses, too. The
``paper`` preset has chunks of one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import UsageError
from policies.augment import AugmentConfig
from policies.base import (
    Algorithm,
    AlgorithmConfig,
    Memory,
    PolicySpec,
    Preset,
    TrainDefaults,
    flat,
)
from policies.vision import RESNET18, ImageEncoder, VisionConfig


@dataclass(frozen=True)
class BcRnnConfig(AlgorithmConfig):
    """Settings of BC-RNN.

    Attributes:
        horizon: predictions over which the LSTM is unrolled, and after which it forgets.
        hidden: size of the LSTM's memory.
        layers: of the LSTM.
        modes: Gaussians of the mixture.
        min_std: smallest standard deviation, of normalised actions.
        eval_std: standard deviation in a trial.
        vision: image encoder of the pixel track.
    """

    horizon: int = 10
    hidden: int = 400
    layers: int = 2
    modes: int = 5
    min_std: float = 1e-4
    eval_std: float = 1e-4
    vision: VisionConfig = field(default_factory=VisionConfig)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        super().__post_init__()
        for what in ("horizon", "hidden", "layers", "modes"):
            if getattr(self, what) < 1:
                raise UsageError(f"{what} must be at least 1, got {getattr(self, what)}")
        if not self.min_std > 0:
            raise UsageError(f"min_std must be positive, got {self.min_std}")


SMALL = BcRnnConfig(chunk=16, execute=8, min_std=0.01)
QUICK = TrainDefaults(steps=1500, batch=64, lr=1e-3, ema_power=0.75, ema_max=0.999)
PAPER_TRAINING = TrainDefaults(
    steps=100_000,
    batch=100,
    lr=1e-4,
    schedule="constant",
    warmup=0,
    weight_decay=0.0,
    clip=0.0,
    precision="fp32",
)


class BcRnn(Algorithm):
    """Observations -> LSTM -> mixture of Gaussians over the next actions."""

    Config: ClassVar = BcRnnConfig
    config: BcRnnConfig

    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(SMALL, QUICK),
        ("state", "cpu"): Preset(SMALL, replace(QUICK, steps=3000)),
        ("state", "paper"): Preset(BcRnnConfig(), PAPER_TRAINING),
        ("pixels", "quick"): Preset(
            SMALL, replace(QUICK, steps=500, batch=16, augment=AugmentConfig())
        ),
        ("pixels", "cpu"): Preset(
            SMALL, replace(QUICK, steps=2500, batch=16, augment=AugmentConfig())
        ),
        ("pixels", "paper"): Preset(
            BcRnnConfig(hidden=1000, vision=RESNET18),
            replace(PAPER_TRAINING, steps=300_000, batch=16, augment=AugmentConfig()),
        ),
    }

    def __init__(self, config: BcRnnConfig, spec: PolicySpec) -> None:
        """Build the LSTM, the mixture's heads and, for pixels, the image encoder."""
        super().__init__(config, spec)
        self.images = ImageEncoder(spec.observations, config.vision)
        width = config.n_obs * (spec.width + self.images.size)
        self.lstm = nn.LSTM(width, config.hidden, config.layers, batch_first=True)
        size = config.chunk * spec.n
        self.mean = nn.Linear(config.hidden, config.modes * size)
        self.spread = nn.Linear(config.hidden, config.modes * size)
        self.weight = nn.Linear(config.hidden, config.modes)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(1 + chunk n,): one number chooses the Gaussian, the others are its noise."""
        return (1 + self.config.chunk * self.spec.n,)

    @property
    def sequence(self) -> int:
        """Predictions over which the LSTM is unrolled."""
        return self.config.horizon

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the negative log likelihood, a step inside the episode.

        Args:
            batch: rows of ``horizon`` predictions, one after the other.
        """
        inputs = self._inputs(batch)
        hidden, _ = self.lstm(inputs.view(-1, self.config.horizon, inputs.shape[-1]))
        mean, log_weight, spread = self._mixture(hidden.flatten(0, 1))
        inside = ~batch["pad"]
        off = (batch["action"][:, None] - mean) / spread
        each = -0.5 * off.square() - spread.log() - 0.5 * math.log(2 * math.pi)
        each = (each.sum(-1) * inside[:, None]).sum(-1)  # (B, modes)
        likelihood = torch.logsumexp(log_weight + each, dim=-1)
        return -(likelihood * inside.any(-1)).sum() / inside.sum(), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Return the actions of a trial's first prediction."""
        return self.step(obs, noise, None)[0]

    def step(
        self, obs: dict[str, Tensor], noise: Tensor | None, memory: Memory | None
    ) -> tuple[Tensor, Memory]:
        """Return a chunk and what is remembered, each row on its own.

        Args:
            obs: see ``predict``.
            noise: (B, 1 + chunk n).
            memory: hidden and cell state (B, layers, hidden), and predictions since they were
                empty (B,); ``None`` at a trial's start.
        """
        if noise is None:
            raise ValueError(f"noise must have shape (B, {self.noise_shape}), got None")
        inputs = self._inputs(obs)[:, None]
        hidden, cell, count = memory or self._empty(inputs.shape[0], inputs)
        kept = ((count % self.config.horizon) != 0)[:, None, None]
        state = tuple((kept * x).transpose(0, 1).contiguous() for x in (hidden, cell))
        out, (hidden, cell) = self.lstm(inputs, state)
        mean, log_weight, _ = self._mixture(out[:, 0])
        chance = 0.5 * torch.special.erfc(-noise[:, :1] / math.sqrt(2))
        below = log_weight.exp().cumsum(-1)[:, :-1]
        mode = (below < chance).sum(-1)
        chunk = mean[torch.arange(mean.shape[0]), mode]
        chunk = chunk + self.config.eval_std * noise[:, 1:].reshape(chunk.shape)
        return chunk, (hidden.transpose(0, 1), cell.transpose(0, 1), count + 1)

    def _empty(self, rows: int, like: Tensor) -> Memory:
        zeros = like.new_zeros(rows, self.config.layers, self.config.hidden)
        return zeros, zeros, torch.zeros(rows, dtype=torch.int64, device=like.device)

    def _inputs(self, obs: Mapping[str, Tensor]) -> Tensor:
        """(B, n_obs, ...) by key -> (B, n_obs width)."""
        steps = flat(obs, self.spec)
        if self.images.shapes:
            steps = torch.cat([steps, self.images(obs).flatten(2)], dim=-1)
        return steps.flatten(1)

    def _mixture(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return means (B, modes, chunk, n), log weights (B, modes) and deviations, in fp32."""
        shape = (hidden.shape[0], self.config.modes, self.config.chunk, self.spec.n)
        mean = self.mean(hidden).float().view(shape).tanh()
        spread = functional.softplus(self.spread(hidden).float().view(shape)) + self.config.min_std
        return mean, self.weight(hidden).float().log_softmax(-1), spread
