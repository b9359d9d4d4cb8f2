"""An expert that labels any state on the way of a part into its place."""

import numpy as np

from envs.arm import Array
from envs.expert import Operator
from envs.expert_fitting import CARRY, DONE, PRESS, Fit
from envs.expert_hand import FINE_SPEED, closed_on
from envs.kinematics import nearest_quarter, pointing_down, yaw_of
from envs.readings import Readings
from envs.relabel import GraspAndPlaceRule
from envs.relabel_hand import UP
from envs.world import World

ABOVE = 0.025  # height of the part above the mouth on its way [m]
NEAR = 0.02  # between part and place, in the plane, from which on it comes down to the mouth [m]
ALIGNED, ALIGNED_YAW = 0.004, 0.06  # the same when it is lowered [m], and what it is askew [rad]
GUIDED = 0.006  # the same while it goes in, guided by slopes and walls [m]


class FitRule(GraspAndPlaceRule):
    """What ``envs.expert_fitting.Fitter`` does with one part, as a rule: fit it from anywhere.

    The part stands as high at the start as when it is home.
    """

    def __init__(self, of: World, operator: Operator, fit: Fit) -> None:
        """Label for ``of``: do ``fit``."""
        super().__init__(of, operator, lambda start: (fit.part, fit.place))
        self.grip, self.mouth = fit.grip, fit.mouth - fit.height
        self.shut = closed_on(of.robot, fit.width)

    def home(self, touched: bool) -> bool:
        """Tell whether the part is at the bottom of its place."""
        return self.pos[2] < self.rest + DONE and self.away < ALIGNED

    def carried(self, r: Readings) -> Array:
        """Bring the part over its place, turned as it must be, and lower it slowly."""
        part, place = (yaw_of(np.array(r[f"{name}_quat"])) for name in (self.thing, self.zone))
        yaw = nearest_quarter(place, 0.0) - nearest_quarter(part - self.yaw, 0.0)
        spot, most = self._spot(abs(nearest_quarter(part - place, 0.0)))
        point = spot + self.hand - self.pos
        return self.guide.command(self.q, point, pointing_down(yaw), self.shut, most)

    def _spot(self, askew: float) -> tuple[Array, float]:
        """Return where the part shall go (3,) m, and how fast at most [m/s]."""
        above, away = self.pos[2] - self.rest - self.mouth, self.away
        inside = above < 0 and away < GUIDED
        if inside or (above < 2 * CARRY and away < ALIGNED and askew < ALIGNED_YAW):
            return self.goal - UP * PRESS, FINE_SPEED
        if above > 0 and away < NEAR:
            return self.goal + UP * (self.mouth + CARRY), np.inf
        over = self.goal if above > CARRY else self.pos
        return np.array([*over[:2], self.rest + self.mouth + ABOVE]), np.inf
