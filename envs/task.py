"""What a task is: where things start, which stages lead to the goal, who can demonstrate it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import mujoco
import numpy as np

from envs.arm import REFERENCE, ArmSpec, Array, InitialCondition, Workspace
from envs.errors import UsageError
from envs.readings import Flag, Readings, Value

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.relabel import Labeller
    from envs.world import World


Range = tuple[float, float]
Pose = tuple[float, ...]
"""Position [m] and unit quaternion wxyz, (7,)."""

SCENE = "scene"
"""Under this name a start's factors hold what the task itself has drawn, see ``Task.dress``."""

REDRAWN = "redrawn"
"""Under this name they count the draws that were refused before it, see ``envs/feasible.py``."""


@dataclass(frozen=True)
class Region:
    """A box on the table from which a start pose is drawn: x, y [m] and yaw [rad] ranges."""

    x: tuple[float, float]
    y: tuple[float, float]
    yaw: tuple[float, float] = (0.0, 0.0)

    def sample(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """Draw x, y, yaw uniformly."""
        return (
            float(rng.uniform(*self.x)),
            float(rng.uniform(*self.y)),
            float(rng.uniform(*self.yaw)),
        )

    def within(self, workspace: Workspace) -> "Region":
        """Return this region of the reference workspace moved and scaled to another one."""
        x = _mapped(self.x, REFERENCE.x, workspace.x)
        return Region(x, _mapped(self.y, REFERENCE.y, workspace.y), self.yaw)


def _mapped(values: Range, old: Range, new: Range) -> Range:
    """Map a range affinely as ``old`` is mapped to ``new``; exactly itself where they are equal."""
    if old == new:
        return values
    scale = (new[1] - new[0]) / (old[1] - old[0])
    return new[0] + (values[0] - old[0]) * scale, new[0] + (values[1] - old[0]) * scale


@dataclass(frozen=True)
class Task(ABC):
    """A task on the table. Frozen: an instance with the same settings is the same task.

    Class attributes:
        name: the registered name.
        instruction: what a person would be told.
        stages: ordered names; the last one is the goal held for ``hold_s``.
        objects: observed objects and zones, in order.
        hidden: zones that are placed and read by the task, but not observed.
        horizon: control steps until an episode is cut off.
        hold_s: how long the goal must hold [s] for sustained success.
        region: where the manipulated object starts, the *training box* of the protocols, in the
            reference workspace.
        inapplicable: variations that mean nothing here, each with the reason.
        arms: how many arms it takes.
        robot: the arm, or pair of arms, that does it unless another is named.
        impossible: arms that have as many, but cannot do it, each with the reason.
        moving: zones that what happens in the episode moves, as ``move`` says.
        told_by_shape: objects are told apart by shape, which no variation then changes.
        ways: what a demonstrator may choose between; none where there is one way only.
    """

    name: ClassVar[str]
    instruction: ClassVar[str]
    stages: ClassVar[tuple[str, ...]]
    objects: ClassVar[tuple[str, ...]]
    hidden: ClassVar[tuple[str, ...]] = ()
    manipulated: ClassVar[str]
    horizon: ClassVar[int] = 400
    hold_s: ClassVar[float] = 1.0
    region: ClassVar[Region]
    inapplicable: ClassVar[Mapping[str, str]] = MappingProxyType({})
    arms: ClassVar[int] = 1
    robot: ClassVar[str] = "viperx"
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType({})
    moving: ClassVar[tuple[str, ...]] = ()
    told_by_shape: ClassVar[bool] = False
    ways: ClassVar[tuple[str, ...]] = ()

    def region_on(self, arm: ArmSpec) -> Region:
        """Return where the manipulated object starts on ``arm``: ``region`` in its workspace."""
        return self.region.within(arm.workspace)

    @abstractmethod
    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the task's objects and zones to the scene."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw a nominal start state."""

    @abstractmethod
    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Move the zones off the objects where a variation has made them overlap."""

    def arrange(self, start: InitialCondition) -> Mapping[str, Array]:
        """Return start positions of joints that no object's pose covers, as of beads in a cup.

        Returns:
            By the name of the first joint, the positions of it and of those that follow (k,).
        """
        return {}

    def dress(self, model: mujoco.MjModel, drawn: Mapping[str, Any]) -> None:
        """Change the looks of ``model`` to what was ``drawn`` for a start: its ``SCENE`` factor."""
        raise ValueError(f"{self.name} draws no looks, got {dict(drawn)}")

    def instruct(self, start: InitialCondition) -> str:
        """Return what the arm is told to do from ``start``."""
        return self.instruction

    def ask(self, start: InitialCondition, instruction: str) -> InitialCondition:
        """Return ``start`` with something else to do: what ``instruction`` says.

        Raises:
            UsageError: not an instruction of this task, or not one for this scene.
        """
        if instruction != self.instruction:
            raise UsageError(
                f"unknown instruction {instruction!r} of {self.name}; known: {self.instruction!r}"
            )
        return start

    def reword(self, start: InitialCondition, wording: int, rng: np.random.Generator) -> str:
        """Return what is asked in other words; ``wording`` 0 is as in demonstrations."""
        return self.instruct(start)

    def mislead(self, start: InitialCondition, rng: np.random.Generator) -> str:
        """Return an instruction that could be given in this scene, but is not what is judged."""
        raise ValueError(f"{self.name} asks for the same in every episode")

    def encode(self, instruction: str) -> tuple[float, ...]:
        """Return an instruction as numbers, the observation ``instruction``; () for no such.

        A task that asks for the same in every episode has none.

        Raises:
            UsageError: an instruction that is not of this task.
        """
        return ()

    def subject(self, start: InitialCondition) -> str:
        """Return the object that is to be moved from ``start``."""
        return self.manipulated

    def move(self, r: Readings) -> Sequence[Sequence[Value]]:
        """Return where the zones of ``moving`` are after this control period.

        A zone that is observed, drawn and read like any other thereby holds what the simulator's
        state does not: marks that are wiped off, for instance.

        Args:
            r: readings at the end of the period, arrays (N,), the zones where they were before.

        Returns:
            x, y, z of each zone [m], each (N,).
        """
        return ()

    @abstractmethod
    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Tell, for every stage but the last, whether its condition holds now."""

    @abstractmethod
    def goal(self, r: Readings) -> Flag:
        """Tell whether the goal holds now (success is this, held for ``hold_s``)."""

    def placed(self, r: Readings) -> Mapping[str, Flag]:
        """Tell for every object that the task moves whether it is where it belongs now."""
        return {self.manipulated: self.milestones(r)[-1]}

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """Tell in which failed trials, and when, the task saw a failure of its own.

        Args:
            r: readings of whole trials, each value an array (T + 1, N), row 0 the start.

        Returns:
            Registered failure labels, each with flags (T + 1, N) or (N,).
        """
        return {}

    def quality(self, r: Readings) -> Mapping[str, float | None]:
        """Measure how well a trial was done; ``r`` holds one trial, each value (T + 1,)."""
        return {}

    @abstractmethod
    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the scripted demonstrator."""

    def labeller(self, world: "World") -> "Labeller | None":
        """Make an expert that labels states which others have brought about; None: there is none.

        See ``envs/relabel.py``.
        """
        return None


class StageTracker:
    """Follows the ordered stages of one or many running episodes.

    ``stage`` is the number of stages reached in order (0..len(stages)). The state is plain ints
    for one simulation and arrays (n,) for many; the arithmetic is the same.
    """

    def __init__(self, task: Task, control_hz: float, zero: Value) -> None:
        """Start at stage 0. ``zero`` is 0, or an integer array of zeros (n,)."""
        self.task = task
        self.last = len(task.stages)
        self.hold = round(task.hold_s * control_hz)
        self.stage: Value = zero
        self.held: Value = zero
        self.ever: Flag = zero > 0
        self.now: Flag = zero > 0

    def update(self, r: Readings, running: Flag = True) -> None:
        """Account for one control period in the simulations that are ``running``."""
        stage = self.stage
        for k, reached in enumerate(self.task.milestones(r)):
            stage = stage + ((stage == k) & reached)
        ready = stage >= self.last - 1
        now = ready if ready is False else ready & self.task.goal(r)
        held = (self.held + 1) * now
        stage = stage + ((stage == self.last - 1) & (held >= self.hold))
        if running is not True:
            stage = np.where(running, stage, self.stage)
            held = np.where(running, held, self.held)
            now = np.where(running, now, self.now)
        self.stage, self.held, self.now = stage, held, now
        self.ever = self.ever | now

    @property
    def success(self) -> Flag:
        """Whether the goal has been held for ``hold_s``."""
        return self.stage >= self.last
