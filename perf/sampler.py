"""The in-memory batch sampler against a per-item loader that reads each item from its file."""

import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from envs.collect import collect
from envs.collection import Collection
from perf.ratio import CPU, Ratio, compare
from policies.dataset import EpisodeSet
from policies.windows import Sampler

EPISODES, BATCH, CHUNK = 20, 64, 50
OURS, THEIRS = 200, 5  # batches a round: enough of each to time


class PerItem(Dataset[dict[str, torch.Tensor]]):
    """The usual data set of an ALOHA folder: one item opens its file and reads its window."""

    def __init__(self, folder: Path) -> None:
        """List every step of every episode in ``folder``."""
        self.items = []
        for path in sorted(folder.glob("*.hdf5")):
            with h5py.File(path) as file:
                self.items += [(path, step) for step in range(len(file["action"]))]

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Read one window: the observation, the actions from there, what is padding."""
        path, step = self.items[index]
        with h5py.File(path) as file:
            observations = file["observations"]
            item = {"qpos": torch.from_numpy(observations["qpos"][step : step + 1])}
            for name, poses in observations["objects"].items():
                item[f"objects/{name}"] = torch.from_numpy(poses[step : step + 1])
            actions = torch.from_numpy(file["action"][step : step + CHUNK])
        missing = CHUNK - len(actions)
        item["action"] = torch.cat([actions, actions[-1:].expand(missing, -1)])
        item["pad"] = torch.arange(CHUNK) >= len(actions)
        return item


def batches() -> Ratio:
    """Time a batch of 64 windows of 50 actions, state track, each way."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        collect(Collection("pick_place"), EPISODES, data)
        episodes = EpisodeSet.load(data)
        sampler = Sampler(episodes, episodes.train, n_obs=1, chunk=CHUNK)
        loader = iter(DataLoader(PerItem(data), BATCH, shuffle=True))
        rng = np.random.default_rng(0)

        def ours() -> None:
            for _ in range(OURS):
                {k: torch.from_numpy(v) for k, v in sampler.batch(rng, BATCH).items()}

        def theirs() -> None:
            for _ in range(THEIRS):
                next(loader)

        what = "batch sampler : per-item DataLoader"
        found = compare(what, 20, ours, theirs, clock=CPU)
    return found.per_piece(OURS, THEIRS)
