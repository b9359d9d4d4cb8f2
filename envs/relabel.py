"""Experts that label states they did not bring about: what to do here, whoever came here.

A demonstrator follows a plan with a memory of its own: which waypoint is next, how fast the hand
moves, how long it has waited. In a state that somebody else brought about this memory means
nothing. A labeller has none. It decides from where the arm and the objects are now, so its label
is a function of the state: what DAgger asks for (Ross, Gordon & Bagnell, 2011).
"""

from collections.abc import Callable
from typing import Protocol

import mujoco
import numpy as np

from envs.approach import Approach, outward
from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from envs.expert import GRASP, OPEN, SHUT, Operator
from envs.kinematics import pointing_down, yaw_of
from envs.readings import Readings
from envs.relabel_hand import HELD, HOME, LOW, THERE, UP, Taker
from envs.task import Task
from envs.tasks import TASKS
from envs.world import World, world

UNABLE = {"openarm": "its wrist passes singular poses, which a plan avoids and a rule does not"}
"""Robots on which rules fail, each with the reason."""


class Labeller(Protocol):
    """Says in any state what the expert would command."""

    def reset(self, start: InitialCondition) -> None:
        """Begin an episode; what is asked for follows from ``start``."""

    def label(self, r: Readings, joints: Array) -> Array:
        """Return the expert's command (n,), a function of the state alone.

        Args:
            r: readings of one simulation.
            joints: measured joint positions and openings (n,).
        """


def labeller_of(task: Task, robot: str | None = None) -> Labeller:
    """Return the labeller of ``task`` on ``robot``, by default the task's own.

    Raises:
        UsageError: the task's expert cannot tell what to do in states that another has brought
            about, or not on this robot; the message names the tasks whose expert can.
    """
    name = robot or task.robot
    if name in UNABLE:
        raise UsageError(
            f"there is no expert that labels states of others on {name}: {UNABLE[name]}"
        )
    labeller = task.labeller(world(task, robot))
    if labeller is None:
        able = [name for name, one in TASKS.items() if type(one).labeller is not Task.labeller]
        raise UsageError(
            f"the expert of {task.name} follows a script of its own and cannot say what to do in "
            f"states that a policy has brought about; tasks whose expert can: {', '.join(able)}"
        )
    return labeller


class GraspAndPlaceRule(Taker):
    """What ``envs.expert.GraspAndPlace`` does, as a rule: take a thing to a zone from anywhere.

    Attributes:
        grip: height of the tool centre point above the thing's centre in the grasp [m].
        shut: opening that is commanded in the grasp.
    """

    grip, shut = GRASP, SHUT

    def __init__(
        self,
        of: World,
        operator: Operator,
        choose: Callable[[InitialCondition], tuple[str, str]],
    ) -> None:
        """Label for ``of``; ``choose`` names the thing and the zone of a start."""
        super().__init__(of, operator)
        self.approach = Approach(of)
        self.choose = choose

    def reset(self, start: InitialCondition) -> None:
        """Read off what is to be taken where."""
        self.thing, self.zone = self.choose(start)
        self.rest = float(start.objects[self.thing][2])

    def label(self, r: Readings, joints: Array) -> Array:
        """Return the command (n,): let go, carry, close, or come to the thing."""
        self.pos = np.array(r[f"{self.thing}_pos"])
        self.goal = np.array([*r[f"{self.zone}_pos"][:2], self.rest])
        self.look(joints, self.pos + UP * self.grip)
        touched = r.scalar(f"left_{self.thing}") > 0 and r.scalar(f"right_{self.thing}") > 0
        if self.home(touched):
            point, opening = self.leave(), OPEN
        elif touched and self.beside < HELD and self.above < HELD:
            return self.carried(r)
        elif self.around:
            point, opening = self.at, self.shut
        else:
            return self.guide.command(self.q, self.come(), self._grasping(r), OPEN)
        return self.guide.command(self.q, point, self._carrying(point), opening)

    @property
    def away(self) -> float:
        """Distance of thing and zone in the table's plane [m]."""
        return float(np.hypot(*(self.pos - self.goal)[:2]))

    def home(self, touched: bool) -> bool:
        """Tell whether the thing lies where it may be let go, or left alone."""
        return self.pos[2] < self.rest + LOW and self.away < (HOME if touched else THERE)

    def carried(self, r: Readings) -> Array:
        """Return the command (n,) with the thing in the grasp."""
        point = self.carry(self.pos, self.goal)
        return self.guide.command(self.q, point, self._carrying(point), self.shut)

    def _grasping(self, r: Readings) -> Array:
        quat = np.array(r[f"{self.thing}_quat"])
        up, over = UP * self.hover, self.goal + UP * self.grip
        points = (self.at, self.at + up, over + up, over)
        yaw, lean = self.approach.grasp(yaw_of(quat), points)
        return pointing_down(yaw, lean, outward(self.hand))

    def _carrying(self, point: Array) -> Array:
        """Keep the hand as it is, turned with the arm's azimuth; upright where it needs no lean."""
        turn = outward(point) - outward(self.hand)
        if self.approach.leans == (0.0,):
            return pointing_down(self.yaw + turn)
        spin, quat = np.array([np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)]), np.zeros(4)
        mujoco.mju_mulQuat(quat, spin, self.turned)
        return quat
