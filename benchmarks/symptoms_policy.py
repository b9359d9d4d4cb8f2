"""What can be measured of a policy without a trial: its statistics, and what it predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.retrace import Walk
from envs.arm import Array
from policies.base import Policy, PolicySpec
from policies.dataset import EpisodeSet
from policies.normalize import Normalizer

EVERY = 17
"""Control steps between two states of a demonstration that the policy is asked in."""
EPISODES = 24
ROWS = 32


@dataclass(frozen=True)
class Scaling:
    """How a policy's scaling differs from what its demonstrations ask for.

    Attributes:
        off: largest distance of a centre from where it should be, in its scale.
        factor: largest ratio, at least 1, of a scale to what it should be.
        where: key and dimension of the larger of the two.
        mode: how values are scaled.
    """

    off: float
    factor: float
    where: str
    mode: str


def scaling(normalizer: Normalizer, data: EpisodeSet) -> Scaling:
    """Compare the statistics of a checkpoint with those of its demonstrations, recomputed.

    Of either way of scaling (``minmax``, ``meanstd``) the policy's own is taken.
    """
    right, mode = data.stats(), normalizer.mode
    found = Scaling(0.0, 1.0, "", mode)
    worst = 0.0
    for key in sorted(set(right.keys) & set(normalizer.stats.keys)):
        should = _affine(Normalizer(right, mode), key)
        has = _affine(normalizer, key)
        off = np.abs(has[0] - should[0]) / should[1]
        factor = np.maximum(has[1] / should[1], should[1] / has[1])
        each = off + np.log(factor)
        i = int(np.argmax(each))
        if each[i] > worst:
            worst = float(each[i])
            found = Scaling(float(off[i]), float(factor[i]), f"{key}[{i}]", mode)
    return found


def _affine(normalizer: Normalizer, key: str) -> tuple[Array, Array]:
    """Return shift and scale of a key: what 0 and 1 stand for."""
    n = len(normalizer.stats.keys[key].mean)
    shift = normalizer.denormalize(key, np.zeros(n))
    return shift, normalizer.denormalize(key, np.ones(n)) - shift


@dataclass(frozen=True)
class Forced:
    """How well a policy predicts what was demonstrated, shown the demonstrations' own states.

    Attributes:
        error: mean error of the joints over the actions that would be carried out [rad].
        ratio: that error over the one of a policy that stays where it is.
        first: mean error of the first of these actions [rad].
    """

    error: float
    ratio: float
    first: float


def teacher_forced(policy: Policy, shown: Sequence[Walk], hinges: Array) -> Forced:
    """Ask the policy in states of the demonstrations; no picture may be needed."""
    spec = policy.spec
    asked = [(walk, t) for walk in shown[:EPISODES] for t in range(0, max(1, len(walk) - 2), EVERY)]
    error, still, first = [], [], []
    for begin in range(0, len(asked), ROWS):
        part = asked[begin : begin + ROWS]
        policy.reset([""] * len(part), list(range(len(part))))
        chunk = policy.act({key: _seen(key, part, spec) for key in spec.observations})
        for (walk, t), row in zip(part, chunk, strict=True):
            true = walk.actions[t : t + spec.execute][:, hinges]
            wrong = np.abs(row[: len(true)][:, hinges] - true)
            error.append(wrong.mean())
            first.append(wrong[0].mean())
            still.append(np.abs(walk.observations["qpos"][t][hinges] - true).mean())
    mean = float(np.mean(error))
    return Forced(mean, mean / max(float(np.mean(still)), 1e-9), float(np.mean(first)))


def _seen(key: str, rows: Sequence[tuple[Walk, int]], spec: PolicySpec) -> Array:
    """Return what a policy would be shown: the last ``n_obs`` observations, the first repeated."""
    ages = range(spec.n_obs - 1, -1, -1)
    return np.array([[w.observations[key][max(0, t - age)] for age in ages] for w, t in rows])
