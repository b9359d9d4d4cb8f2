"""Demonstrations in somebody else's environment, as episodes that policies learn from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from envs.adapters import Foreign
from envs.arm import Array, Observation
from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError
from envs.success import Success, Verdict

Demonstrator = Callable[[Observation], Array]
"""From an observation to the action (n,)."""


def demonstrate(env: Foreign, act: Demonstrator, success: Success, seed: int) -> Episode:
    """Let ``act`` control ``env`` for one episode, started with ``seed``."""
    verdict, observation = Verdict(success), env.reset(seed)
    seen: list[Observation] = []
    actions: list[Array] = []
    over = False
    while not over and len(actions) < env.horizon:
        action = env.limited(act(observation))
        seen.append(observation)
        actions.append(action)
        observation, reward, terminated, truncated, info = env.step(action)
        verdict.add(reward, info)
        over = terminated or truncated
    verdict.check(env.name)
    meta = EpisodeMeta(
        task=env.name,
        robot=env.name,
        operator="foreign",
        success=verdict.now,
        failure="" if verdict.now else "other",
        index=seed,
        seed=seed,
        joints=env.spec.joints,
        control_hz=env.spec.control_hz,
    )
    arrays = {key: np.stack([o[key] for o in seen]) for key in seen[0]}
    return Episode(arrays, np.stack(actions), np.arange(len(seen)) / env.spec.control_hz, meta)


def record(
    env: Foreign, act: Demonstrator, success: Success, episodes: int, out: Path
) -> list[Path]:
    """Write demonstrations of seeds 0, 1, ... to ``out``; failed ones are marked, not left out.

    The trials of an evaluation have other seeds.

    Raises:
        UsageError: no episodes are asked for, or the folder cannot be written.
    """
    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    made = (demonstrate(env, act, success, seed) for seed in range(episodes))
    return [write_episode(Path(out) / f"episode_{i}.hdf5", e) for i, e in enumerate(made)]
