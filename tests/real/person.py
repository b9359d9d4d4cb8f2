"""A person at the controls: sees where things are and presses what brings the hand there."""

from collections.abc import Iterator

import numpy as np

from envs.cartesian import Hand
from real.teleop.rig import SimRig

FAST = 0.04  # further away than this the person does not go slowly [m]
HOVER, GRASP = 0.09, 0.002  # of the tool centre point over the cube's centre, at most [m]


class Person:
    """Does pick_place: above the cube, down, close, up, over the zone, down, open, up."""

    def __init__(self, rig: SimRig, close: float = 0.004) -> None:
        """Drive ``rig``, content where the hand is ``close`` to its goal [m]."""
        self.rig, self.close = rig, close
        self.hover = 0.9 * self.rig.world.arm.workspace.hover
        self.pressed: list[str] = []
        self.way = np.zeros(3)  # to the present goal, in the person's axes [m]
        self._doing = self._work()
        self.done = False

    def hand(self) -> Hand:
        """Return what the person asks for now; ``pressed`` holds what was pressed once."""
        try:
            return next(self._doing)
        except StopIteration:
            self.done = True
            return Hand()

    def _work(self) -> Iterator[Hand]:
        cube, zone = self._at("cube"), self._at("target")
        place = np.array([zone[0], zone[1], cube[2]])
        up, down = np.array([0, 0, self.hover]), np.array([0, 0, GRASP])
        yield Hand()
        yield from self._go(cube + up)
        yield from self._go(cube + down)
        yield from self._grip(shut=True)
        yield from self._go(cube + up)
        yield from self._go(place + up)
        yield from self._go(place + down + [0, 0, 0.004])
        yield from self._grip(shut=False)
        yield from self._go(place + up)

    def _at(self, thing: str) -> np.ndarray:
        return np.array(self.rig.arm.readings[f"{thing}_pos"])

    def _go(self, goal: np.ndarray) -> Iterator[Hand]:
        while True:
            way = goal - np.array(self.rig.arm.readings["tcp_pos"])
            if np.abs(way).max() < self.close:
                return
            cos, sin = np.cos(self.rig.seat.facing), np.sin(self.rig.seat.facing)
            self.way = mine = np.array(
                [cos * way[0] + sin * way[1], cos * way[1] - sin * way[0], way[2]]
            )
            far = np.abs(mine).max() > FAST
            wish = np.where(
                np.abs(mine) > (FAST / 2 if far else self.close * 0.8), np.sign(mine), 0
            )
            yield Hand(move=tuple(map(float, wish)), slow=not far)

    def _grip(self, shut: bool) -> Iterator[Hand]:
        self.pressed.append("gripper")
        for _ in range(12):
            yield Hand()
        before = 9.0
        while abs(before - (now := float(self.rig.observation["qpos"][-1]))) > 1e-3:
            before = now
            yield Hand()
