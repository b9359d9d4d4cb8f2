"""Demonstrations for tests, each made once a process."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from envs.arm import Array, CameraSpec, InitialCondition
from envs.env import TabletopEnv, make
from envs.expert import OPERATORS


@dataclass(frozen=True)
class Demonstration:
    """What an expert did: start, actions (T, n), stage after each of them, final qpos and success.

    Attributes:
        seen: the last observation.
    """

    start: InitialCondition
    actions: Array
    stages: tuple[int, ...]
    success: bool
    final: Array
    seen: dict[str, Array]


@functools.cache
def env_of(task: str, robot: str) -> TabletopEnv:
    """Return the environment of a task on a robot."""
    return make(task, robot=robot)


@functools.cache
def demonstration(task: str, robot: str, seed: int, operator: str = "clean") -> Demonstration:
    """Let the expert demonstrate from the start of ``seed``."""
    env = env_of(task, robot)
    observation, _ = env.reset(seed=seed)
    expert = env.task.expert(env.arm.sim.world, OPERATORS[operator])
    expert.reset(env.start, np.random.default_rng(seed))
    actions, stages, over = [], [], False
    while not over:
        actions.append(np.asarray(expert.act(env.arm.readings), np.float32))
        observation, _, terminated, truncated, info = env.step(actions[-1])
        stages.append(info["stage"])
        over = terminated or truncated
    final = env.arm.sim.state(0)["qpos"]
    success = bool(info["is_success"])
    return Demonstration(env.start, np.array(actions), tuple(stages), success, final, observation)


def fingerprints(robots: Mapping[str, str]) -> dict[str, str]:
    """Return a digest of each task (with its robot) under fixed commands, and of a picture."""
    digests = {}
    for task, robot in robots.items():
        env = env_of(task, robot)
        env.reset(seed=3)
        digest = hashlib.sha256()
        for t in range(60):
            command = np.array(env.start.qpos) + 0.2 * np.sin(0.05 * t)
            for key, value in sorted(env.step(command)[0].items()):
                digest.update(key.encode() + value.tobytes())
        digest.update(env.arm.frame(CameraSpec("overhead", 48, 48)).tobytes())
        digests[task] = digest.hexdigest()
    return digests
