"""A policy that predicts fixed chunks, for tests of how they are carried out."""

from collections.abc import Mapping, Sequence

import numpy as np

from envs.arm import Array
from policies.base import PolicySpec
from policies.chunking import Controller

N = 2


class Scripted:
    """Predicts fixed chunks: the k-th call gives ``chunks[k]`` (batch, chunk, n)."""

    name = "scripted"

    def __init__(self, chunks: Array, n_obs: int = 1, execute: int = 1) -> None:
        self.chunks = chunks
        self.seen: list[Array] = []
        self.spec = PolicySpec(
            "toy", ("a", "b"), 50.0, "toy", "state", {"qpos": (N,)}, n_obs, chunks.shape[2], execute
        )

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        self.calls = 0

    def act(self, obs: Mapping[str, Array]) -> Array:
        self.seen.append(obs["qpos"])
        self.calls += 1
        return self.chunks[self.calls - 1]


def start(policy: Scripted, rows: int, **options: object) -> Controller:
    controller = Controller(policy, **options)
    controller.reset(["go"] * rows, range(rows))
    return controller


def observe(step: int, rows: int) -> dict[str, Array]:
    return {"qpos": np.full((rows, N), step, np.float32)}


def run(controller: Controller, steps: int, rows: int) -> Array:
    return np.stack(
        [controller.action(observe(t, rows) if controller.wants() else None) for t in range(steps)]
    )
