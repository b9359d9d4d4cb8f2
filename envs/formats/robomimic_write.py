"""A robomimic file of episodes.

Beside what robomimic reads stand ``actions_abs`` (the commands), ``timestamps`` and the attribute
``armtrials``, from which `robomimic_read` restores the episode exactly. ``actions`` are the
commands mapped to -1..1 over each joint's range, as the Gymnasium ids take them; of an arm that
is not ours the range is that of the commands themselves.
"""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from envs.arm import Array
from envs.atomic import write_atomic
from envs.episode import Episode
from envs.errors import UsageError
from envs.formats.base import ORIGIN_FORMAT, Options
from envs.formats.names import read_origin, to_robomimic, unpack_vectors
from envs.formats.robomimic_read import OURS, ROBOMIMIC, told_meta
from envs.robots import ROBOTS

DEMO = "demo.hdf5"
VALIDATION = 10
"""Every tenth demonstration is in ``mask/valid``."""
GYM = 2  # robomimic's EnvType of Gym environments


class RobomimicTarget:
    """One file with a group a demonstration."""

    def __init__(self, options: Options) -> None:
        """Write with ``options.next_obs`` or without."""
        self._next_obs = options.next_obs

    def signature(self, episode: Episode) -> Mapping[str, Any]:
        """Return rate, task and the shape of each observation."""
        shapes = {k: list(v.shape[1:]) for k, v in _observed(episode)[0].items()}
        meta = episode.meta
        return {
            "robot": meta.robot,
            "task": meta.task,
            "control_hz": meta.control_hz,
            "action": episode.actions.shape[1],
            **{f"obs/{k}": shape for k, shape in shapes.items()},
        }

    def stage(self, folder: Path, episode: Episode) -> None:
        """Write one demonstration as a file of its own, with its unscaled actions."""
        with h5py.File("demo", "w", driver="core", backing_store=False) as file:
            self._write(file, episode)
            file.flush()
            image: bytes = file.id.get_file_image()
        write_atomic(folder / DEMO, image)

    def _write(self, file: h5py.File, episode: Episode) -> None:
        observed, told = _observed(episode)
        demo = file.create_group("demo")
        demo.attrs["num_samples"] = len(episode)
        if told:
            demo.attrs[OURS] = told
        else:
            file.attrs["env_args"] = json.dumps(read_origin(episode.meta.origin)["env_args"])
        demo["actions_abs"] = episode.actions
        demo["timestamps"] = episode.timestamps
        last = np.arange(len(episode)) == len(episode) - 1
        demo["dones"] = last.astype(np.int64)
        demo["rewards"] = (last & bool(episode.meta.success)).astype(np.float64)
        vectors = [v for k, v in sorted(observed.items()) if v.ndim == 2]
        demo["states"] = np.concatenate(vectors, axis=1) if vectors else episode.actions[:, :0]
        for name, array in (episode.marks.arrays() if episode.marks else {}).items():
            demo[name.replace("/", "_")] = array
        for name, array in observed.items():
            _put(demo, f"obs/{name}", array)
            if self._next_obs:
                _put(demo, f"next_obs/{name}", np.concatenate([array[1:], array[-1:]]))

    def assemble(self, pieces: Sequence[Path], out: Path) -> None:
        """Copy the demonstrations into one file, one after the other.

        Raises:
            UsageError: the disk is full.
        """
        span = _span(pieces)
        with out.open("wb+") as stream:
            careful = Careful(stream.fileno())
            with h5py.File(careful, "w") as file:
                total = 0
                for i, piece in enumerate(pieces):
                    total += _copy(piece / DEMO, file, f"data/demo_{i}", span)
                    careful.check(out)
                _finish(file, pieces[0] / DEMO, total, len(pieces))
            careful.check(out)
            os.fsync(stream.fileno())


def _observed(episode: Episode) -> tuple[dict[str, Array], str]:
    """Return the observations by robomimic's names, and what restores ours."""
    origin = read_origin(episode.meta.origin)
    if origin.get(ORIGIN_FORMAT) == ROBOMIMIC:
        state, layout = episode.observations.get("state"), origin.get("state", [])
        found = unpack_vectors(state, layout) if state is not None else {}
        for camera, name in origin.get("cameras", {}).items():
            found[name] = episode.observations[f"images/{camera}"]
        return found, ""
    names = {key: to_robomimic(key) for key in episode.observations}
    if len(set(names.values())) < len(names):
        raise UsageError(f"two observations would have one name in robomimic: {sorted(names)}")
    observed = {names[key]: array for key, array in episode.observations.items()}
    return observed, told_meta(episode, names)


