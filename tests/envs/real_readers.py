"""Reads a converted data set with the library whose format it is, in that library's environment.

    python tests/envs/real_readers.py lerobot FOLDER OUT.npz
    python tests/envs/real_readers.py robomimic FILE OUT.npz

It imports nothing of ArmTrials: only numpy, torch and the library. What it read goes to OUT.npz.
"""

import sys
from pathlib import Path

import numpy as np


def lerobot(root: Path) -> dict[str, np.ndarray]:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    data = LeRobotDataset("armtrials/check", root=root)
    frames = [data[i] for i in range(len(data))]
    found = {
        key: np.stack([frame[key].numpy() for frame in frames])
        for key, value in frames[0].items()
        if hasattr(value, "numpy")
    }
    found["task"] = np.array([frame["task"] for frame in frames])
    found["episodes"] = np.array(data.num_episodes)
    found["fps"] = np.array(data.fps)
    found["stats/action/mean"] = np.asarray(data.meta.stats["action"]["mean"])
    return found


def robomimic(path: Path) -> dict[str, np.ndarray]:
    import h5py
    from robomimic.utils import obs_utils
    from robomimic.utils.dataset import SequenceDataset
    from robomimic.utils.file_utils import get_env_metadata_from_dataset

    with h5py.File(path) as file:
        keys = sorted(file["data/demo_0/obs"])
    images = [key for key in keys if key.endswith("_image")]
    low = [key for key in keys if key not in images]
    obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": low, "rgb": images}})
    data = SequenceDataset(
        str(path), obs_keys=keys, dataset_keys=("actions", "rewards", "dones"), frame_stack=1,
        seq_length=1, pad_seq_length=False, hdf5_cache_mode=None, filter_by_attribute="train",
        load_next_obs=True,
    )  # fmt: skip
    items = [data[i] for i in range(len(data))]
    found = {f"obs/{k}": np.concatenate([i["obs"][k] for i in items]) for k in keys}
    found |= {f"next_obs/{k}": np.concatenate([i["next_obs"][k] for i in items]) for k in keys}
    found |= {k: np.concatenate([i[k] for i in items]) for k in ("actions", "rewards", "dones")}
    found["env"] = np.array(get_env_metadata_from_dataset(str(path))["env_name"])
    return found


if __name__ == "__main__":
    kind, source, out = sys.argv[1:]
    np.savez(out, **{"lerobot": lerobot, "robomimic": robomimic}[kind](Path(source)))
