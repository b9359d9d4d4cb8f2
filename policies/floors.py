"""Policies that cannot see: what any trained policy must beat.

``hold`` stays where it starts; ``random`` wanders; ``replay`` plays the demonstration whose start
looks most like the present one, open loop. The fourth floor, a blind policy, is a trained one
whose observations leave the scene out (``armtrials train --blind``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from envs.arm import ArmSpec, Array
from envs.errors import UsageError
from policies.base import PolicySpec
from policies.dataset import EpisodeSet, Reading

FLOOR = "floor:"
HOLD_S = 0.5
"""How long the random policy keeps a target."""
THUMBNAIL = 12
"""Side of the thumbnails by which replay compares images."""


def _spec(arm: ArmSpec, task: str, track: str, steps: int = 1) -> PolicySpec:
    return PolicySpec(
        arm=arm.name, joints=arm.joints, control_hz=arm.control_hz, task=task, track=track,
        observations={"qpos": (arm.n,)}, n_obs=1, chunk=steps, execute=steps,
    )  # fmt: skip


class HoldPolicy:
    """Commands the position in which the trial began."""

    name = "hold"

    def __init__(self, arm: ArmSpec, task: str, track: str) -> None:
        """Make the policy for ``arm``."""
        self.spec = _spec(arm, task, track)
        self._start: Array | None = None

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Forget the position."""
        self._start = None

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return the first position seen, (batch, 1, n)."""
        if self._start is None:
            self._start = np.array(obs["qpos"][:, -1:], np.float32)
        return self._start.copy()


class RandomPolicy:
    """Commands uniformly drawn targets within the joint limits, each for ``HOLD_S``."""

    name = "random"

    def __init__(self, arm: ArmSpec, task: str, track: str) -> None:
        """Make the policy for ``arm``."""
        self.spec = _spec(arm, task, track, max(1, round(HOLD_S * arm.control_hz)))
        self._arm = arm
        self._generators: list[np.random.Generator] = []

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new sequences, one a seed."""
        self._generators = [np.random.default_rng(seed) for seed in seeds]

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return one target a row, repeated over the chunk."""
        targets = [g.uniform(self._arm.lower, self._arm.upper) for g in self._generators]
        return np.repeat(np.array(targets, np.float32)[:, None], self.spec.chunk, axis=1)


class ReplayPolicy:
    """Plays, open loop, the training demonstration whose first observation is nearest.

    Nearest: Euclidean over the normalised vectors and thumbnails of the images.
    """

    name = "replay"

    def __init__(self, arm: ArmSpec, task: str, data: EpisodeSet) -> None:
        """Keep the starts and the actions of the training split.

        Raises:
            UsageError: the demonstrations are of another arm or task.
        """
        longest = int(data.lengths[list(data.train)].max())
        base = _spec(arm, task, data.reading.track, longest)
        if data.actions.shape[1] != arm.n or (data.meta.task or task) != task:
            raise UsageError(
                f"demonstrations of {data.meta.task or 'an unnamed task'} with "
                f"{data.actions.shape[1]} joints cannot be replayed on {task} with {arm.n}"
            )
        self.spec = PolicySpec(**{**base.__dict__, "observations": data.recorded})
        train = [data.names[i] for i in data.train]
        self.data = {"fingerprint": data.fingerprint, "episodes": len(data), "train": train}
        starts = data.starts[list(data.train)]
        first = {key: array[starts] for key, array in data.observations.items()}
        self._scale = {key: _spread(_features(key, values)) for key, values in first.items()}
        self._starts = self._encode(first)
        steps = np.minimum(np.arange(longest), data.lengths[list(data.train), None] - 1)
        self._actions = data.actions[starts[:, None] + steps]
        self._choice: Array | None = None

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials."""
        self._choice = None

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return the whole demonstration; after its end, its last action."""
        if self._choice is not None:
            return np.repeat(self._actions[self._choice][:, -1:], self.spec.chunk, axis=1)
        seen = self._encode({key: obs[key][:, -1] for key in self.spec.observations})
        distance = np.square(seen[:, None] - self._starts).sum(-1)
        self._choice = distance.argmin(1)
        chunk: Array = self._actions[self._choice]
        return chunk

    def _encode(self, obs: Mapping[str, Array]) -> Array:
        """(batch, ...) by key -> (batch, features), each key's features of like weight."""
        return np.concatenate(
            [_features(key, obs[key]) / scale for key, scale in self._scale.items()], axis=1
        )


def _features(key: str, values: Array) -> Array:
    """Return vectors as they are and images as thumbnails 0..1, (batch, features)."""
    if not key.startswith("images/"):
        return np.asarray(values, np.float64)
    rows, columns = (min(THUMBNAIL, side) for side in values.shape[1:3])
    height, width = values.shape[1] // rows, values.shape[2] // columns
    cut = values[:, : rows * height, : columns * width]
    blocks = cut.reshape(len(cut), rows, height, columns, width, 3)
    thumbnails: Array = blocks.mean((2, 4)).reshape(len(cut), -1) / 255
    return thumbnails


def _spread(values: Array) -> Array:
    """Return a scale a feature: its deviation over the starts, 1 where it never varies."""
    deviation = values.std(0)
    return np.where(deviation < 1e-3, 1.0, deviation)


def load_floor(
    name: str, arm: ArmSpec, task: str, track: str
) -> HoldPolicy | RandomPolicy | ReplayPolicy:
    """Make a floor by name: ``floor:hold``, ``floor:random`` or ``floor:replay:<data folder>``.

    Raises:
        UsageError: an unknown floor, or replay without its demonstrations.
    """
    kind, _, folder = name.removeprefix(FLOOR).partition(":")
    if kind == "hold":
        return HoldPolicy(arm, task, track)
    if kind == "random":
        return RandomPolicy(arm, task, track)
    if kind != "replay":
        raise UsageError(f"unknown floor {kind!r}; known: hold, random, replay:<data folder>")
    if not folder:
        raise UsageError("floor:replay needs its demonstrations: floor:replay:<data folder>")
    return ReplayPolicy(arm, task, EpisodeSet.load(Path(folder), Reading(track=track)))