def _put(group: h5py.Group, name: str, array: Array) -> None:
    if array.ndim == 4:
        group.create_dataset(name, data=array, chunks=(1, *array.shape[1:]))
    else:
        group[name] = array


def _span(pieces: Sequence[Path]) -> tuple[Array, Array] | None:
    """Return the range (n,), (n,) that becomes -1..1; None where actions are in it already."""
    with h5py.File(pieces[0] / DEMO, "r") as file:
        text = file["demo"].attrs.get(OURS)
    if text is None:
        return None
    robot = json.loads(text)["meta"]["robot"]
    if robot in ROBOTS:
        spec = ROBOTS[robot].spec()
        return np.array(spec.lower, np.float64), np.array(spec.upper, np.float64)
    lows, highs = [], []
    for piece in pieces:
        with h5py.File(piece / DEMO, "r") as file:
            actions = file["demo/actions_abs"][...]
        lows.append(actions.min(0))
        highs.append(actions.max(0))
    return np.min(lows, 0).astype(np.float64), np.max(highs, 0).astype(np.float64)


def _copy(source: Path, file: h5py.File, name: str, span: tuple[Array, Array] | None) -> int:
    """Copy one demonstration and scale its actions; return its steps."""
    with h5py.File(source, "r") as one:
        file.require_group("data")
        one.copy("demo", file, name)
        actions: Array = one["demo/actions_abs"][...]
    demo = file[name]
    if span is None:
        del demo["actions_abs"]
        demo["actions"] = actions
        return len(actions)
    low, high = span
    width = np.where(high > low, high - low, 1.0)
    scaled = np.clip(2 * (actions.astype(np.float64) - low) / width - 1, -1, 1)
    demo["actions"] = scaled
    return len(actions)


def _finish(file: h5py.File, first: Path, total: int, count: int) -> None:
    """Write what stands once in a file: totals, environment, masks."""
    file["data"].attrs["total"] = total
    file["data"].attrs["env_args"] = json.dumps(_environment(first))
    names = [f"demo_{i}".encode() for i in range(count)]
    valid = names[VALIDATION - 1 :: VALIDATION] or names[1:][-1:]
    file["mask/train"] = np.array([n for n in names if n not in valid])
    if valid:
        file["mask/valid"] = np.array(valid)


def _environment(first: Path) -> dict[str, Any]:
    """Return ``env_args``: the foreign one as it came, or ours."""
    with h5py.File(first, "r") as one:
        text = one["demo"].attrs.get(OURS)
        foreign = one.attrs.get("env_args")
    if text is None:
        return dict(json.loads(foreign)) if foreign else {}
    meta = json.loads(text)["meta"]
    kwargs = {"task": meta["task"], "robot": meta["robot"], "control_freq": meta["control_hz"]}
    return {"env_name": f"ArmTrials/{meta['task']}", "type": GYM, "env_kwargs": kwargs}


class Careful(io.RawIOBase):
    """A file that HDF5 never sees fail: on a failed write it ends the process.

    The first error is kept for ``check``; from then on nothing is written.
    """

    def __init__(self, handle: int) -> None:
        """Write to the open file ``handle``."""
        self._handle, self._at = handle, 0
        self._error: OSError | None = None

    def check(self, path: Path) -> None:
        """Raise the first error, as ``UsageError``, if there was one."""
        if self._error is not None:
            told = self._error.strerror or self._error
            raise UsageError(f"{path}: could not be written: {told}") from self._error

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        size = os.fstat(self._handle).st_size
        self._at = offset + (0, self._at, size)[whence]
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        """Read; zeros where nothing could be written."""
        view = memoryview(buffer).cast("B")
        data = os.pread(self._handle, len(view), self._at)
        view[:] = data + bytes(len(view) - len(data))
        self._at += len(view)
        return len(view)

    def write(self, data: Any) -> int:  # noqa: ANN401
        """Write all of it, or keep the error."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view) and self._error is None:
                done += os.pwrite(self._handle, view[done:], self._at + done)
        except OSError as error:
            self._error = error
        self._at += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        size = self._at if size is None else size
        try:
            os.ftruncate(self._handle, size)
        except OSError as error:
            self._error = self._error or error
        return size

    def flush(self) -> None:
        """Do nothing: every write went to the system."""
