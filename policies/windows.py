"""What a training step sees: windows of demonstrations, gathered from arrays."""

from collections.abc import Sequence

import numpy as np

from envs.arm import Array
from policies.dataset import EpisodeSet


class Sampler:
    """Windows of some episodes, gathered by indexing alone: nothing runs once an item.

    The window of step t holds the observations t - n_obs + 1 .. t, repeated at the episode's
    start, and the actions t .. t + chunk - 1; beyond the episode's end the last action is
    repeated and ``pad`` is True, as it is where an expert was not asked.
    """

    def __init__(
        self,
        data: EpisodeSet,
        episodes: Sequence[int],
        n_obs: int,
        chunk: int,
        offsets: tuple[int, ...] = (),
        sequence: tuple[int, int] = (1, 1),
    ) -> None:
        """Prepare the windows of ``episodes``, one a step.

        Args:
            data: the demonstrations.
            episodes: those to draw from.
            n_obs: observations in a window.
            chunk: actions in a window.
            offsets: columns of an action that are given as offsets from qpos of step t.
            sequence: number of windows that are drawn together, and the steps between them.
        """
        self.data = data
        self._offsets = list(offsets)
        count, stride = sequence
        self._sequence = stride * np.arange(count)
        self.rows = data.steps(episodes)
        first = [np.full(data.lengths[i], data.starts[i]) for i in episodes]
        self._first = np.concatenate(first) if first else self.rows
        last = [np.full(data.lengths[i], data.starts[i] + data.lengths[i] - 1) for i in episodes]
        self._last = np.concatenate(last) if last else self.rows
        known = data.labelled
        self._drawn = None if known is None else np.flatnonzero(known[self.rows])
        self._weights = None
        if data.shares is not None and len(episodes):
            self._weights = np.cumsum(
                data.shares[list(episodes)] / data.shares[list(episodes)].sum()
            )
            self._lengths = data.lengths[list(episodes)]
            self._begin = np.cumsum(self._lengths) - self._lengths
        self._past = np.arange(1 - n_obs, 1)
        self._ahead = np.arange(chunk)

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.rows)

    def batch(self, rng: np.random.Generator, size: int) -> dict[str, Array]:
        """Draw ``size`` sequences of windows with replacement, see ``sequences``."""
        return self.sequences(self.draw(rng, size))

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        """Return where ``size`` sequences begin (size,), drawn with replacement.

        Where an expert has labelled some steps only, windows begin at these; where episodes are
        not drawn by their lengths, an episode is drawn first and then a step of it.
        """
        if self._weights is not None:
            which = np.searchsorted(self._weights, rng.random(size), side="right")
            which = np.minimum(which, len(self._lengths) - 1)
            return np.asarray(self._begin[which] + rng.integers(self._lengths[which]))
        if self._drawn is None:
            return rng.integers(len(self.rows), size=size)
        return np.asarray(self._drawn[rng.integers(len(self._drawn), size=size)])

    def sequences(self, first: Array) -> dict[str, Array]:
        """Return the windows of the sequences that begin at ``first`` (B,), one after the other.

        Beyond the episode's end its last window is repeated, all of it marked as ``pad``.
        """
        if len(self._sequence) == 1:
            return self.windows(first)
        which = first[:, None] + self._sequence
        left = (self._last[first] - self.rows[first])[:, None]
        beyond = self._sequence > left
        batch = self.windows(np.minimum(which, first[:, None] + left).ravel())
        batch["pad"] |= beyond.ravel()[:, None]
        return batch

    def windows(self, which: Array) -> dict[str, Array]:
        """Return windows by index (B,): observations (B, n_obs, ...), action, pad."""
        now, first = self.rows[which], self._first[which]
        past = np.maximum(now[:, None] + self._past, first[:, None])
        batch = {key: array.take(past, axis=0) for key, array in self.data.observations.items()}
        batch["action"], batch["pad"] = self.actions(which)
        if self.data.told is not None:
            row = np.searchsorted(self.data.starts, now, side="right") - 1
            batch["sentence"] = self.data.told[row]
        return batch

    def actions(self, which: Array) -> tuple[Array, Array]:
        """Return the actions (B, chunk, n) of windows by index (B,), and pad (B, chunk)."""
        now, last = self.rows[which], self._last[which][:, None]
        ahead = now[:, None] + self._ahead
        inside = np.minimum(ahead, last)
        actions = self.data.actions.take(inside, axis=0)
        if self._offsets:
            here = self.data.observations["qpos"][now]
            actions[..., self._offsets] -= here[:, None, self._offsets]
        pad = ahead > last
        if self.data.labelled is not None:
            pad |= ~self.data.labelled[inside]
        return actions, pad
