"""A tiny untrained policy in a real checkpoint folder (it sways about home), and runs of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lines import Record
from benchmarks.records import VOLATILE
from benchmarks.run import EvaluateConfig
from envs.robots import ROBOTS
from policies.base import ALGORITHMS, PolicySpec
from policies.checkpoint import save_checkpoint
from policies.configs import from_json
from policies.normalize import KeyStats, Normalizer, Stats
from policies.trained import TrainedPolicy

SHAPES = {"qpos": (7,), "objects/cube": (7,), "objects/target": (7,)}
CHUNK, EXECUTE = 10, 5


TINY: dict[str, dict[str, Any]] = {
    "bc": {"chunk": CHUNK, "execute": EXECUTE, "hidden": [16]},
    "act": {"chunk": CHUNK, "execute": EXECUTE, "patch": 5, "hidden": 16, "encoder_layers": 1},
    "diffusion": {
        "chunk": 16, "execute": EXECUTE, "patch": 8, "denoiser": "transformer", "denoise": 4,
        "condition": [8], "transformer": {"layers": 1},
    },
}  # fmt: skip
"""Settings of algorithms so small that they cost nothing."""


def make_checkpoint(
    folder: Path, seed: int = 0, task: str = "pick_place", algorithm: str = "bc"
) -> Path:
    """Write a checkpoint of a tiny algorithm with random weights."""
    arm = ROBOTS["viperx"].spec()
    torch.manual_seed(seed)
    kind, settings = ALGORITHMS[algorithm].load(), TINY[algorithm]
    chunk = settings["chunk"]
    spec = PolicySpec("viperx", arm.joints, 50.0, task, "state", SHAPES, 1, chunk, EXECUTE)
    config = from_json(kind.Config, settings, algorithm)
    home = np.array(arm.home)
    ranges = {"qpos": home, "action": home, "objects/cube": 0.0 * home, "objects/target": 0 * home}
    stats = Stats({k: KeyStats.of(np.stack([v - 0.3, v + 0.3])) for k, v in ranges.items()})
    policy = TrainedPolicy(algorithm, spec, kind(config, spec), Normalizer(stats, "minmax"))
    canary = {key: np.zeros((2, 1, *shape), np.float32) for key, shape in SHAPES.items()}
    stored = {"algorithm": algorithm, "image_size": 0, "settings": settings, "training": {}}
    origin = {
        "algorithm": algorithm,
        "preset": "test",
        "seed": seed,
        "blind": False,
        "data": {"fingerprint": "f" * 64, "episodes": 2, "train": [0], "validation": [1]},
        "training": {"steps": 0, "wall_s": 0.0, "cpu_s": 0.0, "parameters": 1, "device": "cpu"},
    }
    return save_checkpoint(folder, policy, canary, stored, origin)


def config(policy: Path | str, results: Path, **changes: Any) -> EvaluateConfig:
    base = EvaluateConfig(
        str(policy), results=results, conditions=("observation/L2",), trials=4, batch=3,
        videos="none",
    )  # fmt: skip
    return replace(base, **changes)


def stable(records: Sequence[Record]) -> list[Record]:
    return [{k: v for k, v in r.items() if k not in VOLATILE} for r in records]
