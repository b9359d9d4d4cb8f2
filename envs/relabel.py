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
from envs.expert import GRASP, OPEN, SETDOWN, SHUT, SPIN, Operator
from envs.kinematics import Kinematics, pointing_down, yaw_of
from envs.readings import Readings
from envs.task import Task
from envs.tasks import TASKS
from envs.world import World, world

LEAD = 0.075  # the hand is sent to where it shall be after so long [s]: the arm trails by that much
ALIGNED = 0.006  # beside the thing, from which on the hand may come down [m]
SLOPE = 4.0  # of the funnel in which it comes down: height by distance beside
STEEP = 0.04  # so far below the funnel the hand goes straight up [m]
FREE = 0.65  # opening at which the fingers pass the thing
AROUND = 0.012  # the fingers are around the thing: they close [m]
CLOSING = 0.02  # and go on closing within this [m]
HELD = 0.03  # what both fingers touch within this is held [m]
HOME = 0.012  # between thing and zone, in the plane, when it may be let go [m]
THERE = 0.024  # the same, when it lies well enough to be left alone [m]
OVER = 0.02  # the same, when it is let down [m]
LOW = 0.008  # of the thing above its rest when it may be let go [m]
LET_GO = 0.75  # opening at which the fingers have let go
LIFTED = 0.6  # share of the hovering height from which on the thing is carried sideways


UP = np.array([0.0, 0.0, 1.0])

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


class Guide:
    """Commands that bring the hand to a pose: a carrot before it, and the arm's sag made up for."""

    def __init__(self, of: World, operator: Operator) -> None:
        """Guide the one arm of ``of`` in the manner of ``operator``."""
        self.operator = operator.on(of.arm)
        self.kinematics = Kinematics(of)
        self.part = of.parts[0]
        self.model, self.data = of.model, self.kinematics.data
        gains = of.model.actuator_gainprm[of.ctrl, 0]
        self._stiffness = np.array(gains[self.part.hinges])
        self._load = np.zeros(of.model.nv)

    def command(
        self, q: Array, goal: Array, quat: Array, opening: float, most: float = np.inf
    ) -> Array:
        """Return the command (n,) with which the hand moves on to a pose.

        Args:
            q: measured joint angles.
            goal: where the hand shall go (3,) m.
            quat: how it shall be turned there (4,) wxyz.
            opening: of the gripper.
            most: speed that it shall not exceed, if less than the operator's [m/s].
        """
        here, turned = self.kinematics.forward(q)
        way = goal - here
        d = float(np.linalg.norm(way))
        pace = min(self.operator.speed, most, float(np.sqrt(2 * self.operator.acceleration * d)))
        carrot = here + way * min(1.0, pace * LEAD / max(d, 1e-9))
        turn = np.zeros(3)
        mujoco.mju_subQuat(turn, quat, turned)
        angle = float(np.linalg.norm(turn))
        mujoco.mju_quatIntegrate(turned, turn, min(1.0, SPIN * LEAD / max(angle, 1e-9)))
        wished = self.kinematics.solve(q, carrot, turned)
        return np.append(wished + self._sag(q), opening)

    def _sag(self, q: Array) -> Array:
        """Return by how much joints at ``q`` hang below their targets under their weight [rad]."""
        self.kinematics.forward(q)
        mujoco.mj_comVel(self.model, self.data)
        mujoco.mj_rne(self.model, self.data, 0, self._load)
        sag: Array = self._load[self.part.qvel] / self._stiffness
        return sag


class GraspAndPlaceRule:
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
        self.guide = Guide(of, operator)
        self.approach = Approach(of)
        self.hover = of.arm.workspace.hover
        self.choose = choose

    def reset(self, start: InitialCondition) -> None:
        """Read off what is to be taken where."""
        self.thing, self.zone = self.choose(start)
        self.rest = float(start.objects[self.thing][2])

    def label(self, r: Readings, joints: Array) -> Array:
        """Return the command (n,): let go, carry, close, or come to the thing."""
        q, self.opening = joints[self.guide.part.hinges], float(joints[-1])
        self.hand, self.turned = self.guide.kinematics.forward(q)
        self.pos = np.array(r[f"{self.thing}_pos"])
        self.goal = np.array([*r[f"{self.zone}_pos"][:2], self.rest])
        self.at = self.pos + UP * self.grip
        off = self.hand - self.at
        beside, above = float(np.hypot(off[0], off[1])), abs(float(off[2]))
        away = float(np.hypot(*(self.pos - self.goal)[:2]))
        touched = r.scalar(f"left_{self.thing}") > 0 and r.scalar(f"right_{self.thing}") > 0
        near = AROUND if self.opening > LET_GO else CLOSING
        if self._home(away, touched):
            point, opening = self._leave(beside, above), OPEN
        elif touched and beside < HELD and above < HELD:
            return self._carried(r, q, away)
        elif beside < near and above < near:
            point, opening = self.at, self.shut
        else:
            return self.guide.command(q, self._come(beside), self._grasping(r), OPEN)
        return self.guide.command(q, point, self._carrying(point), opening)

    def _home(self, away: float, touched: bool) -> bool:
        """Tell whether the thing lies where it may be let go, or left alone."""
        return bool(self.pos[2] < self.rest + LOW) and away < (HOME if touched else THERE)

    def _carried(self, r: Readings, q: Array, away: float) -> Array:
        """Return the command (n,) with the thing in the grasp."""
        point = self._carry(away)
        return self.guide.command(q, point, self._carrying(point), self.shut)

    def _leave(self, beside: float, above: float) -> Array:
        """Open where the hand is, then go up."""
        if self.opening < LET_GO and beside < 2 * HELD and above < 2 * HELD:
            return self.hand
        return np.array([*self.hand[:2], self.at[2] + self.hover])

    def _carry(self, away: float) -> Array:
        """Return where the hand goes with the thing: up, over the zone, down."""
        high = self.rest + self.hover
        if away < OVER:
            spot = self.goal + UP * SETDOWN
        elif self.pos[2] < self.rest + LIFTED * self.hover:
            spot = np.array([*self.pos[:2], high])
        else:
            spot = np.array([*self.goal[:2], high])
        point: Array = spot + self.hand - self.pos
        return point

    def _come(self, beside: float) -> Array:
        """Return where the hand goes to take the thing: within a funnel above it, fingers open."""
        height = min(SLOPE * max(0.0, beside - ALIGNED), self.hover)
        if self.opening < FREE:
            height = max(height, self.hover / 2)
        point = self.at + UP * height
        low = float(np.clip((point[2] - self.hand[2]) / STEEP, 0.0, 1.0))
        point[:2] += low * (self.hand - point)[:2]  # below the funnel: up first
        return point

    def _grasping(self, r: Readings) -> Array:
        quat = np.array(r[f"{self.thing}_quat"])
        up, over = UP * self.hover, self.goal + UP * GRASP
        points = (self.at, self.at + up, over + up, over)
        yaw, lean = self.approach.grasp(yaw_of(quat), points)
        return pointing_down(yaw, lean, outward(self.hand))

    def _carrying(self, point: Array) -> Array:
        """Keep the hand as it is, turned with the arm's azimuth; upright where it needs no lean."""
        turn = outward(point) - outward(self.hand)
        if self.approach.leans == (0.0,):
            w, x, y, z = self.turned
            yaw = float(np.arctan2(2 * (w * z - x * y), 1 - 2 * (x * x + z * z)))
            return pointing_down(yaw + turn)
        spin, quat = np.array([np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)]), np.zeros(4)
        mujoco.mju_mulQuat(quat, spin, self.turned)
        return quat
