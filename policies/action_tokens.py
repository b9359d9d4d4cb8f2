"""Actions as tokens: each dimension's range in equal bins, a token a bin (RT-2, OpenVLA).

OpenVLA (Kim et al. 2024) cuts the range between the 1st and the 99th percentile into 256 bins. Here
actions come scaled by the training split's minimum and maximum, so the range is -1..1.
"""

import torch
from torch import Tensor

BINS = 256


def to_tokens(actions: Tensor, bins: int = BINS) -> Tensor:
    """Return the bins 0..bins - 1 of actions (..., n) in -1..1; what lies beyond is in the last."""
    return ((actions.float() + 1) * (bins / 2)).floor().long().clamp(0, bins - 1)


def to_actions(tokens: Tensor, bins: int = BINS) -> Tensor:
    """Return the middles of bins, float32."""
    return (tokens.to(torch.float32) + 0.5) * (2 / bins) - 1
