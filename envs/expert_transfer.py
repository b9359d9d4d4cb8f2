"""A demonstrator with two arms: takes a bar, hands it over in the air, puts it down."""

from dataclasses import dataclass, replace

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import (
    CLOSE_ENOUGH,
    GRASP,
    OPEN,
    SETDOWN,
    Operator,
    Waypoint,
    WaypointFollower,
    hesitant,
)
from envs.kinematics import yaw_of
from envs.readings import Readings
from envs.robot_pair import LEFT, RIGHT
from envs.world import World

PASS, EXACT = (
    0.03,
    CLOSE_ENOUGH,
)  # how close a hand must come to a place on its way, or to a grasp [m]
SHUT = 0.15  # opening that is commanded in the grasp; the bar keeps the fingers wider
ALONG = 0.038  # of each hand from the bar's centre, along the bar [m]
MEET = (0.469, 0.0, 0.13)  # the bar's centre when it is handed over: midway between the bases [m]
WAIT = (0.70, 0.06, 0.22)  # where the right hand waits, out of the left one's way [m]
ABOVE = np.array([0.0, 0.0, 0.06])  # the right hand comes down on the bar from this height [m]
BACK = (0.30, -0.10, 0.20)  # where the left hand goes when it has given the bar away [m]
AWAY = np.pi / 2  # the wrists are turned away from each other, so that the hands have room


@dataclass(frozen=True)
class Step:
    """Where both arms go together; it is over when both have arrived and waited."""

    left: Waypoint
    right: Waypoint


class Giver:
    """Moves both arms step by step: while the left one takes the bar, the right one gets ready."""

    def __init__(self, world: World, operator: Operator) -> None:
        """Demonstrate on ``world`` in the manner of ``operator``."""
        self.operator = operator
        self.hover = np.array([0.0, 0.0, world.arm.workspace.hover])
        self.followers = [WaypointFollower(world, operator, part) for part in (0, 1)]

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Plan the steps from the start poses."""
        self.rng = rng
        bar, zone = np.array(start.objects["bar"]), np.array(start.objects["target"])
        self.plan = self._plan(bar, zone)
        self.index = 0
        self.arrived = [False, False]
        for follower in self.followers:
            follower.begin(np.array(start.qpos), rng)

    def _plan(self, bar: Array, zone: Array) -> list[Step]:
        yaw, hover = yaw_of(bar[3:]), self.hover
        along = ALONG * np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        up, end = np.array([0.0, 0.0, GRASP]), np.array([0.0, ALONG, 0.0])
        take, give, get = bar[:3] - along + up, MEET - end + up, MEET + end + up
        place = np.array([zone[0], zone[1], bar[2] + SETDOWN]) + end + up

        left = Waypoint(take + hover, yaw - AWAY, OPEN, near=PASS)
        right = Waypoint(get + ABOVE, AWAY, OPEN, near=2 * EXACT)
        low, grip = replace(left, pos=take, near=EXACT), replace(right, pos=get, near=EXACT)
        offered = Waypoint(give, -AWAY, SHUT, near=PASS)
        gone = Waypoint(np.array(BACK), -AWAY, OPEN, near=PASS)
        over = Waypoint(place + hover, AWAY, SHUT, near=PASS)
        laid = replace(over, pos=place, near=EXACT)
        moves = (
            (left, replace(right, pos=np.array(WAIT))),
            (low, None),
            (replace(low, opening=SHUT, wait=0.2), None),
            (replace(left, opening=SHUT), None),
            (offered, None),
            (None, right),
            (None, grip),
            (None, replace(grip, opening=SHUT, wait=0.2)),
            (replace(offered, opening=OPEN, wait=0.1), None),
            (replace(offered, opening=OPEN, pos=give + ABOVE), None),
            (gone, over),
            (None, laid),
            (None, replace(laid, opening=OPEN, wait=0.2)),
            (None, replace(over, opening=OPEN, wait=np.inf)),
        )
        steps: list[Step] = []
        for first, second in moves:  # who has nothing new to do stays
            given = self._human(first) if first else replace(steps[-1].left, wait=0.0)
            taken = self._human(second) if second else replace(steps[-1].right, wait=0.0)
            steps.append(Step(given, taken))
        return steps

    def _human(self, waypoint: Waypoint) -> Waypoint:
        return replace(waypoint, wait=hesitant(waypoint.wait, self.operator, self.rng))

    def act(self, r: Readings) -> Array:
        """Follow the plan one control period further."""
        step = self.plan[self.index]
        commands = []
        for k, (goal, prefix) in enumerate(((step.left, LEFT), (step.right, RIGHT))):
            tcp = np.array(r[f"{prefix}tcp_pos"])
            command, reached = self.followers[k].follow(goal, tcp)
            self.arrived[k] |= reached
            commands.append(command)
        if all(self.arrived):
            self.index += 1
            self.arrived = [False, False]
        return np.concatenate(commands)
