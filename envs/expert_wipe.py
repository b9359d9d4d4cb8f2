"""The demonstrator of Wipe: takes the sponge, leans on it, and follows the marks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from envs.arm import Array, InitialCondition
from envs.expert import OPEN, Operator, Waypoint, WaypointFollower, hesitant
from envs.kinematics import yaw_of
from envs.readings import Readings
from envs.tasks.wipe import GONE, HALF, TOP
from envs.world import World

HOVER = 0.09  # height above the sponge before and after the grasp [m]
GRASP = 0.007  # height of the tool centre point above the sponge's centre [m]
SHUT = 0.10  # opening in the grasp: about 15 N on the sponge
FORCE = 6.0  # wanted on the board [N]
YIELD = 0.004  # rate at which the hand sinks for each newton that is missing [m/s/N]
DEEPEST = 0.02  # the hand is sent this far below the surface at most [m]
PACE = 0.3  # share of the operator's speed when wiping
OVERRUN = 0.025  # the felt starts this far before the first mark, ends this far after the last [m]
PASSES = 3  # strokes to and fro before it is given up


class LeaningFollower(WaypointFollower):
    """Follows waypoints while the hand leans on something below: its height is set by feel."""

    leaning = False

    def follow(self, waypoint: Waypoint, tcp: Array) -> tuple[Array, bool]:
        """Return the command (n,) and whether ``waypoint`` is reached, whatever the height."""
        if self.leaning:
            tcp = np.array([tcp[0], tcp[1], self.point[2]])
        return super().follow(waypoint, tcp)

    def _wander(self) -> None:
        super()._wander()
        if self.leaning:  # the board steadies the hand
            self.tremor[2] = 0.0


class WipeAlong:
    """Takes the sponge from above and wipes along the line of marks until all are gone."""

    r: Readings

    def __init__(self, world: World, operator: Operator, marks: Sequence[str]) -> None:
        """Demonstrate on ``world``: wipe off ``marks``, a line in order."""
        self.follower = LeaningFollower(world, operator)
        self.operator, self.marks = operator, marks
        self.slow = replace(operator, speed=max(0.02, PACE * operator.speed))
        self.dt = self.follower.dt

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Plan the grasp and the line from the start poses."""
        sponge = np.array(start.objects["sponge"])
        line = np.array([start.objects[mark][:2] for mark in self.marks])
        self.line = _extended(line)
        self.follower.begin(np.array(start.qpos), rng)
        self.follower.operator, self.follower.leaning = self.operator, False
        self.steps = self._plan(sponge, rng)

    def act(self, r: Readings) -> Array:
        """Go on for one control period."""
        self.r = r
        return next(self.steps)

    def _plan(self, sponge: Array, rng: np.random.Generator) -> Iterator[Array]:
        """Yield the command of each control period."""
        yaw, up = yaw_of(sponge[3:]), np.array([0.0, 0.0, HOVER])
        grip = sponge[:3] + np.array([0.0, 0.0, GRASP])
        first, over = self.line[0], TOP + HALF + GRASP
        for pos, turn, opening, pause in (
            (grip + up, yaw, OPEN, 0.0),
            (grip, yaw, OPEN, 0.0),
            (grip, yaw, SHUT, 0.2),
            (grip + up, yaw, SHUT, 0.0),
            (np.array([*first, over + HOVER]), 0.0, SHUT, 0.0),
            (np.array([*first, over + 0.01]), 0.0, SHUT, 0.0),
        ):
            wait = hesitant(pause, self.operator, rng)
            yield from self._go(Waypoint(pos, turn, opening, wait))
        yield from self._wipe(over)
        away = np.array([*self.follower.point[:2], over + HOVER])
        yield from self._go(Waypoint(away, 0.0, SHUT, np.inf))

    def _go(self, waypoint: Waypoint) -> Iterator[Array]:
        reached = False
        while not reached:
            command, reached = self.follower.follow(waypoint, np.array(self.r["tcp_pos"]))
            yield command

    def _wipe(self, over: float) -> Iterator[Array]:
        """Lean on the sponge, then stroke to and fro until the marks are gone."""
        self.follower.leaning, self.follower.operator = True, self.slow
        self.height, self.over = over + 0.01, over
        line = self.line
        while self._force() < FORCE / 2:
            yield self._lean(line[0])
        for _ in range(PASSES):
            for spot in _paced(line, self.slow, self.dt):
                yield self._lean(spot)
            if self._clean():
                break
            line = line[::-1]
        self.follower.leaning, self.follower.operator = False, self.operator

    def _lean(self, spot: Array) -> Array:
        """Move to ``spot`` (2,), sinking or rising until the force is right."""
        self.height -= YIELD * self.dt * (FORCE - self._force())
        self.height = float(np.clip(self.height, self.over - DEEPEST, self.over + HOVER))
        waypoint = Waypoint(np.array([*spot, self.height]), 0.0, SHUT)
        command, _ = self.follower.follow(waypoint, np.array(self.r["tcp_pos"]))
        return command

    def _force(self) -> float:
        return float(abs(self.r["sponge_board"][2]))

    def _clean(self) -> bool:
        return all(self.r[f"{mark}_pos"][2] < GONE / 2 for mark in self.marks)


def _extended(line: Array) -> Array:
    """Lengthen a line (k, 2) by ``OVERRUN`` at both ends."""
    head, tail = line[0] - line[1], line[-1] - line[-2]
    ends = [end * OVERRUN / np.linalg.norm(end) for end in (head, tail)]
    longer: Array = np.concatenate([[line[0] + ends[0]], line, [line[-1] + ends[1]]])
    return longer


def _paced(line: Array, operator: Operator, dt: float) -> Iterator[Array]:
    """Yield points (2,) along a line (k, 2), speeding up and braking as the operator does."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    gone, speed = 0.0, 0.0
    while gone < at[-1] - 1e-4:
        brake = float(np.sqrt(2 * operator.acceleration * (at[-1] - gone)))
        speed = min(operator.speed, speed + operator.acceleration * dt, brake)
        gone += max(speed * dt, 2e-4)
        yield np.array([np.interp(gone, at, line[:, axis]) for axis in range(2)])
