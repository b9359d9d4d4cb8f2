"""Episodes of a robomimic file.

Of a file of ours everything comes back as it was: ``actions_abs`` holds the commands and the
attribute ``armtrials`` the metadata. In a foreign one the actions are the environment's own, in
-1..1, and the vectors that it observes become one, ``state``, as for other environments that are
not ours (`envs.adapters`); ``EpisodeMeta.origin`` keeps their names, so that nothing is lost on
the way back.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from envs.arm import Array
from envs.episode import Episode, EpisodeMeta
from envs.errors import UsageError
from envs.formats.base import ORIGIN_FORMAT
from envs.formats.names import pack_vectors
from envs.hdf5_guard import (
    MAX_STEPS,
    UNREADABLE,
    check_numbers,
    need_dataset,
    open_guarded,
    read_text,
)
from envs.marks import NAMES, Marks

ROBOMIMIC = "robomimic"
OURS = "armtrials"
MAX_OBJECTS = 1 << 20  # a demonstration takes about thirty
MAX_BYTES = 1 << 42  # read demonstration by demonstration
USUAL_HZ = 20.0  # robosuite's control rate, where env_args does not say
IMAGE = "_image"


def is_robomimic(path: Path) -> bool:
    """Tell whether an HDF5 file has robomimic's layout."""
    with open_guarded(path, MAX_OBJECTS, MAX_BYTES) as file:
        return isinstance(file.get("data"), h5py.Group) and "action" not in file


class RobomimicSource:
    """The demonstrations of one file."""

    def __init__(self, path: Path) -> None:
        """Check the whole file's structure and list its demonstrations.

        Raises:
            UsageError: hostile or broken, or demonstrations are missing that it speaks of.
        """
        self.path = Path(path)
        self._open = open_guarded(self.path, MAX_OBJECTS, MAX_BYTES)
        self._file = self._open.__enter__()  # once: the guard visits every object
        data = self._file.get("data")
        if not isinstance(data, h5py.Group):
            raise UsageError(f"{path}: must have the group /data")
        names = [name for name in data if isinstance(data[name], h5py.Group)]
        self.names: Sequence[str] = tuple(sorted(names, key=_number))
        if not names:
            raise UsageError(f"{path}: must hold demonstrations, and it holds none")
        self._env = read_text(data, "env_args", self.path)
        _check_complete(self._file, self.names, self.path)
        self.dropped: Sequence[str] = _dropped(data[self.names[0]])

    def read(self, index: int) -> Episode:
        """Return a demonstration; ``UsageError`` where it is broken."""
        name = self.names[index]
        demo = self._file["data"][name]
        try:
            ours = read_text(demo, OURS, self.path)
            return self._own(demo, ours) if ours else self._foreign(demo, index)
        except UsageError:
            raise
        except UNREADABLE as error:
            raise UsageError(f"{self.path}: {name}: {error}") from None

    def _own(self, demo: h5py.Group, text: str) -> Episode:
        """Return a demonstration that was written by us."""
        told = json.loads(text)
        actions = _array(demo, "actions_abs", self.path)
        obs = {ours: _array(demo["obs"], name, self.path) for ours, name in told["obs"].items()}
        marks = None
        if "expert_action" in demo:
            marks = Marks(*(_array(demo, f"expert_{name}", self.path) for name in NAMES))
        times = _array(demo, "timestamps", self.path)
        return Episode(obs, actions, times, EpisodeMeta.from_json(told["meta"]), marks)

    def _foreign(self, demo: h5py.Group, index: int) -> Episode:
        """Return a demonstration in somebody else's environment."""
        actions = _array(demo, "actions", self.path, 2)
        _check_length(demo, len(actions), self.path)
        vectors, images, cameras = {}, {}, {}
        for name in demo["obs"]:
            dataset = need_dataset(demo["obs"], name, self.path)
            if dataset.ndim in (1, 2):
                array = _array(demo["obs"], name, self.path)
                vectors[name] = array.reshape(len(array), -1)
            elif _is_picture(dataset):
                camera = name.removesuffix(IMAGE)
                images[f"images/{camera}"] = _array(demo["obs"], name, self.path)
                cameras[camera] = name
        env = json.loads(self._env) if self._env else {}
        hz = float(env.get("env_kwargs", {}).get("control_freq") or USUAL_HZ)
        origin: dict[str, Any] = {ORIGIN_FORMAT: ROBOMIMIC, "env_args": env, "cameras": cameras}
        observed: dict[str, Array] = {"qpos": np.zeros_like(actions), **images}
        if vectors:
            observed["state"], origin["state"] = pack_vectors(vectors)
        name = str(env.get("env_name", ""))
        rewards = _array(demo, "rewards", self.path) if "rewards" in demo else np.zeros(1)
        meta = EpisodeMeta(
            task=name, robot=name, operator="foreign", success=True if rewards.any() else None,
            index=index, control_hz=hz, timed=False,
            origin=json.dumps(origin, sort_keys=True, allow_nan=False),
        )  # fmt: skip
        meta = replace(meta, joints=tuple(f"action_{i}" for i in range(actions.shape[1])))
        return Episode(observed, actions, np.arange(len(actions)) / hz, meta)


