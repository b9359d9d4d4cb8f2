"""GAIL's two sides as arrays of one form: steps of demonstrations and steps of the policy.

A step is the normalised vectors of an observation, a flag that is 1 in the absorbing state, and the
normalised action. Whoever has ended his episode is in the absorbing state until the horizon.
"""

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


@dataclass(frozen=True)
class Rollout:
    """Episodes of one length.

    Attributes:
        steps: (T, N, width + 1 + n), as the discriminator sees them.
        chance: log density of the actions (T, N).
        last: vectors and flag after the last step (N, width + 1).
        success: share of the episodes.
    """

    steps: Tensor
    chance: Tensor
    last: Tensor
    success: float


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
        first = FIRST + iteration * sims.size
        sims.reset([self.collection.start(first + i) for i in range(sims.size)])
        spread, steps, chances = policy.log_spread.exp(), [], []
        for _ in range(sims.horizon):
            seen, ended = self._seen()
            mean = policy.mean(seen)
            action = mean + spread * torch.randn(mean.shape, generator=noise)
            chances.append(policy.log_chance(seen, action))
            shown = action * (1 - ended[:, None])
            steps.append(torch.cat([seen, ended[:, None], shown], dim=-1))
            if not sims.done.all():
                sims.step(self.normalizer.denormalize("action", action.numpy()))
        seen, ended = self._seen()
        last = torch.cat([seen, ended[:, None]], dim=-1)
        return Rollout(torch.stack(steps), torch.stack(chances), last, float(sims.success.mean()))

    def _seen(self) -> tuple[Tensor, Tensor]:
        """Return vectors (N, width) and flags (N,); only success leads to the absorbing state."""
        ended = torch.from_numpy(self.sims.success.astype(np.float32))
        seen = vectors(self.sims.observe(), self.spec, self.normalizer)
        return torch.from_numpy(seen) * (1 - ended[:, None]), ended
