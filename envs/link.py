"""Between a policy and the simulated arm: delayed commands, stale or noisy sensors."""

from collections.abc import Sequence

import numpy as np

from envs.arm import Array, InitialCondition
from envs.gap import gap_of, play
from envs.optics import Lens

CONTROL_HZ = 50.0
SLOTS = 16  # commands kept, so the longest delay is 15 control periods (300 ms)


class Link:
    """Delays and disturbances of N simulations, each from its own seed.

    Attributes:
        delayed: whether any command is, or meets a play; if not, ``send`` need not be called.
        disturbed: whether any observation is stale or noisy; if not, the frames are as they are.
        lenses: what becomes of the images of each, N.
    """

    def __init__(self, starts: Sequence[InitialCondition], first: Array, horizon: int) -> None:
        """Prepare N links; ``first`` (N, n) is the command in force before the first action."""
        self.rows = np.arange(len(starts))
        delays = [s.factors.get("action_delay", {}).get("steps", 0) for s in starts]
        observed = [s.factors.get("observation", {}) for s in starts]
        gaps = [gap_of(s.factors) for s in starts]
        late = [round(gap.latency * CONTROL_HZ) for gap in gaps]
        self.delay = np.array(delays) + late
        noise = np.array([o.get("joint_noise", 0.0) for o in observed])
        self.sigma = np.hypot(noise, [gap.noise for gap in gaps])
        self.backlash = np.array([[gap.backlash] for gap in gaps])
        self.driven = first.copy()
        self.lenses = [Lens.of(s.factors) for s in starts]
        self.delayed = bool(self.delay.any() or self.backlash.any())
        self.disturbed = any(observed) or any(gap.noise for gap in gaps)
        self.commands = np.repeat(first[None], SLOTS, axis=0)
        self.noise, self.dropped = self._draw(starts, horizon, first.shape[1])

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

    def send(self, command: Array, t: int) -> Array:
        """Take commands (N, n) in control period ``t``; return the ones that reach the arm then."""
        self.commands[t % SLOTS] = command
        arrived: Array = self.commands[(t - self.delay) % SLOTS, self.rows]
        self.driven = play(self.driven, arrived, self.backlash)
        return self.driven

    def fresh(self, t: int) -> Array:
        """Tell which simulations (N,) deliver a new frame after ``t`` control periods."""
        fresh: Array = ~self.dropped[min(t, len(self.dropped) - 1)]
        return fresh

    def joint_noise(self, t: int) -> Array:
        """Return the joint noise (N, n) after ``t`` control periods, rad and opening."""
        noise: Array = self.noise[min(t, len(self.noise) - 1)]
        return noise
