"""A small data set whose action follows from the observation, so that learning can be seen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from envs.arm import ArmSpec
from envs.episode import Episode, EpisodeMeta

N = 3
JOINTS = ("waist", "elbow", "gripper")
WEIGHTS = np.array([[1.0, -0.5, 0.0], [0.3, 0.8, 0.0], [0.0, 0.5, 0.5]], np.float32)
MakeDemos = Callable[..., Path]


def arm_spec(name: str = "toy") -> ArmSpec:
    return ArmSpec(
        name=name,
        joints=JOINTS,
        lower=(-2.0, -2.0, 0.0),
        upper=(2.0, 2.0, 1.0),
        velocity=(3.0, 3.0, 2.0),
        effort=(5.0, 5.0, 5.0),
        home=(0.0, 0.0, 0.5),
        grippers=(2,),
    )


def episode(index: int, steps: int, image: int = 0) -> Episode:
    """Move at a constant pace from a random pose to one that the cube's position decides."""
    rng = np.random.default_rng(index)
    cube = np.array([*rng.uniform(-1, 1, 3), 1, 0, 0, 0], np.float32)
    goal = WEIGHTS @ cube[:3]
    way = np.linspace(rng.uniform(-1, 1, N), goal, steps + 1, dtype=np.float32)
    observations = {
        "qpos": way[:-1],
        "qvel": np.zeros((steps, N)),
        "objects/cube": np.tile(cube, (steps, 1)),
    }
    if image:
        shade = np.uint8(127 + 100 * cube[:3])
        observations["images/overhead"] = np.tile(shade, (steps, image, image, 1))
    meta = EpisodeMeta(
        task="toy", instruction="go there", robot="toy", joints=JOINTS, success=True, index=index
    )
    return Episode(observations, way[1:], np.arange(steps) / 50, meta)
