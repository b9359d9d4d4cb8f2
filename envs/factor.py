"""What a variation is: numbers drawn into an initial condition, then applied to the model.

A protocol draws at the bound of a level (with a random sign or direction); training randomisation
draws anywhere within the bound.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np

from envs.arm import ArmSpec, Array, InitialCondition
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.task import Region, Task
from envs.world import World

Bound = Mapping[str, float]
LEVELS = ("L1", "L2", "L3")
PIXELS = ("pixels",)
BOTH = ("state", "pixels")


class Draw:
    """Random numbers within a bound, or at it."""

    def __init__(
        self, rng: np.random.Generator, at_bound: bool, arm: ArmSpec | None = None
    ) -> None:
        """Draw from ``rng``; at the bound (protocols) or uniformly within it (randomisation).

        ``arm`` says where the task is laid out; None is the reference workspace.
        """
        self.rng = rng
        self.at_bound = at_bound
        self.arm = arm

    def spec(self, task: Task) -> ArmSpec:
        """The arm that the start was drawn for; by default the task's own."""
        return self.arm or ROBOTS[task.robot].spec()

    def hinges(self, task: Task) -> Array:
        """Columns of a command that are joints, not grippers."""
        return self.spec(task).hinges

    def region(self, task: Task) -> Region:
        """The training box of ``task`` on the arm."""
        return task.region if self.arm is None else task.region_on(self.arm)

    def magnitude(self, bound: float) -> float:
        """The bound itself, or uniform in [0, bound]."""
        return bound if self.at_bound else float(self.rng.uniform(0.0, bound))

    def signed(self, bound: float) -> float:
        """+bound or -bound, or uniform in between."""
        if self.at_bound:
            return bound if self.rng.random() < 0.5 else -bound
        return float(self.rng.uniform(-bound, bound))

    def ratio(self, bound: float) -> float:
        """Bound or 1/bound, or log-uniform in between."""
        return float(np.exp(self.signed(float(np.log(bound)))))

    def direction(self, n: int) -> Array:
        """A unit vector (n,)."""
        v = self.rng.normal(size=n)
        unit: Array = v / np.linalg.norm(v)
        return unit


DrawFn = Callable[[Draw, Bound, InitialCondition, Task], InitialCondition]
ApplyFn = Callable[[mujoco.MjModel, World, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Variation:
    """One factor of the scene.

    Attributes:
        name: as registered and as the axis of a protocol.
        about: what it changes, for people.
        levels: bounds at L1, L2, L3.
        tracks: where it can matter (a camera shift does not reach the state track).
        draw: puts numbers into an initial condition.
        apply: puts those numbers into a model; None where the start state or the link carries them.
        words: it changes what the arm is told.
        moves: whether things are elsewhere or larger at the start, which may then be impossible.
    """

    name: str
    about: str
    levels: tuple[Bound, Bound, Bound]
    tracks: tuple[str, ...]
    draw: DrawFn
    apply: ApplyFn | None = None
    words: bool = False
    moves: bool = False

    def level(self, name: str) -> Bound:
        """Return the bound of level ``name``; raise ``UsageError`` on an unknown one."""
        if name not in LEVELS:
            raise UsageError(f"unknown level {name!r}; known: {', '.join(LEVELS)}")
        return self.levels[LEVELS.index(name)]


def add_factor(start: InitialCondition, name: str, values: Mapping[str, Any]) -> InitialCondition:
    """Return ``start`` with the drawn ``values`` recorded under the variation's ``name``."""
    return replace(start, factors={**start.factors, name: dict(values)})
