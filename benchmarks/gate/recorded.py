"""Recorded observations: what a policy answers to them, beside what was demonstrated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.arm import Array
from policies.base import Policy, PolicySpec
from policies.dataset import EpisodeSet, Reading
from policies.mixture import join
from policies.stream import Stream, stream_again
from policies.trained import LearnedPolicy
from policies.windows import Sampler

COUNT = 1000
"""Recorded observations the gate asks for."""
ROWS = 50
"""Observations predicted together."""
FLOOR = 0.02
"""Least scale of an error [rad; opening]: a joint that hardly moves must not decide."""


@dataclass(frozen=True)
class Recorded:
    """Observations with the actions that were demonstrated from there.

    Attributes:
        observations: by key, (N, n_obs, ...).
        actions: (N, chunk, n); ``inside`` (N, chunk) tells which are within the episode.
        learned: (N,) bool, of an episode of the training split.
        scale: (n,) spread of the demonstrated actions, of which errors are shares.
        told: (N,) what the demonstrator was asked to do, in words; None: no policy reads it.
    """

    observations: Mapping[str, Array]
    actions: Array
    inside: Array
    learned: Array
    scale: Array
    told: Array | None = None

    def __len__(self) -> int:
        """Count the observations."""
        return len(self.actions)

    def part(self, rows: Array) -> "Recorded":
        """Return some of them, by index."""
        seen = {key: value[rows] for key, value in self.observations.items()}
        kept = (self.actions[rows], self.inside[rows], self.learned[rows])
        told = None if self.told is None else self.told[rows]
        return Recorded(seen, *kept, self.scale, told)

    def seeing(self, observations: Mapping[str, Array]) -> "Recorded":
        """Return the same with other observations."""
        return replace(self, observations=observations)

    @property
    def instructions(self) -> list[str]:
        """What a policy is told for each observation, empty where it reads none."""
        return [""] * len(self) if self.told is None else [str(words) for words in self.told]


def load_data(folders: Sequence[Path], policy: LearnedPolicy) -> EpisodeSet:
    """Read the demonstrations as the policy's training did, images as recorded.

    Raises:
        UsageError: a folder holds none, or none for the policy's track.
    """
    sets = [EpisodeSet.load(folder, _reading(policy)) for folder in folders]
    return sets[0] if len(sets) == 1 else join(sets)


def _reading(policy: LearnedPolicy) -> Reading:
    """Return how the policy's training read its episodes."""
    blind = bool(policy.provenance.get("blind"))
    return Reading(policy.spec.track, blind, language=policy.spec.language)


def learned_of(origin: Mapping[str, Any], data: EpisodeSet) -> tuple[int, ...]:
    """Return which episodes of ``data`` were learned from, by what a checkpoint says of them."""
    if "stream" in origin:
        return data.train
    named = set(origin.get("train", ()))
    return tuple(i for i, name in enumerate(data.names) if name in named)


def stream_of(policy: LearnedPolicy, told: Mapping[str, Any]) -> EpisodeSet:
    """Make the first demonstrations of a stream again, as a training began with them.

    Raises:
        UsageError: they cannot be made again.
    """
    return _packed(Stream(stream_again(told), _reading(policy)).data)


def _packed(data: EpisodeSet) -> EpisodeSet:
    """Return the episodes of a stream without the room that it keeps behind each."""
    rows = data.steps(range(len(data)))
    return replace(
        data,
        observations={key: array[rows] for key, array in data.observations.items()},
        actions=data.actions[rows],
        starts=np.cumsum(data.lengths) - data.lengths,
    )


def record_of(data: EpisodeSet, policy: LearnedPolicy, count: int = COUNT) -> Recorded:
    """Choose ``count`` observations, evenly over all episodes of ``data``."""
    spec = policy.spec
    windows = Sampler(data, range(len(data)), spec.n_obs, spec.chunk)
    which = np.linspace(0, len(windows) - 1, min(count, len(windows))).astype(int)
    batch = windows.windows(which)
    learned = set(learned_of(policy.provenance.get("data", {}), data))
    episode = np.searchsorted(data.starts, windows.rows[which], side="right") - 1
    return Recorded(
        observations={key: batch[key] for key in spec.observations},
        actions=batch["action"],
        inside=~batch["pad"],
        learned=np.array([int(i) in learned for i in episode]),
        scale=np.maximum(data.actions.std(0), FLOOR),
        told=batch.get("sentence"),
    )


def answers(policy: Policy, recorded: Recorded) -> Array:
    """Return what a policy predicts for each observation, a trial of its own with its words."""
    chunks, told = [], recorded.instructions
    for first in range(0, len(recorded), ROWS):
        rows = slice(first, first + ROWS)
        policy.reset(told[rows], list(range(len(recorded))[rows]))
        batch = {key: value[rows] for key, value in recorded.observations.items()}
        chunks.append(np.asarray(policy.act(batch)))
    return np.concatenate(chunks)


def errors(predicted: Array, recorded: Recorded, spec: PolicySpec) -> Array:
    """Return the error (N, n) of each joint over what would be executed, in shares of its spread.

    Beyond the episode's end nothing counts; a row without any step counts as 0.
    """
    ahead = slice(0, spec.execute)
    gap = np.abs(predicted[:, ahead] - recorded.actions[:, ahead]) / recorded.scale
    inside = recorded.inside[:, ahead, None]
    steps = np.maximum(inside.sum(1), 1)
    mean: Array = np.where(inside, gap, 0.0).sum(1) / steps
    return mean


def typical(error: Array) -> float:
    """Return the typical error: mean over joints, median over observations; NaN counts as inf."""
    rows = np.nan_to_num(error, nan=np.inf).mean(1)
    return float(np.median(rows)) if len(rows) else 0.0


def spread_rows(count: int, wanted: int) -> Array:
    """Return at most ``wanted`` of ``count`` indices, evenly spread."""
    rows: Array = np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(int))
    return rows


def follow(policy: Policy, data: EpisodeSet, episodes: Sequence[int], calls: int) -> Array:
    """Return the typical error at each of the first ``calls`` predictions of a trial (calls,).

    The trials follow recorded episodes: a prediction every ``execute`` steps, as when it acts.
    """
    spec = policy.spec
    longest = [i for i in episodes if data.lengths[i] > (calls - 1) * spec.execute]
    if not longest:
        return np.zeros(0)
    windows = Sampler(data, longest, spec.n_obs, spec.chunk)
    first = np.cumsum([0, *(data.lengths[i] for i in longest[:-1])])
    told = [""] * len(longest) if data.told is None else data.told[longest].tolist()
    policy.reset(told, list(range(len(longest))))
    scale = np.maximum(data.actions.std(0), FLOOR)
    found = []
    for call in range(calls):
        batch = windows.windows(first + call * spec.execute)
        seen = {key: batch[key] for key in spec.observations}
        recorded = Recorded(seen, batch["action"], ~batch["pad"], np.ones(len(longest)), scale)
        found.append(typical(errors(np.asarray(policy.act(seen)), recorded, spec)))
    return np.array(found)
