"""Demonstrations made while a policy learns from them: none is written to disk.

In memory is a window of episodes. As training goes on the oldest one is replaced by a new one, so
what the window holds is a function of the step alone: a training that is interrupted makes the
same window again and goes on to the same bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.collection import Collection, from_definition, identity
from envs.demonstrate import Demonstrator
from envs.episode import Episode
from envs.errors import UsageError
from policies.configs import canonical
from policies.dataset import EpisodeSet, Reading, allocate, check_scene, fill, shape_of

RETRY = 1 << 32
"""Distance of the indices of two attempts at one episode."""
HELD = 1 << 48
"""Index of the first episode that is held out: no training comes that far."""
ATTEMPTS = 20


@dataclass(frozen=True)
class StreamConfig:
    """Which demonstrations are made, and how long one is learned from.

    Attributes:
        collection: how they are made.
        window: episodes in memory that are learned from; the first ones decide the normalisation.
        refresh: gradient steps after which the oldest is replaced by a new one.
    """

    collection: Collection
    window: int = 100
    refresh: int = 10

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if self.window < 2:
            raise UsageError(f"window must be at least 2 episodes, got {self.window}")
        if self.refresh < 1:
            raise UsageError(f"refresh must be at least 1 step, got {self.refresh}")


def stream_again(told: Mapping[str, Any]) -> StreamConfig:
    """Return the stream that ``told``, from a checkpoint's provenance, describes.

    Raises:
        UsageError: it cannot be made again: the simulation is another one since.
    """
    config = StreamConfig(from_definition(told["collection"]), told["window"], told["refresh"])
    if identity(config.collection.definition()) != told["identity"]:
        raise UsageError(
            f"the streamed demonstrations of {config.collection.task} cannot be made again: the "
            "simulation that made them was another one"
        )
    return config


class Stream:
    """The demonstrations of a collection, one after another, for ever.

    Attributes:
        data: what is in memory now: the window, then the episodes held out. Its arrays change.
    """

    data: EpisodeSet

    def __init__(self, config: StreamConfig, reading: Reading) -> None:
        """Make the window of step 0 and the episodes held out, a share of the window's size.

        Raises:
            UsageError: the expert fails too often, or there are no images to learn from.
        """
        self.config, self.reading = config, reading
        self._demonstrator = Demonstrator(config.collection)
        self._places = self._demonstrator.task.horizon
        self._window = np.full(config.window, -1)
        held = round(reading.validation * config.window)
        held = max(1, held) if reading.validation > 0 else 0
        self._begin(self._make(0), held)
        for row in range(held):
            self._put(config.window + row, self._make(HELD + row))
        self.advance(0)

    def advance(self, step: int) -> bool:
        """Bring the window to what it is at gradient step ``step``; tell whether it changed."""
        size = len(self._window)
        newest = size + step // self.config.refresh - 1
        rows = np.arange(size)
        wanted = newest - (newest - rows) % size
        changed = np.flatnonzero(wanted != self._window)
        for row in changed:
            self._put(int(row), self._make(int(wanted[row])))
        self._window = wanted
        return bool(len(changed))

    def provenance(self, step: int) -> dict[str, Any]:
        """Describe what was learned from up to ``step``, as JSON."""
        count = self.config.window + max(0, step - 1) // self.config.refresh
        return {
            "fingerprint": self.data.fingerprint,
            "episodes": count,
            "train": [f"stream 0..{count - 1}"],
            "validation": list(self.data.names[self.config.window :]),
            "excluded": {},
            "stream": {**self._definition(), "seen": count},
        }

    def _begin(self, first: Episode, held: int) -> None:
        """Make room for all episodes, as long as the task allows."""
        rows = self.config.window + held
        shapes = {key: array.shape[1:] for key, array in first.observations.items()}
        keys = [key for key in shapes if self.reading.reads(key)]
        check_scene(keys, self.reading, self.config.collection.task)
        wanted = {key: shape_of(key, shapes[key], self.reading) for key in keys}
        wanted["action"] = first.actions.shape[1:]
        arrays = allocate(wanted, rows * self._places, self.reading.memory_limit)
        names = [f"stream_{row}" for row in range(self.config.window)]
        names += [f"held_{row}" for row in range(held)]
        self.data = EpisodeSet(
            observations={key: arrays[key] for key in keys},
            actions=arrays["action"],
            starts=np.arange(rows) * self._places,
            lengths=np.zeros(rows, np.int64),
            names=tuple(names),
            train=tuple(range(self.config.window)),
            validation=tuple(range(self.config.window, rows)),
            excluded={},
            fingerprint=hashlib.sha256(canonical(self._definition())).hexdigest(),
            meta=first.meta,
            reading=self.reading,
            recorded={key: shapes[key] for key in keys},
            told=np.full(rows, "", object) if self.reading.language else None,
        )

    def _definition(self) -> Mapping[str, Any]:
        definition = self.config.collection.definition()
        return {
            "collection": {k: v for k, v in definition.items() if k != "versions"},
            "identity": identity(definition),
            "window": self.config.window,
            "refresh": self.config.refresh,
        }

    def _make(self, number: int) -> Episode:
        """Return the first success of the attempts at episode ``number``."""
        for attempt in range(ATTEMPTS):
            episode = self._demonstrator.episode(number + attempt * RETRY)
            if episode.meta.success:
                return episode
        raise UsageError(
            f"the expert failed {ATTEMPTS} times at episode {number}: "
            "choose weaker variations or a calmer operator"
        )

    def _put(self, row: int, episode: Episode) -> None:
        arrays = {**self.data.observations, "action": self.data.actions}
        fill(arrays, episode, int(self.data.starts[row]))
        self.data.lengths[row] = len(episode)
        if self.data.told is not None:
            self.data.told[row] = episode.meta.instruction
