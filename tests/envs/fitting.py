"""Runs that the tests of the fitting tasks look at."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from envs.arm import InitialCondition
from envs.batch import SimBatch
from envs.expert import OPERATORS
from envs.readings import Readings
from envs.task import Pose, Task
from envs.world import world


def start_of(task: Task, seed: int, robot: str = "viperx") -> InitialCondition:
    """Return a nominal start."""
    return task.sample(np.random.default_rng(seed), world(task, robot).arm)


def moved(start: InitialCondition, poses: Mapping[str, Pose]) -> InitialCondition:
    """Return the start with some objects elsewhere."""
    return replace(start, objects={**start.objects, **poses})


def watch(task: Task, start: InitialCondition, steps: int) -> tuple[SimBatch, Readings]:
    """Let the arm rest at the start; return the simulation and its readings (T + 1, 1)."""
    sims = SimBatch(task, size=1, threads=1)
    sims.reset([start])
    rows = [sims.sensors.copy()]
    for _ in range(steps):
        sims.step(np.array(start.qpos)[None])
        rows.append(sims.sensors.copy())
    return sims, over_time(sims, rows)


def demonstrate(
    task: Task, start: InitialCondition, robot: str = "viperx", operator: str = "clean"
) -> tuple[SimBatch, Readings]:
    """Let the expert do the task; return the simulation and its readings (T + 1, 1)."""
    sims = SimBatch(task, robot, size=1, threads=1)
    sims.reset([start])
    expert = task.expert(sims.world, OPERATORS[operator])
    expert.reset(start, np.random.default_rng(0))
    rows = [sims.sensors.copy()]
    while not sims.done.all():
        sims.step(expert.act(sims.readings)[None])
        rows.append(sims.sensors.copy())
    return sims, over_time(sims, rows)


def over_time(sims: SimBatch, rows: list[np.ndarray]) -> Readings:
    """Return the rows (1, ns) of a run by the sensors' names."""
    return Readings(sims.world.sensors, list(np.moveaxis(np.array(rows), 2, 0)))
