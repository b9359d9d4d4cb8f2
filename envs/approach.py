"""How the gripper comes to a thing: which way its fingers face, and how far it leans."""

from collections.abc import Sequence

import numpy as np

from envs.arm import Array
from envs.kinematics import Kinematics, nearest_quarter, pointing_down
from envs.world import World

WITHIN = 0.001  # an approach is possible if the tool centre point comes this close [m]
ITERATIONS = 40  # of the inverse kinematics to the first point; near it, 15 a point
SKEW = 4.0  # cost of fingers at unequal height, against that of a turn of the wrist [1]
QUARTERS = np.arange(-2, 2) * np.pi / 2


class Approach:
    """Chooses orientations for grasps from above.

    An arm whose wrist allows a grasp from straight above everywhere takes the finger direction
    nearest to its own forward direction, so that the choice is continuous over the table. Where the
    robot has several ``leans``, every direction and lean is tried by inverse kinematics: of those
    that bring the tool to all points, the one with the fingers levelest and the wrist least turned.
    """

    def __init__(self, world: World) -> None:
        """Choose for the arm of ``world``."""
        self.kinematics = Kinematics(world)
        self.leans = world.robot.leans
        self.home = np.array(world.robot.home)

    def grasp(self, yaw: float, points: Sequence[Array]) -> tuple[float, float]:
        """Return yaw and lean [rad] to take a box turned by ``yaw`` [rad], by any of its sides.

        Args:
            yaw: of the box; quarter turns give the same grasp.
            points: positions (3,) of the tool centre point, in the order they are visited [m].
        """
        if len(self.leans) == 1:
            return nearest_quarter(yaw, 0.0), self.leans[0]
        return self._best([float(y) for y in yaw + QUARTERS], points)

    def release(self, yaw: float, points: Sequence[Array]) -> tuple[float, float]:
        """Return yaw and lean [rad] to put a thing down with the fingers at ``yaw``."""
        if len(self.leans) == 1:
            return yaw, self.leans[0]
        return self._best([yaw], points)

    def _best(self, yaws: Sequence[float], points: Sequence[Array]) -> tuple[float, float]:
        choices = [(yaw, lean) for yaw in yaws for lean in self.leans]
        return min(choices, key=lambda choice: self._cost(*choice, points))

    def _cost(self, yaw: float, lean: float, points: Sequence[Array]) -> tuple[float, float]:
        """Return how far the arm misses the points [m], if it does, and how awkward the pose is."""
        outward = float(np.arctan2(points[-1][1], points[-1][0]))
        turn = (outward - yaw + np.pi) % (2 * np.pi) - np.pi
        awkward = abs(turn) + lean + SKEW * abs(np.sin(lean) * np.sin(turn))
        miss = self._miss(points, pointing_down(yaw, lean, outward))
        return (miss if miss > WITHIN else 0.0), float(awkward)

    def _miss(self, points: Sequence[Array], quat: Array) -> float:
        q, worst, iterations = self.home, 0.0, ITERATIONS
        for point in points:
            q = self.kinematics.solve(q, point, quat, iterations)
            worst = max(worst, float(np.linalg.norm(self.kinematics.forward(q)[0] - point)))
            iterations = 15
        return worst
