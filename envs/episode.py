"""An episode: arrays of equal length and what they mean; its ALOHA HDF5 file.

Layout of a file (the public ALOHA layout; what we add is ignored by its other readers)::

    /observations/qpos, qvel, effort   (T, n) float32        /action        (T, n) float32
    /observations/images/<camera>      (T, h, w, 3) uint8    chunked by frame
    /observations/objects/<name>       (T, 7) float32        added
    /observations/instruction          (T, m) float32        added, where instructions differ
    /timestamps/control                (T,) float64, s       added
    /expert/...                        added where an expert labelled it, see `envs.marks`
    /log/...                           added by a deployment, see `envs.step_log`
    attributes: sim, compress; added: those of `EpisodeMeta`

Observation t precedes action t. n is 7 for one arm and 14 for two. In the compressed variant an
image dataset holds JPEGs, see `envs.jpeg`, with their lengths in /compress_len (cameras, T).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from envs import jpeg
from envs.arm import Array
from envs.atomic import write_atomic
from envs.episode_files import episode_files
from envs.episode_meta import EpisodeMeta, read_attributes, write_attributes
from envs.errors import UsageError
from envs.hdf5_guard import (
    MAX_BYTES,
    MAX_PIXELS,
    check_numbers,
    need_dataset,
    open_guarded,
    read_scalar,
)
from envs.marks import Marks, has_marks, read_marks
from envs.step_log import StepLog, read_log

__all__ = [
    "Episode",
    "EpisodeHeader",
    "EpisodeMeta",
    "episode_files",
    "fingerprint",
    "inspect_file",
    "read_episode",
    "write_episode",
]


FREE = ("instruction", "state")
"""Vectors of any width; ``state`` is what somebody else's environment observes."""


@dataclass(frozen=True)
class Episode:
    """One demonstration, read-only and validated.

    Attributes:
        observations: arrays (T, ...) by name: ``qpos`` (T, n) and what else was recorded, with the
            keys of `envs.arm.Observation`; float32, images uint8.
        actions: absolute targets (T, n) float32; action t answers observation t.
        timestamps: time of observation t (T,) float64 [s], increasing.
        meta: what the episode is about.
        marks: what an expert says of each step, where one was asked.
        log: what a deployment noted of each step.
    """

    observations: Mapping[str, Array]
    actions: Array
    timestamps: Array
    meta: EpisodeMeta = field(default_factory=EpisodeMeta)
    marks: Marks | None = None
    log: StepLog | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only; refuse what cannot be an episode.

        Raises:
            ValueError: unequal lengths, wrong shapes, NaN or infinity, times that go backwards.
        """
        freeze = object.__setattr__
        named = {k: _frozen(k, self.observations[k]) for k in sorted(self.observations)}
        freeze(self, "observations", named)
        freeze(self, "actions", _frozen("action", self.actions))
        freeze(self, "timestamps", _frozen("timestamps", self.timestamps))
        _check_lengths(self)
        _check_widths(self)
        if len(self) > 1 and not (np.diff(self.timestamps) > 0).all():
            raise ValueError("timestamps must increase")

    def __len__(self) -> int:
        """Return the number of control steps T."""
        return len(self.actions)

    @property
    def notes(self) -> dict[str, Array]:
        """Arrays beside what was seen and done, by their names in a file."""
        marks, log = self.marks, self.log
        return {**(marks.arrays() if marks else {}), **(log.arrays() if log else {})}

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras recorded."""
        prefix = "images/"
        return tuple(k.removeprefix(prefix) for k in self.observations if k.startswith(prefix))


def fingerprint(episode: Episode) -> str:
    """Return the sha256 of the episode's content, in hex: arrays with their names, then the meta.

    It does not depend on the file: the same content has the same fingerprint wherever it lies.
    """
    digest = hashlib.sha256()
    arrays = {**episode.observations, "action": episode.actions, "timestamps": episode.timestamps}
    arrays |= episode.notes
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    digest.update(json.dumps(episode.meta.to_json(), sort_keys=True, allow_nan=False).encode())
    return digest.hexdigest()


