"""Somebody else's environment behind the observations, actions and seeds that policies here know.

``gym:<id>`` is any registered Gymnasium id with a bounded Box action; ``dm:<domain>/<task>`` is a
task of dm_control's suite and ``dm:manipulation/<task>`` one of its manipulation tasks. Any other
``dm_env`` environment is adapted by `DmEnv`.

What such an environment observes is flattened into one vector, ``state``; pictures (h, w, 3) stay
``images/<name>``. It has no joints to report: ``qpos`` is the neutral action, always.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.adapters_dm import DM, DmEnv, dm_loader
from envs.arm import ArmSpec, Array, Observation
from envs.errors import UsageError

GYM = "gym:"
HZ = 50.0  # of an environment that does not say its rate
HORIZON = 1000  # steps of an environment that does not say its limit
RGB = "rgb_array"  # Gymnasium's name of pictures as arrays
PICTURES = "pixels"  # name of a picture that is the whole observation


class Foreign:
    """One environment of somebody else.

    Attributes:
        name: as it was asked for.
        spec: its actions as joints, without limits but the Box's.
        shapes: of one observation, by key.
        horizon: steps until an episode is cut off.
    """

    def __init__(self, name: str, env: gym.Env[Any, Any], horizon: int | None = None) -> None:
        """Adapt ``env``; ``horizon`` replaces its own limit where that is longer or none.

        Raises:
            UsageError: its actions are no bounded Box, or its observations no fixed numbers.
        """
        self.name, self.env = name, env
        self._box = _bounded(name, env.action_space)
        self._parts = list(_parts(name, env.observation_space, ""))
        self.horizon = _horizon(env, horizon)
        self.spec = self._spec()
        width = sum(spaces.flatdim(space) for _, space in self._parts if not _is_picture(space))
        self.shapes: dict[str, tuple[int, ...]] = {"qpos": (self.spec.n,)}
        if width:
            self.shapes["state"] = (width,)
        self.shapes |= {_picture(k): cast("spaces.Box", s).shape for k, s in self._pictures()}

    def _spec(self) -> ArmSpec:
        low, high = (tuple(map(float, b.ravel())) for b in (self._box.low, self._box.high))
        hz = _rate(self.env)
        pairs = list(zip(low, high, strict=True))
        return ArmSpec(
            name=self.name,
            joints=tuple(f"action_{i}" for i in range(len(pairs))),
            lower=low,
            upper=high,
            velocity=tuple((b - a) * hz for a, b in pairs),
            effort=(0.0,) * len(pairs),
            home=tuple(min(max(0.0, a), b) for a, b in pairs),
            grippers=(),
            control_hz=hz,
        )

    def _pictures(self) -> list[tuple[str, spaces.Space[Any]]]:
        return [(key, space) for key, space in self._parts if _is_picture(space)]

    def reset(self, seed: int) -> Observation:
        """Begin the episode of ``seed``."""
        observation, _ = self.env.reset(seed=seed)
        return self._seen(observation)

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Send ``action`` (n,), which must be within the bounds; return what Gymnasium does."""
        shaped = np.asarray(action).reshape(self._box.shape).astype(self._box.dtype)
        observation, reward, terminated, truncated, info = self.env.step(shaped)
        return self._seen(observation), float(reward), bool(terminated), bool(truncated), info

    def limited(self, action: Array) -> Array:
        """Return ``action`` (n,) within the bounds, float32."""
        limits = self.spec.limits
        return np.clip(action, limits.lower, limits.upper).astype(np.float32)

    def render(self) -> Array | None:
        """Return the environment's own picture of its state, None where it draws none."""
        drawn: Any = self.env.render() if self.env.render_mode == RGB else None
        return None if drawn is None else np.asarray(drawn)

    def close(self) -> None:
        """Release the environment."""
        self.env.close()

    def _seen(self, observation: Any) -> Observation:  # noqa: ANN401  (as varied as the spaces)
        seen: Observation = {"qpos": np.array(self.spec.home, np.float32)}
        numbers = []
        for key, space in self._parts:
            value = _entry(observation, key)
            if _is_picture(space):
                seen[_picture(key)] = np.asarray(value, np.uint8)
            else:
                numbers.append(np.asarray(spaces.flatten(space, value), np.float32).ravel())
        if numbers:
            seen["state"] = np.concatenate(numbers)
        return seen


