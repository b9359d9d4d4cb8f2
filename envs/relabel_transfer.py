"""An expert that labels any state of a hand-over from one arm to the other."""

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import GRASP, OPEN, Operator
from envs.expert_transfer import ABOVE, ALONG, AWAY, BACK, MEET, SHUT, WAIT
from envs.grasp import Vec3, holds
from envs.kinematics import pointing_down
from envs.readings import Readings, point_of
from envs.relabel_hand import HOME, LOW, THERE, UP, Taker
from envs.robot_pair import LEFT, RIGHT
from envs.world import World

REACH = 0.5  # along the table: what lies beyond is the right arm's to take [m]
OFFERED = 0.03  # between the bar and where it is handed over: the right hand comes [m]
CLEAR = 0.04  # the left hand is so far from where it held the bar: the right one may go [m]


class HandOverRule:
    """What ``envs.expert_transfer.Giver`` does, as a rule: who holds the bar says who does what.

    Nobody: the left hand takes it, or the right one what is out of the left one's reach. The left
    one: it offers it, and the right one comes. Both: the left one lets go. The right one: it waits
    until the left one is away, and puts the bar down.
    """

    def __init__(self, of: World, operator: Operator, half: Vec3) -> None:
        """Label for ``of``; ``half`` sizes of the bar [m]."""
        self.left, self.right = (Taker(of, operator, part) for part in (0, 1))
        self.half = half

    def reset(self, start: InitialCondition) -> None:
        """Read off how high the bar lies."""
        self.rest = float(start.objects["bar"][2])

    def label(self, r: Readings, joints: Array) -> Array:
        """Return the command (n,) of both arms."""
        self.bar = np.array(r["bar_pos"])
        self.goal = np.array([*r["target_pos"][:2], self.rest])
        axis = np.array(point_of((0.0, 1.0, 0.0), (0.0, 0.0, 0.0), r["bar_quat"]))
        axis *= np.sign(axis[1]) or 1.0  # either end is as good
        self.askew = float(-np.arctan2(axis[0], axis[1]))
        end = ALONG * axis
        self.left.look(joints, self.bar - end + UP * GRASP)
        self.right.look(joints, self.bar + end + UP * GRASP)
        self.given, self.got = (holds(r, arm, "bar", self.half) for arm in (LEFT, RIGHT))
        away = float(np.hypot(*(self.bar - self.goal)[:2]))
        self.home = self.bar[2] < self.rest + LOW and away < (HOME if self.got else THERE)
        return np.concatenate([self._give(), self._get()])

    def _give(self) -> Array:
        """Return the left arm's command: take the bar, offer it, let it go and stay away."""
        hand = self.left
        if self.got or self.home or (self.bar[0] > REACH and not self.given):
            near = hand.beside < CLEAR and hand.above < ABOVE[2]
            point = hand.leave() if near else np.array(BACK)
            return self._to(hand, point, hand.yaw if near else -AWAY, OPEN)
        if self.given:
            return self._to(hand, self._offer(hand), self._level(hand), SHUT)
        return self._take(hand, -AWAY)

    def _get(self) -> Array:
        """Return the right arm's command: wait, take the bar, put it down."""
        hand = self.right
        if self.home:
            return self._to(hand, hand.leave(), hand.yaw, OPEN)
        if self.got:
            away = self.left.beside > CLEAR or self.left.above > CLEAR
            point = hand.carry(self.bar, self.goal) if away else self._offer(hand)
            return self._to(hand, point, self._level(hand), SHUT)
        offered = self.given and np.linalg.norm(self.bar - MEET) < OFFERED
        if offered or (self.bar[0] > REACH and not self.given):
            return self._take(hand, AWAY)
        return self._to(hand, np.array(WAIT), AWAY, OPEN)

    def _take(self, hand: Taker, turn: float) -> Array:
        if hand.around:
            return self._to(hand, hand.at, self.askew + turn, SHUT)
        return self._to(hand, hand.come(), self.askew + turn, OPEN)

    def _offer(self, hand: Taker) -> Array:
        """Return where a hand goes to bring the bar to the place of the hand-over: up first."""
        low = self.bar[2] < self.rest + hand.hover / 2
        spot = np.array([*self.bar[:2], MEET[2]]) if low else np.array(MEET)
        point: Array = spot + hand.hand - self.bar
        return point

    def _level(self, hand: Taker) -> float:
        """Return how a hand turns so that the bar in it lies across the arms' line [rad]."""
        return hand.yaw - (self.askew if self.bar[2] > self.rest + hand.hover / 2 else 0.0)

    @staticmethod
    def _to(hand: Taker, point: Array, yaw: float, opening: float) -> Array:
        return hand.guide.command(hand.q, point, pointing_down(yaw), opening)