def _frozen(name: str, array: Array) -> Array:
    """Return a read-only contiguous view in the type that ``name`` has on disk; refuse NaN."""
    kind = "u1" if name.startswith("images/") else "<f8" if name == "timestamps" else "<f4"
    array = np.asarray(array)
    if kind == "u1" and array.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8, got {array.dtype}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, kind).view()
    if kind != "u1" and not np.isfinite(array).all():
        first = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValueError(f"{name} must be finite in float32, got NaN or infinity at step {first}")
    array.setflags(write=False)
    return array


def _check_lengths(episode: Episode) -> None:
    arrays = {**episode.observations, "action": episode.actions, "timestamps": episode.timestamps}
    lengths = {k: len(v) if v.ndim else 0 for k, v in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(f"arrays must have one length of at least 1, got {lengths}")
    if episode.marks is not None and episode.marks.actions.shape != episode.actions.shape:
        raise ValueError(f"marks must fit the actions, got {episode.marks.actions.shape}")
    if episode.log is not None and episode.log.asked.shape != episode.actions.shape:
        raise ValueError(f"the log must fit the actions, got {episode.log.asked.shape}")


def _check_widths(episode: Episode) -> None:
    n = episode.actions.shape[1] if episode.actions.ndim == 2 else -1
    wanted: dict[str, tuple[int, ...]] = {"qpos": (n,), "qvel": (n,), "effort": (n,)}
    if "qpos" not in episode.observations or n < 1 or episode.timestamps.ndim != 1:
        raise ValueError("an episode must have qpos (T, n), action (T, n) and timestamps (T,)")
    for name, array in episode.observations.items():
        kind = name.split("/")[0]
        shape = array.shape[1:]
        if kind not in {*wanted, *FREE, "objects", "images"}:
            known = f"{', '.join((*wanted, *FREE))}, objects/, images/"
            raise ValueError(f"unknown observation {name!r}; known: {known}")
        fits = shape == wanted.get(name, (7,))
        if kind == "images":
            fits = len(shape) == 3 and shape[2] == 3
        elif name in FREE:
            fits = len(shape) == 1
        if not fits:
            raise ValueError(f"{name} does not fit {n} joints, got shape {array.shape}")
    if episode.meta.joints and len(episode.meta.joints) != n:
        raise ValueError(f"{len(episode.meta.joints)} joint names must fit action width {n}")


def write_episode(path: Path, episode: Episode, compress: bool = False) -> Path:
    """Write ``episode`` as ALOHA HDF5, atomically; the same episode gives the same bytes.

    Args:
        path: the file, replaced if it exists.
        episode: what to write.
        compress: store images as JPEG (quality 95) instead of raw.

    Raises:
        UsageError: the folder cannot be written or the disk is full.
    """
    # Made in memory: h5py on a full disk ends in a segmentation fault.
    with h5py.File("episode", "w", driver="core", backing_store=False) as file:
        _write_arrays(file, episode, compress)
        file.attrs["compress"] = compress
        write_attributes(file, episode.meta)
        file.flush()
        image: bytes = file.id.get_file_image()
    return write_atomic(path, image)


def _write_arrays(file: h5py.File, episode: Episode, compress: bool) -> None:
    plain = {"action": episode.actions, "timestamps/control": episode.timestamps}
    for name, array in {**plain, **episode.notes}.items():
        file[name] = array
    lengths = []
    for name, array in episode.observations.items():
        where = f"observations/{name}"
        if not name.startswith("images/"):
            file[where] = array
        elif compress:
            rows, length = jpeg.encode(array)
            file.create_dataset(where, data=rows, chunks=(1, rows.shape[1]))
            lengths.append(length)
        else:
            file.create_dataset(where, data=array, chunks=(1, *array.shape[1:]))
    if lengths:
        file["compress_len"] = np.stack(lengths)


@dataclass(frozen=True)
class EpisodeHeader:
    """What a file says about itself, no array read.

    Attributes:
        length: number of control steps T.
        shapes: shape of one step by observation name, and of ``action``; JPEG images decoded.
        compressed: the images are JPEG.
        meta: what the episode is about.
        marked: an expert has labelled steps of it.
    """

    length: int
    shapes: Mapping[str, tuple[int, ...]]
    compressed: bool
    meta: EpisodeMeta
    marked: bool = False


def inspect_file(path: Path) -> EpisodeHeader:
    """Check the file at ``path`` and return its header; no array is read.

    Raises:
        UsageError: hostile or broken; the message names file, dataset and rule.
    """
    path = Path(path)
    with open_guarded(path) as file:
        datasets = _find(file, path, None)
        meta = replace(read_attributes(file, path), timed="timestamps" in datasets)
        compressed = bool(read_scalar(file, "compress", path))
        shapes = {k: _step_shape(k, d, path) for k, d in datasets.items() if k != "timestamps"}
        steps = len(datasets["action"])
        return EpisodeHeader(steps, shapes, compressed, meta, has_marks(file))


def read_episode(path: Path, cameras: Sequence[str] | None = None) -> Episode:
    """Read an episode in ALOHA layout, ours or foreign, after checking the whole file.

    Args:
        path: the file.
        cameras: which cameras to read, () for none; default all.

    Raises:
        UsageError: hostile or broken; the message names file, dataset and rule.
    """
    path = Path(path)
    with open_guarded(path) as file:
        datasets = _find(file, path, cameras)
        meta = replace(read_attributes(file, path), timed="timestamps" in datasets)
        arrays = {k: _read(k, d, path) for k, d in datasets.items()}
        marks = read_marks(file, path, datasets["action"].shape)
        log = read_log(file, path, datasets["action"].shape)
    actions = arrays.pop("action")
    nominal = np.arange(len(actions)) / meta.control_hz
    timestamps = arrays.pop("timestamps", nominal)
    try:
        return Episode(arrays, actions, timestamps, meta, marks, log)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _find(file: h5py.File, path: Path, cameras: Sequence[str] | None) -> dict[str, h5py.Dataset]:
    """Return the datasets of an episode by name, their types, shapes and lengths checked."""
    found = {"action": need_dataset(file, "action", path)}
    check_numbers(found["action"], path, (None, None))
    length, n = found["action"].shape
    if not isinstance(file.get("observations"), h5py.Group):
        raise UsageError(f"{path}: must have the group /observations")
    group = file["observations"]
    found["qpos"] = need_dataset(group, "qpos", path)
    optional = ("qvel", "effort", *FREE)
    found |= {k: need_dataset(group, k, path) for k in optional if k in group}
    for name in ("qpos", *optional):
        if name in found:
            check_numbers(found[name], path, (length, None if name in FREE else n))
    for name, dataset in _members(group, "objects", path).items():
        check_numbers(dataset, path, (length, 7))
        found[f"objects/{name}"] = dataset
    for name, dataset in _members(group, "images", path).items():
        _check_images(dataset, path, length)
        if cameras is None or name in cameras:
            found[f"images/{name}"] = dataset
    if "timestamps/control" in file:
        found["timestamps"] = need_dataset(file, "timestamps/control", path)
        check_numbers(found["timestamps"], path, (length,))
    return found


def _members(group: h5py.Group, name: str, path: Path) -> dict[str, h5py.Dataset]:
    """Return the datasets of a subgroup by name; none if there is no such group."""
    if not isinstance(group.get(name), h5py.Group):
        return {}
    return {k: need_dataset(group[name], k, path) for k in group[name]}


def _check_images(dataset: h5py.Dataset, path: Path, length: int) -> None:
    raw = dataset.ndim == 4
    check_numbers(dataset, path, (length, None, None, 3) if raw else (length, None))
    if dataset.dtype != np.uint8:
        raise UsageError(f"{path}: {dataset.name}: must be uint8, got {dataset.dtype}")


def _step_shape(name: str, dataset: h5py.Dataset, path: Path) -> tuple[int, ...]:
    """Return the shape of one step; of JPEG images the size that the first frame declares."""
    if not name.startswith("images/") or dataset.ndim == 4:
        return tuple(dataset.shape[1:])
    try:
        height, width = jpeg.size(dataset[0], MAX_PIXELS)
    except ValueError as error:
        raise UsageError(f"{path}: {dataset.name}: {error}") from error
    if height * width * 3 * len(dataset) > MAX_BYTES:
        raise UsageError(
            f"{path}: {dataset.name}: absurd shape: decodes to more than {MAX_BYTES} bytes"
        )
    return height, width, 3


def _read(name: str, dataset: h5py.Dataset, path: Path) -> Array:
    shape = _step_shape(name, dataset, path)
    array: Array = dataset[...]
    if not name.startswith("images/") or array.ndim == 4:
        return array
    try:
        return jpeg.decode(array, (shape[0], shape[1]))
    except ValueError as error:
        raise UsageError(f"{path}: {dataset.name}: {error}") from error
