"""The hand of an expert that labels any state: commands towards a pose, and towards a thing."""

import mujoco
import numpy as np

from envs.arm import Array
from envs.expert import SETDOWN, SPIN, Operator
from envs.kinematics import Kinematics
from envs.world import World

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


class Guide:
    """Commands that bring the hand to a pose: a carrot before it, and the arm's sag made up for."""

    def __init__(self, of: World, operator: Operator, part: int = 0) -> None:
        """Guide one arm of ``of``, its ``part``, in the manner of ``operator``."""
        self.operator = operator.on(of.arm)
        self.kinematics = Kinematics(of, part=part)
        self.part = of.parts[part]
        self.model, self.data = of.model, self.kinematics.data
        gains = of.model.actuator_gainprm[of.ctrl, 0]
        self._stiffness = np.array(gains[self.part.hinges])
        self._load = np.zeros(of.model.nv)

    def command(
        self, q: Array, goal: Array, quat: Array, opening: float, most: float = np.inf
    ) -> Array:
        """Return the arm's command with which the hand moves on to a pose.

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


class Taker:
    """A hand that takes things: where it is, where it would grasp, and where it goes next.

    Attributes:
        guide: the arm.
        hover: height above a grasp on the way [m].
        q, opening: measured joint angles and opening of the gripper.
        hand, turned: where the tool centre point is (3,) m, and how it is turned (4,) wxyz.
        at: where it grasps the thing, (3,) m.
        beside, above: distance from there in the table's plane, and in height [m].
    """

    def __init__(self, of: World, operator: Operator, part: int = 0) -> None:
        """Take things with one arm of ``of``, its ``part``, in the manner of ``operator``."""
        self.guide = Guide(of, operator, part)
        self.hover = of.arm.workspace.hover

    def look(self, joints: Array, at: Array) -> None:
        """See where the hand is with the robot's ``joints`` (n,), and that the thing is ``at``."""
        part = self.guide.part
        self.q, self.opening = joints[part.hinges], float(joints[part.gripper])
        self.hand, self.turned = self.guide.kinematics.forward(self.q)
        self.at = at
        off = self.hand - self.at
        self.beside, self.above = float(np.hypot(off[0], off[1])), abs(float(off[2]))

    @property
    def around(self) -> bool:
        """Whether the fingers are around the thing: they close, or go on closing."""
        near = AROUND if self.opening > LET_GO else CLOSING
        return self.beside < near and self.above < near

    @property
    def yaw(self) -> float:
        """How the fingers are turned [rad]: of the hand's y axis."""
        w, x, y, z = self.turned
        return float(np.arctan2(2 * (w * z - x * y), 1 - 2 * (x * x + z * z)))

    def come(self) -> Array:
        """Return where the hand goes to take the thing: within a funnel above it, fingers open."""
        height = min(SLOPE * max(0.0, self.beside - ALIGNED), self.hover)
        if self.opening < FREE:
            height = max(height, self.hover / 2)
        point = self.at + UP * height
        low = float(np.clip((point[2] - self.hand[2]) / STEEP, 0.0, 1.0))
        point[:2] += low * (self.hand - point)[:2]  # below the funnel: up first
        return point

    def carry(self, pos: Array, goal: Array) -> Array:
        """Return where the hand goes with a thing at ``pos``: up, over ``goal``, its rest, down."""
        high = goal[2] + self.hover
        if float(np.hypot(*(pos - goal)[:2])) < OVER:
            spot = goal + UP * SETDOWN
        elif pos[2] < goal[2] + LIFTED * self.hover:
            spot = np.array([*pos[:2], high])
        else:
            spot = np.array([*goal[:2], high])
        point: Array = spot + self.hand - pos
        return point

    def leave(self) -> Array:
        """Return where the hand goes: it opens where it is, then goes up."""
        if self.opening < LET_GO and self.beside < 2 * HELD and self.above < 2 * HELD:
            return self.hand
        return np.array([*self.hand[:2], self.at[2] + self.hover])