def _number(name: str) -> tuple[int, str]:
    digits = re.findall(r"\d+", name)
    return (int(digits[-1][-18:]) if digits else -1, name)


def _check_complete(file: h5py.File, names: Sequence[str], path: Path) -> None:
    """Refuse a file that counts, or filters for, demonstrations that are not there."""
    data = file["data"]
    for key in file["mask"] if isinstance(file.get("mask"), h5py.Group) else ():
        listed = {n.decode() if isinstance(n, bytes) else str(n) for n in file["mask"][key][...]}
        if missing := sorted(listed - set(names), key=_number):
            raise UsageError(
                f"{path}: demonstrations are missing: /mask/{key} lists {', '.join(missing[:3])}"
            )
    steps = 0
    for name in names:
        actions = need_dataset(data[name], "actions", path)
        check_numbers(actions, path, (None, None))
        if not isinstance(data[name].get("obs"), h5py.Group):
            raise UsageError(f"{path}: {name} must have the group obs")
        steps += len(actions)
    if "total" in data.attrs and int(data.attrs["total"]) != steps:
        raise UsageError(
            f"{path}: /data counts {int(data.attrs['total'])} samples, its demonstrations hold "
            f"{steps}: some are missing or cut off"
        )


def _check_length(demo: h5py.Group, steps: int, path: Path) -> None:
    stated = demo.attrs.get("num_samples")
    if stated is not None and int(stated) != steps:
        raise UsageError(
            f"{path}: {demo.name}: states {int(stated)} samples, its actions are {steps}"
        )


def _dropped(demo: h5py.Group) -> tuple[str, ...]:
    """Name what a foreign demonstration holds and an episode has no place for."""
    if OURS in demo.attrs:
        return ()
    extra = [name for name in demo if name not in ("actions", "obs", "next_obs")]
    depth = [
        f"obs/{name}"
        for name, item in demo["obs"].items()
        if isinstance(item, h5py.Dataset) and item.ndim not in (1, 2) and not _is_picture(item)
    ]
    attributes = [name for name in demo.attrs if name != "num_samples"]
    return tuple(sorted([*extra, *depth, *attributes]))


def _is_picture(dataset: h5py.Dataset) -> bool:
    return bool(dataset.ndim == 4 and dataset.shape[3] == 3 and dataset.dtype == np.uint8)


def _array(group: h5py.Group, name: str, path: Path, dims: int | None = None) -> Array:
    """Read a dataset of numbers, or of pictures."""
    dataset = need_dataset(group, name, path)
    if dims is not None and dataset.ndim != dims:
        raise UsageError(f"{path}: {dataset.name} must have {dims} axes, got {dataset.ndim}")
    shape: tuple[int | None, ...] = (None,) * dataset.ndim
    if dataset.ndim not in (1, 2, 4) or len(dataset) > MAX_STEPS:
        raise UsageError(f"{path}: {dataset.name} has the shape {dataset.shape}")
    check_numbers(dataset, path, shape)
    array: Array = dataset[...]
    return array


def told_meta(episode: Episode, names: Mapping[str, str]) -> str:
    """Return what the attribute ``armtrials`` of a demonstration holds."""
    return json.dumps({"meta": episode.meta.to_json(), "obs": dict(names)}, allow_nan=False)
