"""``dm_env`` environments, those of dm_control by name, as Gymnasium ones."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.arm import Array
from envs.errors import UsageError
from envs.gl import choose_backend

DM = "dm:"
CAMERA = 0  # of those that the environment has
STEP_S = 0.02  # control period of an environment that does not say its own [s]


def dm_loader(name: str) -> Callable[[int], Any]:
    """Return what makes the dm_control environment ``dm:<domain>/<task>`` from a seed.

    Raises:
        UsageError: dm_control is missing, or has no such task.
    """
    domain, slash, task = name.removeprefix(DM).partition("/")
    if not (domain and slash and task):
        raise UsageError(f"env must be dm:<domain>/<task>, got {name!r}")
    package = "manipulation" if domain == "manipulation" else "suite"
    try:
        module = importlib.import_module(f"dm_control.{package}")
    except ImportError as error:
        raise UsageError(f"{name} needs dm_control: pip install dm_control ({error})") from error
    if package == "manipulation":
        known = list(module.ALL)
        if task not in known:
            raise UsageError(f"unknown manipulation task {task!r}; known: {', '.join(known)}")
        return lambda seed: module.load(task, seed=seed)
    if (domain, task) not in module.ALL_TASKS:
        known = [f"{d}/{t}" for d, t in module.ALL_TASKS]
        raise UsageError(f"unknown task {domain}/{task}; known: {', '.join(known)}")
    return lambda seed: module.load(domain, task, task_kwargs={"random": seed})


class DmEnv(gym.Env[dict[str, Array], Array]):
    """A ``dm_env`` environment as a Gymnasium one.

    An episode that ends with discount 0 terminates; one that ends otherwise is truncated.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012  (Gymnasium's form)

    def __init__(self, load: Callable[[int], Any]) -> None:
        """Adapt what ``load`` makes from a seed: the same seed, the same episodes."""
        self._load, self._inner = load, load(0)
        self.render_mode = "rgb_array"  # drawn when asked for
        action = self._inner.action_spec()
        low, high = (np.broadcast_to(b, action.shape) for b in (action.minimum, action.maximum))
        self.action_space = spaces.Box(low.astype(np.float32), high.astype(np.float32))
        wanted = self._inner.observation_spec()
        found: dict[str, spaces.Space[Any]] = {
            key: _dm_space(spec) for key, spec in _named(wanted).items()
        }
        self.observation_space: spaces.Space[dict[str, Array]] = cast(
            "spaces.Space[dict[str, Array]]", spaces.Dict(found)
        )
        step = getattr(self._inner, "control_timestep", None)
        self.dt = float(step()) if callable(step) else STEP_S

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin an episode; with a seed, of an environment made anew from it."""
        super().reset(seed=seed)
        if seed is not None:
            self._inner = self._load(seed)
        return self._seen(self._inner.reset().observation), {}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """Send ``action`` and return what follows."""
        moment = self._inner.step(action)
        over, dead = bool(moment.last()), moment.discount == 0.0
        reward = 0.0 if moment.reward is None else float(moment.reward)
        info = {"discount": moment.discount}
        return self._seen(moment.observation), reward, over and dead, over and not dead, info

    def render(self) -> Any:  # noqa: ANN401  (as Gymnasium has it)
        """Return the first camera's picture (240, 320, 3) uint8, None without physics or OpenGL.

        Where there is no OpenGL dm_control would end the process, so it is not asked.
        """
        physics = getattr(self._inner, "physics", None)
        if physics is None or choose_backend() == "ray":
            return None
        return physics.render(height=240, width=320, camera_id=CAMERA)

    def close(self) -> None:
        """Release the environment."""
        close = getattr(self._inner, "close", None)
        if callable(close):
            close()

    def _seen(self, observation: Any) -> dict[str, Array]:  # noqa: ANN401
        known = cast("spaces.Dict", self.observation_space)
        return {
            key: np.asarray(value, known[key].dtype).reshape(known[key].shape or ())
            for key, value in _named(observation).items()
        }


def _named(value: Any) -> dict[str, Any]:  # noqa: ANN401
    return dict(value) if isinstance(value, Mapping) else {"observation": value}


def _dm_space(spec: Any) -> spaces.Box:  # noqa: ANN401
    """Return the space of one observation; a picture loses its axes of length one."""
    shape = tuple(spec.shape)
    if np.dtype(spec.dtype) == np.uint8 and len(shape) >= 3:
        return spaces.Box(0, 255, shape[-3:], np.uint8)
    return spaces.Box(-np.inf, np.inf, shape or (1,), np.float64)
