"""Whether an episode can begin from a start: within limits, in reach, nothing inside another.

A variation may draw what cannot be: an object out of reach, an arm in the table. Such a draw is
refused and made again from the same random stream, so the same seed still gives the same start. How
often that happened is kept with the start, under ``REDRAWN``.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np

from envs.approach import outward
from envs.arm import ArmSpec, Array, InitialCondition
from envs.errors import UsageError
from envs.kinematics import Kinematics, pointing_down
from envs.robots import ROBOTS
from envs.task import REDRAWN, Task
from envs.variation import apply, distractors_of, named, perturb
from envs.world import World, world

ATTEMPTS = 100
OVERLAP = 0.002  # depth beyond which two things are inside each other [m]
MISS = 0.01  # an object is in reach if the tool centre point comes this close [m]
ITERATIONS = 60  # of the inverse kinematics to an object
LEANS = (0.0, np.radians(35), np.radians(70))  # of the gripper from straight down, tried in turn

Axes = Sequence[tuple[str, str]]


def perturb_feasibly(
    start: InitialCondition,
    task: Task,
    axes: Axes,
    rng: np.random.Generator,
    at_bound: bool = True,
    arm: ArmSpec | None = None,
) -> InitialCondition:
    """Add each (variation, level) to ``start``, drawn again while that gives no feasible start.

    Raises:
        UsageError: as ``perturb`` does, or ``ATTEMPTS`` draws were all refused.
    """
    drawn = perturb(start, task, axes, rng, at_bound, arm)
    if not any(named(name).moves for name, _ in axes):
        return drawn
    check = checker(task, task.robot if arm is None else arm.name, distractors_of(axes))
    allowed = max(OVERLAP, check.overlap(start) + OVERLAP / 2)
    for refused in range(ATTEMPTS):
        fault = check.fault(drawn, allowed)
        if fault is None:
            return _counted(drawn, refused)
        drawn = perturb(start, task, axes, rng, at_bound, arm)
    names = ", ".join(f"{name}/{level}" for name, level in axes)
    raise UsageError(
        f"{names}: none of {ATTEMPTS} draws is a start that {task.name} can begin from, the last "
        f"because {fault}; choose a lower level"
    )


def _counted(start: InitialCondition, refused: int) -> InitialCondition:
    if not refused:
        return start
    return replace(start, factors={**start.factors, REDRAWN: {"count": refused}})


def redraws(start: InitialCondition) -> int:
    """Return how many draws were refused before ``start``."""
    return int(start.factors.get(REDRAWN, {}).get("count", 0))


class Checker:
    """Checks starts of one scene."""

    def __init__(self, scene: World) -> None:
        """Prepare to check starts in ``scene``."""
        self.world = scene
        self.model = scene.model.__copy__()
        self.data = mujoco.MjData(self.model)
        self.kinematics = Kinematics(scene)
        self.home = np.array(scene.arm.home[: scene.arm.n - 1])
        self.table = ROBOTS[scene.arm.name].table

    def fault(self, start: InitialCondition, allowed: float) -> str | None:
        """Say why no episode can begin from ``start``; None where one can.

        Args:
            start: with its factors.
            allowed: overlap that is none of the variations' doing [m].
        """
        arm, qpos = self.world.arm, np.array(start.qpos)
        beyond = (qpos < np.array(arm.lower)) | (qpos > np.array(arm.upper))
        if beyond.any():
            return f"{arm.joints[int(np.argmax(beyond))]} is beyond its limit"
        name = self.world.task.subject(start)
        place = np.array(start.objects[name][:3])
        if (np.abs(place[:2] - self.table.centre) > self.table.half[:2]).any():
            return f"{name} is off the table"
        if "object_pose" in start.factors and not self.reached(place):
            return f"{name} is out of reach"
        if (depth := self.overlap(start)) > allowed:
            return f"things overlap by {1000 * depth:.1f} mm"
        return None

    def reached(self, place: Array) -> bool:
        """Tell whether the tool centre point gets to ``place`` (3,) [m] with the hand downwards.

        A pair of arms is taken to reach wherever its tasks are laid out.
        """
        if len(self.world.arm.grippers) > 1:
            return True
        azimuth = outward(place)
        for lean in LEANS:
            quat = pointing_down(azimuth, lean, azimuth)
            q = self.kinematics.solve(self.home, place, quat, ITERATIONS)
            if np.linalg.norm(self.kinematics.forward(q)[0] - place) < MISS:
                return True
        return False

    def overlap(self, start: InitialCondition) -> float:
        """Return how deep any two things are inside each other at the start [m]."""
        m, d = self.model, self.data
        mujoco.mj_resetData(m, d)
        apply(m, self.world, d, start.factors)
        mujoco.mj_resetData(m, d)
        self.world.place(d, start)
        mujoco.mj_kinematics(m, d)
        mujoco.mj_comPos(m, d)
        mujoco.mj_collision(m, d)
        return float(max(-d.contact.dist.min(initial=0.0), 0.0))


@functools.lru_cache(maxsize=16)
def checker(task: Task, robot: str, distractors: int) -> Checker:
    """Return the shared checker of a scene."""
    return Checker(world(task, robot, distractors))
