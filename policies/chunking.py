"""From chunks of predicted actions to one action a control step: outside the algorithms."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from envs.arm import Array
from policies.base import Policy, PolicySpec


def usual_execute(spec: PolicySpec, ensemble: float | None, delay: int = 0) -> int:
    """Return the steps between predictions unless others are asked for.

    The policy's own (fewer where a delay leaves no more actions to carry out), and with an
    ensemble as few as one prediction at a time allows.
    """
    if ensemble is not None:
        return max(1, delay)
    return max(1, min(spec.execute, spec.chunk - delay))


def timing_problem(chunk: int, execute: int, delay: int) -> str:
    """Say why chunks cannot be carried out so; empty where they can."""
    if not 1 <= execute <= chunk:
        return f"execute must be in 1..chunk={chunk}, got {execute}"
    if 2 * delay > chunk:
        return (
            f"delay must be in 0..{chunk // 2}, got {delay}: delay <= execute (one prediction is "
            f"computed at a time) and delay + execute <= chunk {chunk} (the actions must last)"
        )
    if not 0 <= delay <= execute:
        return (
            f"delay must be in 0..execute={execute} (one prediction is computed at a time), "
            f"got {delay}"
        )
    if execute + delay > chunk:
        return (
            f"execute + delay must be at most chunk={chunk}, got {execute} + {delay}: "
            "the actions would run out before the next ones are there"
        )
    return ""


class Controller:
    """Executes a batched policy step by step.

    Receding horizon: every ``execute`` steps a chunk is predicted and its first ``execute``
    actions are carried out. Temporal ensemble (Zhao et al. 2023): a chunk is predicted every
    ``execute`` steps (by default every step) and the action is the weighted mean of all
    predictions made for the present step, w_i = exp(-m i), i = 0 the *oldest*. Which predictions
    count follows from when they were made, never from their values.

    Delay (real-time chunking, Black et al. 2025): a prediction takes ``delay`` steps of simulated
    time and is computed while the actions before it run. One begun at step s is in force from step
    s + ``delay`` on; its first ``delay`` actions are those already committed to. Before the first
    prediction is there, the position seen at the start is held. One prediction is computed at a
    time, so ``delay`` is at most ``execute``.

    A row for which the policy gives NaN, infinity or a wrong shape is marked in ``errors`` and
    holds its last action (before the first action: its position) for the rest of the trial.

    Attributes:
        step: control steps so far.
        errors: (rows,) bool, where the policy's answer could not be carried out.
        predicted: chunks (rows, chunk, n) that were predicted at the last step, None where none.
        seconds: what these took to compute [s].
    """

    def __init__(
        self,
        policy: Policy,
        execute: int | None = None,
        ensemble: float | None = None,
        delay: int = 0,
    ) -> None:
        """Wrap ``policy``.

        Args:
            policy: what predicts.
            execute: steps between predictions; default: ``usual_execute``.
            ensemble: m of the temporal ensemble; ``None`` for receding horizon.
            delay: steps that a prediction takes.
        """
        spec = policy.spec
        usual = usual_execute(spec, ensemble, delay)
        self.execute = usual if execute is None else execute
        if problem := timing_problem(spec.chunk, self.execute, delay):
            raise ValueError(problem)
        if ensemble is not None and not ensemble >= 0:
            raise ValueError(f"ensemble must not be negative, got {ensemble}")
        self.policy = policy
        self.ensemble = ensemble
        self.delay = delay
        self.step = 0
        self.errors = np.zeros(0, bool)
        self.predicted: Array | None = None
        self.seconds = 0.0
        # receding horizon: the prediction in force, and the one that is being computed
        self._slots = (1 + (delay > 0)) if ensemble is None else -(-spec.chunk // self.execute)

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials, one a seed."""
        spec, rows = self.policy.spec, len(seeds)
        self.policy.reset(instructions, seeds)
        self.step = 0
        self.errors = np.zeros(rows, bool)
        self._history: list[Mapping[str, Array]] = []
        self._last: Array | None = None
        # one slot a prediction still in force: the one made at step s lies in (s / execute) % slots
        self._ring = np.zeros((self._slots, rows, spec.chunk, spec.n), np.float32)

    def wants(self) -> bool:
        """Tell whether ``action`` needs an observation at this step.

        That is where a prediction is due, and on the ``n_obs - 1`` steps before it.
        """
        until = -self.step % self.execute
        return until < self.policy.spec.n_obs

    def action(self, obs: Mapping[str, Array] | None) -> Array:
        """Return the actions (batch, n) float32 of this step and go to the next.

        Args:
            obs: observations with a leading batch axis; may be ``None`` where ``wants()`` is false.

        Raises:
            ValueError: an observation is needed and missing.
        """
        if self.wants():
            if obs is None:
                raise ValueError(f"step {self.step} needs an observation, got None")
            self._remember(obs)
        self.predicted = self._predict()
        action = self._mix()
        if self._last is not None:
            action = np.where(self.errors[:, None], self._last, action)
        self._last = action
        self.step += 1
        return action

    def _remember(self, obs: Mapping[str, Array]) -> None:
        """Keep the last ``n_obs`` observations, copied; the first one is repeated."""
        spec = self.policy.spec
        copied = {key: np.array(obs[key]) for key in spec.observations}
        if self._last is None and "qpos" in obs and obs["qpos"].shape[-1] == spec.n:
            self._last = np.array(obs["qpos"], np.float32)
        repeats = 1 if self._history else spec.n_obs
        self._history = (self._history + [copied] * repeats)[-spec.n_obs :]

    def _predict(self) -> Array | None:
        """Predict where it is due; return the chunks (rows, chunk, n), None where none are."""
        if self.step % self.execute:
            return None
        return self._keep(self.step, *self._asked(self._seen()))

    def _seen(self) -> Mapping[str, Array]:
        """Return what the policy is asked with: copies (rows, n_obs, ...)."""
        keys = self.policy.spec.observations
        return {key: np.stack([obs[key] for obs in self._history], axis=1) for key in keys}

    def _asked(self, seen: Mapping[str, Array]) -> tuple[Array, float]:
        """Return what the policy answers, and what that took [s]."""
        began = time.perf_counter()
        return np.asarray(self.policy.act(seen)), time.perf_counter() - began

    def _keep(self, begun: int, chunk: Array, seconds: float) -> Array:
        """Put chunks that were begun at step ``begun`` into the ring; return them."""
        spec, rows = self.policy.spec, len(self.errors)
        self.seconds = seconds
        shape = (rows, spec.chunk, spec.n)
        if chunk.shape != shape or chunk.dtype.kind not in "fiu":
            self.errors[:] = True
            chunk = np.zeros(shape, np.float32)
        broken = np.asarray(~np.isfinite(chunk).all(axis=(1, 2)))
        self.errors |= broken
        slot = begun // self.execute % self._slots
        self._ring[slot] = np.where(broken[:, None, None], 0, chunk)
        made: Array = self._ring[slot].copy()
        return made

    def _mix(self) -> Array:
        """Return the action of this step from the predictions in force."""
        newest = (self.step - self.delay) // self.execute
        if newest < 0:
            return self._held()
        if self.ensemble is None:
            at = self.step - newest * self.execute
            current: Array = self._ring[newest % self._slots, :, at].copy()
            return current
        chunk = self.policy.spec.chunk
        oldest = max(0, -(-(self.step - chunk + 1) // self.execute))
        made = np.arange(oldest, newest + 1)
        weights = np.exp(-self.ensemble * np.arange(len(made)))
        predictions = self._ring[made % self._slots, :, self.step - made * self.execute]
        mean = np.einsum("p,pbn->bn", weights / weights.sum(), predictions)
        action: Array = mean.astype(np.float32)
        return action

    def _held(self) -> Array:
        """Return what is commanded before the first prediction is there."""
        if self._last is None:
            raise ValueError("a delay needs qpos, the position to hold until the first prediction")
        return self._last.copy()
