"""Small demonstrations to convert, and the way there and back."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from envs.episode import Episode, EpisodeMeta, episode_files, fingerprint, read_episode
from envs.episode import write_episode as write
from envs.formats.base import Options
from envs.formats.convert import Conversion, convert


def there_and_back(
    made: list[Episode], ways: tuple[tuple[str, str], ...], folder: Path
) -> list[str]:
    """Convert episodes along (format, pictures) and back to ALOHA; return fingerprints."""
    for i, episode in enumerate(made):
        write(folder / "from" / f"episode_{i}.hdf5", episode)
    source = folder / "from"
    for step, (kind, images) in enumerate((*ways, ("aloha", "h264"))):
        out = folder / (f"{step}.hdf5" if kind == "robomimic" else f"{step}")
        convert(Conversion(source, out, kind, Options(images=images)))
        source = out
    return [fingerprint(read_episode(path)) for path in episode_files(source)]


def demonstration(seed: int, steps: int = 12, size: tuple[int, int] = (48, 64)) -> Episode:
    """Smooth pictures, as a camera takes them, and three vectors."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = [np.sin(rows / 9 + t / 5) + np.cos(columns / 7 - t / 4 + seed) for t in range(steps)]
    frames = np.stack([np.stack([90 + 40 * w, 120 + 30 * w, 100 - 25 * w], -1) for w in waves])
    observed = {
        "qpos": rng.normal(size=(steps, 7)), "objects/cube": rng.normal(size=(steps, 7)),
        "images/wrist": frames.astype(np.uint8),
    }  # fmt: skip
    meta = EpisodeMeta("pick_place", "put it there", "viperx", success=True, index=seed)
    return Episode(observed, rng.uniform(-1, 1, (steps, 7)), np.arange(steps) / 50, meta)


def folder_of(path: Path, count: int = 3, **changes: Any) -> Path:
    for i in range(count):
        write(path / f"episode_{i}.hdf5", demonstration(i, **changes))
    return path


def foreign(path: Path) -> None:
    """Write a file as robosuite's demonstrations are: float64, delta actions, a state."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        args = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}
        data.attrs["env_args"], data.attrs["total"] = json.dumps(args), 11
        for i, steps in enumerate((5, 6)):
            demo = data.create_group(f"demo_{i}")
            demo.attrs["num_samples"], demo.attrs["model_file"] = steps, "<mujoco/>"
            demo["actions"] = rng.uniform(-1, 1, (steps, 7))
            demo["obs/eef_pos"], demo["obs/object"] = (
                rng.normal(size=(2, steps, 3))[0],
                rng.normal(size=(steps, 7)),
            )
            demo["obs/agentview_image"] = rng.integers(0, 256, (steps, 16, 16, 3), np.uint8)
            demo["obs/depth"] = rng.normal(size=(steps, 16, 16, 1))
            demo["states"], demo["rewards"] = rng.normal(size=(steps, 9)), np.ones(steps)
            demo["dones"] = np.zeros(steps)
