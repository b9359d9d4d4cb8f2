"""The demonstrator of Pour: takes the cup from the side, holds its lip over the other, tips it."""

from collections.abc import Iterator

import numpy as np

from envs.approach import outward
from envs.arm import Array, InitialCondition
from envs.expert import OPEN, SHUT, Operator, Waypoint, WaypointFollower, hesitant
from envs.readings import Readings
from envs.tasks.pour import BOWL, CUP, ENOUGH, GAUGE, GRIP
from envs.vessels import BOTTOM
from envs.world import World

LEVEL = np.pi / 2  # lean of a hand that points outwards, level [rad]
HALFWAY = np.pi / 4  # its lean on the way there where the wrist has two joints only [rad]
BEHIND = 0.045  # the hand starts this far behind the cup [m]
ABOVE = 0.10  # and comes from this far above, as far as the arm hovers higher [m]
RAISED = 0.035  # the cup's underside above the other's rim on the way [m]
DROP = 0.030  # height of the lip above the rim while pouring [m]
SHORT = 0.015  # the lip is kept this far short of the middle: beads fly on [m]
FINGER, BLADE = 0.036, 0.012  # from the hand's middle to its finger's far side; half its width [m]
CLEAR = 0.006  # of the lower finger above the rim [m]
RATE, QUICK = 1.0, 1.8  # of tipping while beads flow and otherwise, by a clean operator [rad/s]
FLOWS = np.deg2rad(50)  # no bead leaves the cup before
FARTHEST = np.deg2rad(140)
SPARE = 3  # beads more than enough before the cup is turned back


class TakeAndPour:
    """Takes the cup, tips it over the wide one until the gauge says enough, and turns it back."""

    r: Readings

    def __init__(self, world: World, operator: Operator) -> None:
        """Demonstrate on ``world``."""
        self.follower = WaypointFollower(world, operator)
        self.operator = operator
        self.hover = min(ABOVE, world.arm.workspace.hover)
        self.dt = self.follower.dt
        # A wrist of three joints flips if the hand turns aside while they pass a straight line.
        self.first_lean = LEVEL if world.arm.n > 6 else HALFWAY
        self.pace = min(1.0, operator.speed / 0.4)

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        """Plan from the start poses."""
        self.follower.begin(np.array(start.qpos), rng)
        self.cup, self.bowl = (np.array(start.objects[name][:3]) for name in ("cup", "bowl"))
        self.steps = self._work(rng)

    def act(self, r: Readings) -> Array:
        """Go on for one control period."""
        self.r = r
        return next(self.steps)

    def _work(self, rng: np.random.Generator) -> Iterator[Array]:
        """Yield the command of each control period."""
        grasp = self.cup + np.array([0.0, 0.0, GRIP])
        away = np.array([np.cos(outward(self.cup)), np.sin(outward(self.cup)), 0.0])
        up = np.array([0.0, 0.0, self.hover])
        azimuth = outward(self.follower.point)
        radius = float(np.linalg.norm(grasp[:2])) - BEHIND
        ready = np.array([radius * np.cos(azimuth), radius * np.sin(azimuth), GRIP + self.hover])
        lifted = grasp + np.array([0.0, 0.0, BOWL.tall + RAISED])
        self.lean = self.first_lean
        yield from self._go(ready, OPEN, hesitant(0.0, self.operator, rng))
        self.lean = LEVEL
        for pos, opening, pause in (
            (grasp - BEHIND * away + up / 2, OPEN, 0.0),
            (grasp - BEHIND * away, OPEN, 0.0),
            (grasp, OPEN, 0.0),
            (grasp, SHUT, 0.2),
            (lifted, SHUT, 0.0),
        ):
            yield from self._go(pos, opening, hesitant(pause, self.operator, rng))
        yield from self._pour()
        while True:
            yield self._command(self.follower.point, 0.0, SHUT)[0]

    def _go(self, pos: Array, opening: float, wait: float) -> Iterator[Array]:
        reached = False
        while not reached:
            command, reached = self._command(pos, 0.0, opening, wait)
            yield command

    def _pour(self) -> Iterator[Array]:
        """Bring the lip over the wide cup while tipping, and tip on until enough has fallen."""
        hand = np.array(self.r["tcp_pos"][:2])
        hang = np.array(self.r["cup_pos"][:2]) - hand
        self.ahead = float(hang @ hand / np.linalg.norm(hand))
        yield from self._go(self._hold(0.0), SHUT, 0.0)
        tilt, turn = 0.0, 1.0
        while turn > 0 or tilt > 0.0:
            if self._poured() >= ENOUGH + SPARE or tilt >= FARTHEST:
                turn = -1.0
            rate = self.pace * (RATE if turn > 0 and tilt > FLOWS else QUICK)
            tilt = float(np.clip(tilt + turn * rate * self.dt, 0.0, FARTHEST))
            yield self._command(self._hold(tilt), tilt, SHUT)[0]

    def _hold(self, tilt: float) -> Array:
        """Return where the hand holds the cup so that its lip is where it must be at ``tilt``."""
        out = self.bowl[:2] / np.linalg.norm(self.bowl[:2])
        left = np.array([-out[1], out[0], 0.0])
        side, up = CUP.radius, CUP.tall - GRIP
        lip_side = side * np.cos(tilt) + up * np.sin(tilt)
        lip_up = up * np.cos(tilt) - side * np.sin(tilt)
        early = max(0.0, 1 - tilt / FLOWS)  # the cup comes upright from beside, above the rim
        lip = self.bowl + (SHORT + early * BOWL.outer) * left
        lip = lip - self.ahead * np.array([*out, 0.0])  # as far as the cup sits before the hand
        lip = lip + np.array([0.0, 0.0, BOWL.tall + DROP + early * (CUP.tall + RAISED - DROP)])
        hand: Array = lip + lip_side * left - np.array([0.0, 0.0, lip_up])
        finger = FINGER * np.sin(tilt) + BLADE * abs(np.cos(tilt))
        hand[2] = max(hand[2], self.bowl[2] + BOWL.tall + CLEAR + finger)
        return hand

    def _command(
        self, pos: Array, tilt: float, opening: float, wait: float = 0.0
    ) -> tuple[Array, bool]:
        yaw = outward(self.follower.point) - tilt
        waypoint = Waypoint(pos, yaw, opening, wait, self.lean)
        return self.follower.follow(waypoint, np.array(self.r["tcp_pos"]))

    def _poured(self) -> int:
        """Read the gauge."""
        rise = float(self.r["gauge_pos"][2] - self.r["bowl_pos"][2] - BOTTOM)
        return round(rise / GAUGE)
