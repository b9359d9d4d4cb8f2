"""How fast each task runs on one core: control steps a second, with states and with pictures."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from envs.arm import CameraSpec
from envs.env import TabletopEnv, make
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.tasks import TASKS

CONTROL_HZ = 50
STATE_STEPS, PIXEL_STEPS = 2000, 300  # timed, in whole or broken-off episodes


@dataclass(frozen=True)
class Rate:
    """Control steps a second of CPU time of one task; real time is ``CONTROL_HZ``.

    Attributes:
        what: task and track.
        steps_per_s: in an episode that the expert's commands drive.
        steps: how many were timed.
    """

    what: str
    steps_per_s: float
    steps: int

    @property
    def met(self) -> bool:
        """Whether it is faster than real time."""
        return self.steps_per_s >= CONTROL_HZ

    def to_json(self) -> dict[str, Any]:
        """Return all fields and whether it is faster than real time."""
        return {**asdict(self), "met": self.met}


def rates() -> list[Rate]:
    """Measure every registered task on both tracks, one thread, CPU time."""
    found = []
    for name in TASKS:
        env = make(name)
        cameras = [CameraSpec(camera) for camera in env.arm.spec.cameras]
        found.append(_rate(f"{name}, state", env, STATE_STEPS))
        try:
            found.append(_rate(f"{name}, pixels", make(name, cameras=cameras), PIXEL_STEPS))
        except UsageError:  # nothing draws on this machine
            continue
    return found


def _rate(what: str, env: TabletopEnv, steps: int) -> Rate:
    """Time ``steps`` steps of an environment under the commands of the task's expert."""
    commands = _commands(env)
    env.reset(options={"start": env.start})
    env.step(commands[0])  # renderers are made at the first picture
    done, used = 0, 0.0
    while done < steps:
        env.reset(options={"start": env.start})
        started = time.process_time()
        for command in commands[: steps - done]:
            env.step(command)
            done += 1
        used += time.process_time() - started
    return Rate(what, steps / used, steps)


def _commands(env: TabletopEnv) -> list[np.ndarray]:
    """Return the expert's commands of one episode, a usual load for the physics."""
    sims = make(env.task.name).arm.sim
    env.reset(seed=0)
    expert = env.task.expert(sims.world, OPERATORS["clean"])
    expert.reset(env.start, np.random.default_rng(0))
    sims.reset([env.start])
    commands = []
    while not sims.done[0]:
        commands.append(np.array(expert.act(sims.readings)))
        sims.step(commands[-1][None])
    return commands
