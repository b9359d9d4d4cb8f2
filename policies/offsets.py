"""Actions as offsets: each chunk is anchored at the joints' position when it is predicted.

The network then learns where to move from here instead of where to be; ``Policy.act`` gives
absolute targets all the same. An opening of a gripper stays absolute: it is a decision (open,
closed on something), and what the fingers reached says little about what was asked of them.
"""

import numpy as np

from envs.errors import UsageError
from policies.base import AlgorithmConfig, PolicySpec
from policies.normalize import KeyStats
from policies.windows import Sampler

GRIPPER = "gripper"
"""Last word of the name of every joint that is an opening, as of ``left_gripper``."""
BLOCK = 4096  # windows at a time


def offset_columns(config: AlgorithmConfig, spec: PolicySpec) -> tuple[int, ...]:
    """Return the columns of an action that are offsets; none where actions are absolute.

    Raises:
        UsageError: there is no joint position to start from.
    """
    if config.actions == "absolute":
        return ()
    if spec.observations.get("qpos") != (spec.n,):
        found = spec.observations.get("qpos", "none")
        raise UsageError(f"delta actions need qpos of {spec.n} joints, got {found}")
    grips = [name.split("_")[-1] == GRIPPER for name in spec.joints]
    return tuple(i for i, grip in enumerate(grips) if not grip)


def action_stats(windows: Sampler) -> KeyStats:
    """Return the statistics of the actions as the windows hold them, padding left out."""
    count, low, high, total, squares = 0, np.inf, -np.inf, 0.0, 0.0
    for begin in range(0, len(windows), BLOCK):
        which = np.arange(begin, min(begin + BLOCK, len(windows)))
        actions, pad = windows.actions(which)
        inside = actions[~pad].astype(np.float64)
        count += len(inside)
        low, high = np.minimum(low, inside.min(0)), np.maximum(high, inside.max(0))
        total, squares = total + inside.sum(0), squares + np.square(inside).sum(0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 0.0))
    return KeyStats(count, *(tuple(np.asarray(c).tolist()) for c in (low, high, mean, std)))
