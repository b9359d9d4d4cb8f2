"""Where a person has to put things, in words."""

from collections.abc import Mapping

import numpy as np

from envs.arm import InitialCondition
from envs.task import Pose as Placed
from real.pinhole import Pose


def places(objects: Mapping[str, Placed]) -> dict[str, str]:
    """Return for every object or zone, by name, where poses (7,) in the arm's frame put it."""
    return {name: _place(Pose.from_array(pose)) for name, pose in objects.items()}


def scene(start: InitialCondition) -> str:
    """Return what a person has to put where before an episode."""
    told = [f"{name}: {place}" for name, place in places(start.objects).items()]
    return f"Set the scene up. {'; '.join(told)}."


def _place(pose: Pose) -> str:
    x, y, _ = pose.position
    turn = float(np.degrees(pose.yaw))
    return f"x {x:.3f} m, y {y:.3f} m from the arm's base, turned by {round(turn)} deg"
