"""The Gymnasium environment: one arm, one task."""

from collections.abc import Sequence
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.arm import ArmSpec, Array, CameraSpec, InitialCondition, Observation, TabletopArm
from envs.errors import UsageError
from envs.feasible import perturb_feasibly
from envs.sim import SimArm
from envs.task import Task
from envs.tasks import TASKS
from envs.variation import distractors_of

Space = spaces.Space[Observation]
VIEW = CameraSpec("view", 480, 360)
PIXELS = (CameraSpec("overhead"), CameraSpec("wrist"))
"""What the pixel track of one arm sees."""


def observation_space(arm: ArmSpec, task: Task, cameras: Sequence[CameraSpec]) -> Space:
    """Return the space of observations; bounds are finite and generous."""
    n = arm.n
    space: dict[str, spaces.Space[Any]] = {
        "qpos": spaces.Box(-10.0, 10.0, (n,), np.float32),
        "qvel": spaces.Box(-1e3, 1e3, (n,), np.float32),
        "effort": spaces.Box(-1e3, 1e3, (n,), np.float32),
    }
    if words := len(task.encode("")):
        space["instruction"] = spaces.Box(0.0, 1.0, (words,), np.float32)
    if not cameras:
        for name in task.objects:
            space[f"objects/{name}"] = spaces.Box(-1e2, 1e2, (7,), np.float32)
    for camera in cameras:
        shape = (camera.height, camera.width, 3)
        space[f"images/{camera.name}"] = spaces.Box(0, 255, shape, np.uint8)
    return cast("Space", spaces.Dict(space))


class TabletopEnv(gym.Env[Observation, Array]):
    """An arm at a table with a task to do, at 50 Hz.

    Action: absolute joint targets (n,) [rad] and gripper opening 0 closed .. 1 open; where
    ``normalized`` (the registered ids) -1..1 over each joint's range. Reward: the share of the
    task's stages reached. The episode terminates on sustained success and is truncated at the
    task's horizon. ``info`` holds ``stage``, ``progress``, ``is_success`` and
    the ``instruction`` in words.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012  (Gymnasium's form)

    def __init__(
        self,
        arm: TabletopArm,
        task: Task,
        variations: Sequence[tuple[str, str]] = (),
        render_mode: str | None = None,
        normalized: bool = False,
    ) -> None:
        """Put ``arm`` to ``task``; each episode draws anew from (variation, level) pairs."""
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.arm, self.task, self.variations = arm, task, tuple(variations)
        self.render_mode = render_mode
        self.cameras = arm.cameras
        self.observation_space: spaces.Space[Observation] = observation_space(
            arm.spec, task, self.cameras
        )
        lower = np.array(arm.spec.lower, np.float32)
        upper = np.array(arm.spec.upper, np.float32)
        self._centre, self._half = (upper + lower) / 2, (upper - lower) / 2
        self.normalized = normalized
        if normalized:
            lower, upper = -np.ones_like(lower), np.ones_like(upper)
        self.action_space: spaces.Space[Array] = spaces.Box(lower, upper, dtype=np.float32)
        self._stages = len(task.stages)
        self._hidden = tuple(f"objects/{o}" for o in task.objects) if self.cameras else ()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode from ``options["start"]``, or from one drawn with the seed.

        With ``options["instruction"]`` that is what is to be done in it.

        Raises:
            UsageError: an instruction that is not of the task, or not for the scene drawn.
        """
        super().reset(seed=seed)
        start: InitialCondition | None = (options or {}).get("start")
        if start is None:
            start = self.task.sample(self.np_random, self.arm.spec)
            start = perturb_feasibly(
                start, self.task, self.variations, self.np_random, False, self.arm.spec
            )
        if "instruction" in (options or {}):
            start = self.task.ask(start, (options or {})["instruction"])
        self.start, self.instruction = start, self.task.instruct(start)
        return self._visible(self.arm.home(start)), self._info()

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Send ``action`` and return what follows one control period (20 ms) later."""
        if self.normalized:
            action = self._centre + self._half * action
        observation = self._visible(self.arm.command(action))
        info = self._info()
        success = info["is_success"]
        truncated = not success and bool(self.arm.clock >= self.task.horizon)
        return observation, info["progress"], success, truncated, info

    def render(self) -> Array | None:
        """Return a picture of the scene, (360, 480, 3) uint8."""
        return self.arm.frame(VIEW) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Release the arm."""
        self.arm.close()

    def _visible(self, observation: Observation) -> Observation:
        for key in self._hidden:
            observation.pop(key, None)
        return observation

    def _info(self) -> dict[str, Any]:
        stage = self.arm.stage
        return {
            "stage": stage,
            "progress": stage / self._stages,
            "is_success": stage == self._stages,
            "instruction": self.instruction,
        }


class SimEnv(TabletopEnv):
    """A simulated arm at a table."""

    arm: SimArm


def make(
    task: str,
    robot: str | None = None,
    *,
    cameras: Sequence[CameraSpec] = (),
    variations: Sequence[tuple[str, str]] = (),
    render_mode: str | None = None,
    normalized: bool = False,
) -> SimEnv:
    """Make the environment of a task by name, on ``robot`` or the task's own.

    Raises:
        UsageError: an unknown name, or a robot that cannot do the task.
    """
    known = TASKS[task]
    arm = SimArm(known, robot, cameras=cameras, distractors=distractors_of(variations))
    return SimEnv(arm, known, variations, render_mode, normalized)
