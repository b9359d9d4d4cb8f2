"""Small episodes and a foreign file for the tests."""

from pathlib import Path

import h5py
import numpy as np

from envs.arm import InitialCondition
from envs.episode import Episode, EpisodeMeta

START = InitialCondition((0.0, 0.1), {"cube": (0.3, 0, 0.02, 1, 0, 0, 0)}, {"light": {"k": 1.5}}, 7)
META = EpisodeMeta(
    task="pick_place", instruction="put it there", robot="viperx", operator="clean", success=True,
    start=START, index=3, seed=0, joints=tuple("abcdefg"), protocol_hash="ab",
    calibration_hash="cd",
)  # fmt: skip


def episode(length: int = 6, n: int = 7, images: bool = True, seed: int = 0) -> Episode:
    rng = np.random.default_rng(seed)
    observations = {
        "qpos": rng.normal(size=(length, n)),
        "qvel": rng.normal(size=(length, n)),
        "objects/cube": rng.normal(size=(length, 7)),
    }
    if images:
        ramp = np.linspace(0, 255, 16, dtype=np.uint8)
        picture = np.stack(np.broadcast_arrays(ramp[:, None], 255 - ramp[None], 40), -1)
        observations["images/wrist"] = np.repeat(picture[None].astype(np.uint8), length, 0)
    times = np.arange(length) * 0.02
    return Episode(
        observations, rng.normal(size=(length, n)), times, META if n == 7 else EpisodeMeta()
    )


def aloha(path: Path, length: int = 5, n: int = 14) -> h5py.File:
    """A foreign file as the public recorders write it: float64, no timestamps, no text."""
    file = h5py.File(path, "w")
    file.attrs["sim"] = True
    for name in ("observations/qpos", "observations/qvel", "observations/effort", "action"):
        file[name] = np.full((length, n), 0.5)
    file["observations/images/cam_high"] = np.zeros((length, 8, 8, 3), np.uint8)
    return file
