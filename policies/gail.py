"""GAIL: a policy that a discriminator cannot tell from the expert (Ho & Ermon 2016).

The expert's side of the discriminator is 1, so its logit is high where a step looks like the
expert's, and the reward is -log(1 - D) = softplus(logit): positive, and larger the more a step
looks demonstrated. A positive reward pays for staying alive, a negative one for ending soon; either
would teach something that nobody demonstrated. So every episode has the same length: one that has
ended stays in an absorbing state, for the expert as for the policy, and is judged there like any
other (Kostrikov et al. 2019).

The policy is a Gaussian around a perceptron's output; a trial gets its mean. How it is trained is
in ``policies/gail_train.py``.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import UsageError
from policies.base import (
    DELTA,
    Algorithm,
    AlgorithmConfig,
    PolicySpec,
    Preset,
    TrainDefaults,
    flat,
)

BOUND = 10.0
"""Inputs are clipped to this many standard deviations: a thing that fell off the table is far."""

JUDGED = 512
"""Steps of each side in a gradient step of the discriminator."""


@dataclass(frozen=True)
class GailConfig(AlgorithmConfig):
    """Settings of GAIL; a training step is an iteration: roll-outs, discriminator, policy.

    Attributes:
        hidden: sizes of the hidden layers of policy and value.
        judge: sizes of the hidden layers of the discriminator.
        warm: gradient steps of behaviour cloning before the first iteration.
        episodes: roll-outs an iteration, stepped together.
        spread: standard deviation of the policy's actions at first, in normalised units.
        sway: correlation of their noise from one step to the next: what is drawn anew 50 times a
            second the arm averages out before anything comes of it (Hollenstein et al. 2024).
        cloning: weight of cloning in the policy's steps, which keeps what the warm start has
            learned (Jena et al. 2020).
        held: iterations at first that train the value alone, so that it does not ruin the policy.
        penalty: weight of the discriminator's gradient penalty (10 in Gulrajani et al. 2017).
        judged: gradient steps of the discriminator an iteration.
        judge_lr: their learning rate.
        discount, trace: gamma and lambda of the advantages (Schulman et al. 2016).
        clip: largest change of a probability's ratio that is rewarded (Schulman et al. 2017).
        epochs: passes over an iteration's steps; they end early at ``kl``.
        minibatch: steps of a gradient step.
        policy_lr: learning rate of the policy at first; it adapts to ``kl``.
        value_lr: learning rate of the value.
        entropy: weight of the policy's entropy.
        kl: change of the policy (Kullback-Leibler divergence) that an iteration may bring.
    """

    hidden: tuple[int, ...] = (256, 256)
    judge: tuple[int, ...] = (128, 128)
    warm: int = 8000
    episodes: int = 32
    spread: float = 0.03
    sway: float = 0.85
    cloning: float = 0.1
    held: int = 3
    penalty: float = 10.0
    judged: int = 20
    judge_lr: float = 1e-3
    discount: float = 0.995
    trace: float = 0.95
    clip: float = 0.2
    epochs: int = 5
    minibatch: int = 1024
    policy_lr: float = 2e-5
    value_lr: float = 3e-4
    entropy: float = 0.0
    kl: float = 0.05

    def __post_init__(self) -> None:
        """Refuse actions that are not absolute, or several at once."""
        super().__post_init__()
        if self.actions != "absolute":
            raise UsageError(f"GAIL rolls out absolute actions: --preset without {DELTA}")
        if self.chunk != 1:
            raise UsageError(f"GAIL decides at every step: --chunk 1, got {self.chunk}")


TRAINING = TrainDefaults(
    steps=60, batch=128, warmup=0, schedule="constant", weight_decay=0.0, precision="fp32",
    normalization="meanstd",
)  # fmt: skip
"""Batch and learning rate are those of the warm start."""


class RunningNorm(nn.Module):
    """Scales by the mean and deviation of all that it has been shown."""

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, width: int) -> None:
        """Begin with mean 0 and deviation 1."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("square", torch.ones(width))
        self.register_buffer("count", torch.zeros(()))

    @torch.no_grad()
    def show(self, values: Tensor) -> None:
        """Take ``values`` (B, width) into account."""
        self.count += len(values)
        share = len(values) / self.count
        self.mean.lerp_(values.mean(0), float(share))
        self.square.lerp_(values.square().mean(0), float(share))

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values`` (..., width) scaled and clipped."""
        deviation = (self.square - self.mean.square()).clamp_min(1e-4).sqrt()
        return ((values - self.mean) / deviation).clamp(-BOUND, BOUND)


class Gail(Algorithm):
    """Policy, its value, and the discriminator.

    What policy and value see is the vectors of one step and a flag, 1 in the absorbing state,
    where everything else is 0; the discriminator sees the action, too.
    """

    Config: ClassVar = GailConfig
    config: GailConfig
    pace: Tensor
    """Learning rate of the policy, ()."""

    def __init__(self, config: GailConfig, spec: PolicySpec) -> None:
        """Build the three networks."""
        super().__init__(config, spec)
        width = spec.width
        self.actor = perceptron((width, *config.hidden, spec.n))
        self.log_spread = nn.Parameter(torch.full((spec.n,), math.log(config.spread)))
        self.value = perceptron((width + 1, *config.hidden, 1))
        self.register_buffer("pace", torch.tensor(config.policy_lr))
        self.norm = RunningNorm(width + 1 + spec.n)
        self.judge = perceptron((width + 1 + spec.n, *config.judge, 1))

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return behaviour cloning's mean squared error: the warm start, and the validation."""
        inside = ~batch["pad"]
        error = (self.predict(batch) - batch["action"]).square().mean(-1)
        return (error * inside).sum() / inside.sum(), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Return the mean action (B, 1, n)."""
        return self.mean(flat(obs, self.spec)[:, -1])[:, None]

    def mean(self, seen: Tensor) -> Tensor:
        """Return the mean action (B, n) of vectors (B, width)."""
        out: Tensor = self.actor(seen.clamp(-BOUND, BOUND))
        return out.float()

    def log_chance(self, seen: Tensor, action: Tensor) -> Tensor:
        """Return the log density (B,) of actions (B, n) after vectors (B, width)."""
        scaled = (action - self.mean(seen)) / self.log_spread.exp()
        constant = 0.5 * math.log(2 * math.pi)
        return (-0.5 * scaled.square() - self.log_spread - constant).sum(-1)

    def worth(self, seen: Tensor, ended: Tensor) -> Tensor:
        """Return the value (B,) of vectors (B, width), ``ended`` (B,) 1 in the absorbing state."""
        inputs = torch.cat([seen.clamp(-BOUND, BOUND), ended[:, None]], dim=-1)
        worth: Tensor = self.value(inputs).squeeze(-1)
        return worth

    def logit(self, steps: Tensor) -> Tensor:
        """Return how much steps (B, width + 1 + n) look like the expert's (B,).

        Their last n columns are how far the action is from the joints (``gail_rollout.as_judged``).
        """
        logits: Tensor = self.judge(self.norm(steps)).squeeze(-1)
        return logits

    def reward(self, steps: Tensor) -> Tensor:
        """Return -log(1 - D) of steps (B, width + 1 + n)."""
        return functional.softplus(self.logit(steps))

    streams: ClassVar[bool] = False
    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(GailConfig(), TRAINING),
        ("state", "cpu"): Preset(GailConfig(), replace(TRAINING, steps=600)),
        ("state", "paper"): Preset(GailConfig(episodes=128), replace(TRAINING, steps=2000)),
    }


def perceptron(sizes: Sequence[int]) -> nn.Sequential:
    """Return linear layers of these sizes with tanh between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])
