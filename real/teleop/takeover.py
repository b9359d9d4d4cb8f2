"""A person takes the arm over from a policy, and hands it back, without a jump.

A leader that gives poses (another arm, moved by hand) is rarely where the arm is. So the arm is
held until the leader has come close; what is still left between them is then faded out while the
person drives. A leader that gives motions (keyboard, gamepad, a tracked hand) is told where the arm
is and takes over at once. The way back is faded the same way: the policy may want to be elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from envs.arm import ArmSpec, Array, Observation
from envs.cartesian import CartesianControl, Hand
from envs.errors import UsageError

POLICY, WAITING, PERSON = "policy", "waiting", "person"


class Leader(Protocol):
    """What a person moves to drive an arm."""

    def engage(self, command: Array) -> None:
        """Prepare to drive an arm whose targets are ``command`` (n,)."""

    def target(self, observation: Observation) -> Array:
        """Return where the person wants the arm now, targets (n,)."""


class Autonomy(Protocol):
    """A policy as one arm sees it.

    Attributes:
        holding: whether it has planned nothing yet, and its last targets are where the arm was.
    """

    holding: bool

    def restart(self) -> None:
        """Forget what was planned: somebody else has moved the arm."""

    def act(self, observation: Observation) -> Array:
        """Return the targets (n,) of this control period."""


class HandLeader:
    """Motions of a hand: they begin wherever the arm is.

    Attributes:
        hand: what the person asks for now.
    """

    def __init__(self, control: CartesianControl) -> None:
        """Turn hands into targets by ``control``."""
        self.control, self.hand = control, Hand()

    def engage(self, command: Array) -> None:
        """Start from where the arm is."""
        self.control.begin(command)

    def target(self, observation: Observation) -> Array:
        """Return the targets (n,) one period further."""
        return self.control.step(self.hand, observation["qpos"])


class PoseLeader:
    """A leader that has a pose of its own, such as another arm."""

    def __init__(self, read: Callable[[], Array]) -> None:
        """Read the leader's joints (n,), as the arm's targets, by ``read``."""
        self.read = read

    def engage(self, command: Array) -> None:
        """Nothing: the leader is where the person has put it."""

    def target(self, observation: Observation) -> Array:
        """Return the leader's pose (n,)."""
        return np.asarray(self.read(), np.float64)


@dataclass(frozen=True)
class Handover:
    """When and how fast the arm changes hands.

    Attributes:
        near: a leader whose joints are all this close takes over [rad; opening].
        blend_s: time in which what is left between them is faded out [s].
    """

    near: float = 0.1
    blend_s: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a hand-over that could be a jump."""
        if not 0 < self.near <= 0.5:
            raise UsageError(f"near must be above 0 and at most 0.5 rad, got {self.near}")
        if not 0.1 <= self.blend_s <= 5:
            raise UsageError(f"blend_s must be 0.1..5 s, got {self.blend_s}")


@dataclass(frozen=True)
class Command:
    """What is sent to the arm, and who decided it: ``policy``, ``waiting`` (held) or ``person``."""

    action: Array
    by: str


class TakeOver:
    """Decides in each control period who drives; every command is within the arm's limits.

    Attributes:
        phase: ``policy``, ``waiting`` (the arm is held for the leader to come) or ``person``.
        gap: largest distance between leader and arm when last looked at [rad; opening].
    """

    def __init__(
        self, spec: ArmSpec, leader: Leader, autonomy: Autonomy, handover: Handover | None = None
    ) -> None:
        """Let ``leader`` take over from ``autonomy`` on an arm of ``spec``."""
        self.spec, self.leader, self.autonomy = spec, leader, autonomy
        self.handover = handover or Handover()
        self.begin(np.array(spec.home))

    def begin(self, command: Array) -> None:
        """Begin an episode with the policy driving from targets ``command`` (n,)."""
        self.phase, self.gap = POLICY, 0.0
        self.last = np.array(command, np.float32)
        self._offset, self._left = np.zeros(len(command)), 0
        self.autonomy.restart()

    def take(self) -> None:
        """The person wants the arm; it is held until the leader is close."""
        if self.phase == POLICY:
            self.phase = WAITING
            self.leader.engage(self.last)

    def give(self) -> None:
        """The person lets go: the policy drives again."""
        if self.phase == POLICY:
            return
        self.phase = POLICY
        self.autonomy.restart()
        self._left = -1  # from where the arm is, once the policy has said where it wants to be

    def step(self, observation: Observation) -> Command:
        """Return the command of this control period."""
        if self.phase == WAITING:
            wanted = self.leader.target(observation)
            self.gap = float(np.abs(wanted - self.last).max())
            if self.gap > self.handover.near:
                return Command(self.last.copy(), WAITING)
            self.phase = PERSON
            self._fade_from(self.last - wanted)
        elif self.phase == PERSON:
            wanted = self.leader.target(observation)
        else:
            wanted = self.autonomy.act(observation)
            if self._left < 0 and self.autonomy.holding:
                return Command(self.last.copy(), POLICY)
            if self._left < 0:
                self._fade_from(self.last - wanted)
        self.last = self.spec.clamp(wanted + self._faded(), self.last).astype(np.float32)
        return Command(self.last.copy(), self.phase)

    def _fade_from(self, offset: Array) -> None:
        self._offset = np.array(offset, np.float64)
        self._left = self._periods

    def _faded(self) -> Array:
        """Return what is left of the offset (n,): all of it at first, smoothly nothing."""
        if self._left <= 0:
            return np.zeros(len(self._offset))
        share = (1 - np.cos(np.pi * self._left / self._periods)) / 2
        self._left -= 1
        rest: Array = share * self._offset
        return rest

    @property
    def _periods(self) -> int:
        return max(1, round(self.handover.blend_s * self.spec.control_hz))
