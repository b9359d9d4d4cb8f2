"""An expert that labels any state on the way past an obstacle, on the side where the hand is."""

import numpy as np

from envs.approach import outward
from envs.arm import Array, InitialCondition
from envs.expert import Operator
from envs.expert_ways import BEFORE, ENTRY, EXIT, HEIGHTS, MARGIN
from envs.kinematics import pointing_down
from envs.readings import Readings
from envs.relabel_hand import Guide
from envs.world import World

CLEAR = 0.01  # so much nearer to the obstacle than planned the hand still goes on past it [m]
BEYOND = 0.04  # the hand is sent so far beyond the place where it turns to the goal [m]


class AroundThePostRule:
    """What ``envs.expert_ways.AroundThePost`` does, as a rule: past the post from anywhere.

    The side is the one on which the hand is, left where it is on neither: whoever has begun to go
    round on one side is never sent back to the other.
    """

    def __init__(self, of: World, operator: Operator, radius: float) -> None:
        """Label for ``of``; ``radius`` of the post [m]."""
        self.guide = Guide(of, operator)
        self.aside, self.before = radius + MARGIN, radius + BEFORE

    def reset(self, start: InitialCondition) -> None:
        """Nothing to read off: the state shows all."""

    def label(self, r: Readings, joints: Array) -> Array:
        """Return the command (n,): aside, past the post, or to the goal."""
        q = joints[self.guide.part.hinges]
        hand, _ = self.guide.kinematics.forward(q)
        goal, post = np.array(r["goal_pos"][:2]), np.array(r["post_pos"][:2])
        ahead = (goal - post) / np.linalg.norm(goal - post)
        left = np.array([-ahead[1], ahead[0]])
        along, off = float((hand[:2] - post) @ ahead), float((hand[:2] - post) @ left)
        lane = self.aside if off >= 0 else -self.aside
        if along > EXIT:
            point = np.append(goal, HEIGHTS[3])
        elif abs(off) > self.aside - CLEAR:
            point = np.append(post + (EXIT + BEYOND) * ahead + lane * left, HEIGHTS[2])
        elif along > -ENTRY:
            point = np.append(hand[:2] + (lane - off) * left, max(hand[2], HEIGHTS[1]))
        else:
            point = np.append(post - self.before * ahead + lane * left, HEIGHTS[1])
        return self.guide.command(q, point, pointing_down(outward(hand)), 0.0)
