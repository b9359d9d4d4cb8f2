"""GAIL's two sides as arrays of one form: steps of demonstrations and steps of the policy.

A step is the normalised vectors of an observation, a flag that is 1 in the absorbing state, and the
normalised action. Whoever has ended his episode is in the absorbing state until the horizon.
What the discriminator sees of an action is how far it asks a joint to go: a target alone says
little that the joint's position does not say, and the gradient penalty forbids to look closely at
two large numbers that differ by little.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from envs.arm import Array
from envs.batch import SimBatch
from envs.collection import Collection
from policies.base import PolicySpec
from policies.dataset import EpisodeSet
from policies.gail import Gail
from policies.normalize import Normalizer

FIRST = 1 << 32
"""Number of the first start that is rolled out: no demonstration comes that far."""
UNIT = 0.05
"""Scale of how far an action asks a joint to go [rad; opening]: about the spread of a
demonstrator's."""


def vectors(obs: Mapping[str, Array], spec: PolicySpec, normalizer: Normalizer) -> Array:
    """Return the normalised vectors (B, width) of observations (B, ...)."""
    columns = [normalizer.normalize(key, obs[key]) for key in spec.vectors]
    return np.concatenate(columns, axis=-1)


def demonstrated(
    data: EpisodeSet, spec: PolicySpec, normalizer: Normalizer, horizon: int
) -> Tensor:
    """Return the steps of the training episodes (episodes * horizon, width + 1 + n).

    An episode that is longer than the horizon is cut there.
    """
    steps = np.zeros((len(data.train), horizon, spec.width + 1 + spec.n), np.float32)
    steps[:, :, spec.width] = 1.0
    for row, i in enumerate(data.train):
        length = min(int(data.lengths[i]), horizon)
        rows = slice(int(data.starts[i]), int(data.starts[i]) + length)
        seen = {key: data.observations[key][rows] for key in spec.vectors}
        steps[row, :length, : spec.width] = vectors(seen, spec, normalizer)
        steps[row, :length, spec.width] = 0.0
        steps[row, :length, spec.width + 1 :] = normalizer.normalize("action", data.actions[rows])
    return torch.from_numpy(steps.reshape(-1, steps.shape[-1]))


def as_judged(steps: Tensor, spec: PolicySpec, normalizer: Normalizer) -> Tensor:
    """Return steps (B, width + 1 + n) as the discriminator sees them.

    Their last columns are then how far the action is from the joints, in ``UNIT``, and 0 in the
    absorbing state.
    """
    before = spec.vectors[: spec.vectors.index("qpos")]
    at, n = sum(math.prod(spec.observations[key]) for key in before), spec.n
    joints = normalizer.denormalize("qpos", steps[:, at : at + n].numpy())
    targets = normalizer.denormalize("action", steps[:, -n:].numpy())
    seen, ended = steps[:, : spec.width + 1], steps[:, spec.width, None]
    far = torch.from_numpy((targets - joints) / UNIT).float() * (1 - ended)
    return torch.cat([seen, far], dim=-1)


@dataclass(frozen=True)
class Rollout:
    """Episodes of one length.

    Attributes:
        steps: (T, N, width + 1 + n).
        chance: log density of the actions (T, N).
        last: vectors and flag after the last step (N, width + 1).
        success: share of the episodes.
        progress: share of the stages they reached, mean.
    """

    steps: Tensor
    chance: Tensor
    last: Tensor
    success: float
    progress: float


class Generator:
    """Rolls the policy out from ever new starts of a task."""

    def __init__(
        self, collection: Collection, sims: SimBatch, spec: PolicySpec, normalizer: Normalizer
    ) -> None:
        """Roll out in ``sims`` from the starts of ``collection``."""
        self.collection, self.sims = collection, sims
        self.spec, self.normalizer = spec, normalizer

    @torch.no_grad()
    def roll(self, policy: Gail, iteration: int, noise: torch.Generator) -> Rollout:
        """Return one episode of every simulation; the starts follow from ``iteration``."""
        sims = self.sims
        self.begin(iteration)
        steps, chances = [], []
        spread, sway = policy.log_spread.exp(), policy.config.sway
        drawn = torch.randn(sims.size, self.spec.n, generator=noise)
        for _ in range(sims.horizon):
            seen, ended = self.seen()
            action = policy.mean(seen) + spread * drawn
            fresh = torch.randn(drawn.shape, generator=noise)
            drawn = sway * drawn + math.sqrt(1 - sway**2) * fresh
            chances.append(policy.log_chance(seen, action))
            shown = action * (1 - ended[:, None])
            steps.append(torch.cat([seen, ended[:, None], shown], dim=-1))
            self.act(action)
        seen, ended = self.seen()
        last = torch.cat([seen, ended[:, None]], dim=-1)
        progress = float(sims.stage.mean()) / len(sims.task.stages)
        success = float(sims.success.mean())
        return Rollout(torch.stack(steps), torch.stack(chances), last, success, progress)

    def begin(self, iteration: int) -> None:
        """Go to new starts, which follow from ``iteration``."""
        first = FIRST + iteration * self.sims.size
        self.sims.reset([self.collection.start(first + i) for i in range(self.sims.size)])

    def act(self, action: Tensor) -> None:
        """Carry out normalised actions (N, n) where an episode still runs."""
        if not self.sims.done.all():
            self.sims.step(self.normalizer.denormalize("action", action.numpy()))

    def seen(self) -> tuple[Tensor, Tensor]:
        """Return vectors (N, width) and flags (N,); only success leads to the absorbing state."""
        ended = torch.from_numpy(self.sims.success.astype(np.float32))
        seen = vectors(self.sims.observe(), self.spec, self.normalizer)
        return torch.from_numpy(seen) * (1 - ended[:, None]), ended