def adapt(name: str, horizon: int | None = None, draws: bool = False) -> Foreign:
    """Make the environment ``gym:<id>`` or ``dm:<domain>/<task>``.

    Args:
        name: which one.
        horizon: steps until an episode is cut off, where its own limit is longer or none.
        draws: let it draw pictures for `Foreign.render`, where it can.

    Raises:
        UsageError: it is unknown, its packages are missing, or it cannot be adapted.
    """
    if name.startswith(GYM):
        return Foreign(name, _make_gym(name, draws), horizon)
    if name.startswith(DM):
        return Foreign(name, DmEnv(dm_loader(name)), horizon)
    raise UsageError(
        f"env must be gym:<registered id> or dm:<domain>/<task>, got {name!r}; "
        "for example gym:Pendulum-v1, dm:manipulation/reach_site_features"
    )


def _make_gym(name: str, draws: bool) -> gym.Env[Any, Any]:
    try:
        env = gym.make(name.removeprefix(GYM))
        if draws and RGB in (env.metadata.get("render_modes") or ()):
            env.close()
            env = gym.make(name.removeprefix(GYM), render_mode=RGB)
        return env
    except (gym.error.Error, ImportError) as error:
        said = " ".join(str(error).split())
        raise UsageError(f"{name} cannot be made: {said}") from error


def _bounded(name: str, space: spaces.Space[Any]) -> spaces.Box:
    """Return the space of actions; refuse all but a bounded Box of real numbers."""
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise UsageError(f"the actions of {name} must be a Box of real numbers, got {space}")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UsageError(f"the actions of {name} must be bounded, got {space}")
    if not (space.low < space.high).all():
        raise UsageError(f"the actions of {name} must have a range, got {space}")
    return space


def _parts(name: str, space: spaces.Space[Any], key: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a space of observations, each with its path ``a/b``."""
    if isinstance(space, spaces.Dict):
        for inner, part in space.spaces.items():
            yield from _parts(name, part, f"{key}/{inner}" if key else str(inner))
        return
    if not space.is_np_flattenable:
        raise UsageError(f"the observations of {name} must be of fixed size, got {space}")
    yield key, space


def _entry(observation: Any, key: str) -> Any:  # noqa: ANN401
    """Return the leaf at ``a/b``; of an observation without names, itself."""
    while key and isinstance(observation, Mapping):
        name = next(n for n in observation if key == n or key.startswith(f"{n}/"))
        observation, key = observation[name], key[len(name) + 1 :]
    return observation


def _is_picture(space: spaces.Space[Any]) -> bool:
    shape = space.shape or ()
    return space.dtype == np.uint8 and len(shape) == 3 and shape[2] == 3


def _picture(key: str) -> str:
    return f"images/{key.replace('/', '_') or PICTURES}"


def _rate(env: gym.Env[Any, Any]) -> float:
    """Return steps a second of the environment's own time [Hz]."""
    step = getattr(env.unwrapped, "dt", None)
    if isinstance(step, (int, float)) and step > 0:
        return float(round(1.0 / step, 6))
    rate = env.metadata.get("render_fps") or HZ
    return float(rate)


def _horizon(env: gym.Env[Any, Any], wanted: int | None) -> int:
    own = env.spec.max_episode_steps if env.spec is not None else None
    if wanted is not None and wanted < 1:
        raise UsageError(f"horizon must be at least 1, got {wanted}")
    limits = [limit for limit in (own, wanted) if limit is not None]
    return min(limits, default=HORIZON)
