"""Between a policy and the simulated arm: delayed commands, stale or noisy sensors."""

from collections.abc import Sequence

import numpy as np

from envs.arm import Array, InitialCondition

SLOTS = 8  # commands kept, so the longest delay is 7 control periods (140 ms)


class Link:
    """Delays and disturbances of N simulations, each from its own seed.

    Attributes:
        active: whether any simulation has a disturbance; the others pay nothing.
        jpeg: quality of images as they arrive (100: untouched), (N,).
    """

    def __init__(self, starts: Sequence[InitialCondition], first: Array, horizon: int) -> None:
        """Prepare N links; ``first`` (N, n) is the command in force before the first action."""
        self.rows = np.arange(len(starts))
        delays = [s.factors.get("action_delay", {}).get("steps", 0) for s in starts]
        observed = [s.factors.get("observation", {}) for s in starts]
        self.delay = np.array(delays)
        self.sigma = np.array([o.get("joint_noise", 0.0) for o in observed])
        self.jpeg = np.array([o.get("jpeg", 100) for o in observed])
        self.delayed = bool(self.delay.any())
        self.disturbed = any(observed)
        self.commands = np.repeat(first[None], SLOTS, axis=0)
        self.noise, self.dropped = self._draw(starts, horizon, first.shape[1])
        self.t = 0

    def _draw(
        self, starts: Sequence[InitialCondition], horizon: int, n: int
    ) -> tuple[Array, Array]:
        """Draw joint noise (T, N, n) in rad and dropped frames (T, N) for the whole episode."""
        if not self.disturbed:
            return np.zeros((0, 0, 0)), np.zeros((0, 0), bool)
        noise = np.zeros((horizon + 1, len(starts), n))
        dropped = np.zeros((horizon + 1, len(starts)), bool)
        for i, start in enumerate(starts):
            rng = np.random.default_rng(start.seed)
            noise[:, i] = rng.normal(size=(horizon + 1, n)) * self.sigma[i]
            drop = start.factors.get("observation", {}).get("drop", 0.0)
            dropped[:, i] = rng.random(horizon + 1) < drop
        dropped[0] = False  # the first frame of an episode is waited for
        return noise, dropped

    def send(self, command: Array) -> Array:
        """Take commands (N, n) and return the ones that reach the arm in this period."""
        if not self.delayed:
            return command
        self.commands[self.t % SLOTS] = command
        arrived: Array = self.commands[(self.t - self.delay) % SLOTS, self.rows]
        return arrived

    def advance(self) -> None:
        """Go on to the next control period."""
        self.t += 1

    def fresh(self) -> Array:
        """Tell which simulations (N,) deliver a new frame in this period."""
        fresh: Array = ~self.dropped[min(self.t, len(self.dropped) - 1)]
        return fresh

    def joint_noise(self) -> Array:
        """Return the joint noise (N, n) of this period, rad and opening."""
        noise: Array = self.noise[min(self.t, len(self.noise) - 1)]
        return noise
