"""How the gripper comes to a thing: which way its fingers face, and how far it leans."""

from collections.abc import Sequence

import numpy as np

from envs.arm import Array
from envs.kinematics import Kinematics, nearest_quarter, pointing_down
from envs.world import World

WITHIN = 0.001  # an approach is possible if the tool centre point comes this close [m]
ITERATIONS = 40  # of the inverse kinematics to a point
SKEW = 4.0  # cost of fingers at unequal height, against that of a turn of the wrist [1]
QUARTERS = np.arange(4) * np.pi / 2


class Approach:
    """Chooses the orientation of grasps from above.

    An arm whose wrist allows a grasp from straight above everywhere takes the finger direction
    nearest to its own forward direction, so that the choice is continuous over the table. Where the
    robot has several ``leans``, directions and leans are tried by inverse kinematics: of those with
    which the arm reaches all points, the one with the fingers levelest and the wrist least turned.
    """

    def __init__(self, world: World) -> None:
        """Choose for the arm of ``world``."""
        self.kinematics = Kinematics(world)
        self.leans = world.robot.leans
        self.home = np.array(world.robot.home)

    def grasp(self, yaw: float, points: Sequence[Array]) -> tuple[float, float]:
        """Return yaw and lean of the gripper [rad] to take a box that is turned by ``yaw``.

        Args:
            yaw: of the box [rad]; a quarter turn gives the same grasp.
            points: positions (3,) of the tool centre point [m], the first one at the box. At the
                others the gripper leans as much and its fingers are turned with the arm's azimuth.
        """
        if len(self.leans) == 1:
            return nearest_quarter(yaw, 0.0), self.leans[0]
        azimuth = outward(points[0])
        turns = [_wrapped(yaw + quarter - azimuth) for quarter in QUARTERS]
        choices = [(t, lean) for t in turns for lean in self.leans if abs(t) <= np.pi / 2]
        turn, lean = min(choices, key=lambda choice: self._cost(choice[0], choice[1], points))
        return azimuth + turn, lean

    def _cost(self, turn: float, lean: float, points: Sequence[Array]) -> tuple[float, float]:
        """Return how far the arm misses the points [m], if it does, and how awkward the pose is."""
        awkward = abs(turn) + lean + SKEW * abs(np.sin(lean) * np.sin(turn))
        miss = self._miss(turn, lean, points)
        return (miss if miss > WITHIN else 0.0), float(awkward)

    def _miss(self, turn: float, lean: float, points: Sequence[Array]) -> float:
        q, worst = self.home, 0.0
        for point in points:
            azimuth = outward(point)
            quat = pointing_down(azimuth + turn, lean, azimuth)
            q = self.kinematics.solve(q, point, quat, ITERATIONS)
            worst = max(worst, float(np.linalg.norm(self.kinematics.forward(q)[0] - point)))
        return worst


def outward(point: Array) -> float:
    """Return the azimuth of ``point`` (3,) seen from the arm's base [rad]."""
    return float(np.arctan2(point[1], point[0]))


def _wrapped(angle: float) -> float:
    """Return the same angle in -pi..pi."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
