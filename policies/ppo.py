"""Proximal policy optimisation, lean: advantages and the clipped objective.

Schulman et al. 2016 (advantages), 2017 (objective). A batch of simulations is rolled out for whole
episodes of one length, so there is no bookkeeping of resets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

NORM = 0.5
"""Largest norm of the gradient of the policy, and of the value."""


@dataclass(frozen=True)
class Steps:
    """An iteration's steps, flat (B = T N).

    Attributes:
        seen: vectors (B, width).
        ended: (B,) 1 in the absorbing state.
        action: (B, n).
        chance: log density (B,) of the action when it was drawn.
        advantage: (B,), of mean 0 and deviation 1 where the policy decides.
        worth: (B,) that the value is to learn.
    """

    seen: Tensor
    ended: Tensor
    action: Tensor
    chance: Tensor
    advantage: Tensor
    worth: Tensor

    def take(self, rows: Tensor) -> "Steps":
        """Return some of the steps."""
        columns = (self.seen, self.ended, self.action, self.chance, self.advantage, self.worth)
        return Steps(*(column[rows] for column in columns))


def advantages(
    reward: Tensor, value: Tensor, last: Tensor, discount: float, trace: float
) -> Tensor:
    """Return generalised advantages (T, N): sums of discounted one-step errors.

    Args:
        reward: (T, N).
        value: (T, N), of the state before each step.
        last: (N,), of the state after the last step: the clock ends an episode, not the task.
        discount: gamma.
        trace: lambda; 0 trusts the value, 1 the rewards.
    """
    after = torch.cat([value[1:], last[None]])
    errors = reward + discount * after - value
    result, running = torch.empty_like(errors), torch.zeros_like(last)
    for t in reversed(range(len(errors))):
        running = errors[t] + discount * trace * running
        result[t] = running
    return result


def standardised(advantage: Tensor, counts: Tensor) -> Tensor:
    """Return advantages (B,) of mean 0 and deviation 1 over the steps that ``counts`` (B,) bool."""
    chosen = advantage[counts]
    if len(chosen) < 2:
        return torch.zeros_like(advantage)
    return (advantage - chosen.mean()) / (chosen.std() + 1e-8)


def surrogate(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return the clipped objective (B,), to be raised."""
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
