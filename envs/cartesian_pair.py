"""Cartesian control of a robot with one arm or two: who has one hand free drives one at a time."""

import numpy as np

from envs.arm import Array
from envs.cartesian import CartesianControl, Hand
from envs.world import World


class ArmControl(CartesianControl):
    """The control of a robot that has one arm."""

    hand = ""
    hands: tuple[str, ...] = ()
    gripper = -1
    """Column of the gripper in a command."""

    @property
    def gripping(self) -> float:
        """How far the gripper is asked to move."""
        return abs(self.wanted - self.opening)

    def switch(self) -> None:
        """There is no other arm."""


class PairControl:
    """The control of two arms: one is driven, the other one holds; tracked hands drive both.

    Attributes:
        hands: what the arms are called, left and right.
        active: which one is driven.
        command: the last command (n,) of both.
    """

    hands = ("left", "right")

    def __init__(self, world: World, facing: float = 0.0) -> None:
        """Control both arms of ``world``, the left one first; ``facing`` as of one arm."""
        self.arms = tuple(CartesianControl(world, facing, part) for part in range(2))
        self.begin(np.array(world.arm.home))

    def begin(self, command: Array) -> None:
        """Start from the joint targets ``command`` (n,) of both, with the left arm driven."""
        self.active, self._both = 0, False
        self.command = np.asarray(command, np.float32)
        for arm in self.arms:
            arm.begin(command[arm.columns])

    def stop(self) -> None:
        """Forget all motion: the next command starts from rest."""
        for arm in self.arms:
            arm.stop()

    def switch(self) -> None:
        """Drive the other arm; this one stays where it is."""
        self._driven.stop()
        self.active, self._both = 1 - self.active, False

    def toggle(self) -> None:
        """Ask the gripper that is driven to open or close."""
        self._driven.toggle()

    def step(self, hand: Hand, measured: Array) -> Array:
        """Return the command (n,) float32 of both arms for this control period.

        Args:
            hand: what the person asks for, of the arm that is driven or, with its ``second``, of
                both.
            measured: joint positions and openings (n,) as observed.
        """
        self._both = hand.second is not None
        wishes = [Hand(), Hand()]
        wishes[0 if self._both else self.active] = hand
        if hand.second is not None:
            wishes[1] = hand.second
        pairs = zip(self.arms, wishes, strict=True)
        self.command = np.concatenate([arm.step(w, measured[arm.columns]) for arm, w in pairs])
        return self.command

    @property
    def hand(self) -> str:
        """Which arm is driven: ``left``, ``right`` or ``both``."""
        return "both" if self._both else self.hands[self.active]

    @property
    def _driven(self) -> CartesianControl:
        return self.arms[self.active]

    @property
    def gripper(self) -> int:
        """Column of the driven arm's gripper in a command."""
        return int(self._driven.columns.stop) - 1

    @property
    def wanted(self) -> float:
        """The opening that the driven arm's gripper is asked for."""
        return self._driven.wanted

    @property
    def gripping(self) -> float:
        """How far a gripper is asked to move, the one that is asked for most."""
        return max(abs(arm.wanted - arm.opening) for arm in self.arms)


Control = ArmControl | PairControl


def control_of(world: World, facing: float = 0.0) -> Control:
    """Return the control of the arm or arms of ``world`` for a person who looks ``facing``."""
    if len(world.parts) == 1:
        return ArmControl(world, facing)
    return PairControl(world, facing)
