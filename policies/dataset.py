"""Demonstrations for training: read once, split by episode."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from envs.arm import Array, InitialCondition
from envs.episode import (
    Episode,
    EpisodeHeader,
    EpisodeMeta,
    fingerprint,
    inspect_file,
    read_episode,
)
from envs.errors import UsageError
from envs.start_features import start_table
from policies.base import TRACKS, AlgorithmConfig, PolicySpec
from policies.normalize import KeyStats, Stats
from policies.preprocess import filter_episodes, resize

Content = TypeVar("Content")

MEMORY_LIMIT = 4 * 2**30
"""Bytes of arrays kept in memory; a larger set is mapped from a temporary file."""


@dataclass(frozen=True)
class Reading:
    """What is read of a folder of demonstrations.

    Attributes:
        track: ``"state"``: qpos and objects; ``"pixels"``: qpos and images; both: the
            encoded instruction and a foreign environment's ``state``, where there is one.
        blind: leave out what shows the scene (images, objects), for the blind floor.
        image_size: (height, width) images are resized to; ``None``: as recorded.
        validation: share of the episodes held out.
        split_seed: seed of the split.
        memory_limit: bytes above which the arrays are memory-mapped.
        language: read what each episode was told, in words, instead of the encoded instruction.
    """

    track: str = "state"
    blind: bool = False
    image_size: tuple[int, int] | None = None
    validation: float = 0.12
    split_seed: int = 0
    memory_limit: int = MEMORY_LIMIT
    language: bool = False

    def __post_init__(self) -> None:
        """Refuse a track that is not known and shares that cannot be."""
        if self.track not in TRACKS:
            raise UsageError(f"unknown track {self.track!r}; known: {', '.join(TRACKS)}")
        if not 0 <= self.validation < 1:
            raise UsageError(f"validation must be in 0..1, got {self.validation}")

    def reads(self, key: str) -> bool:
        """Tell whether the observation ``key`` is read."""
        scene = "objects/" if self.track == "state" else "images/"
        shown = key == "state" or key.startswith(scene)
        told = key == "instruction" and not self.language
        return key == "qpos" or told or (shown and not self.blind)


@dataclass(frozen=True)
class EpisodeSet:
    """Demonstrations in contiguous arrays, split by episode.

    Attributes:
        observations: (steps, ...) by key, all episodes one after the other; images uint8.
        actions: (steps, n) float32: what was commanded, or the expert's label where there is one.
        labelled: (steps,) bool, where an action is to be learned; None: everywhere.
        starts: (episodes,) first step of each episode.
        lengths: (episodes,) steps of each episode.
        names: file names, in order.
        train: episodes to learn from, sorted.
        validation: episodes held out, sorted.
        excluded: reason by file name for what was left out.
        fingerprint: SHA-256 of the fingerprints of all episodes used.
        meta: of the first episode: task, robot, joints, rate.
        reading: how the folder was read.
        recorded: shape of one observation by key, before images were resized.
        begins: start state of each episode, None where its file does not say.
        told: (episodes,) instructions, of a reading with ``language``.
        shares: (episodes,) how often each is drawn, of several data sets; None: by its length.
    """

    observations: Mapping[str, Array]
    actions: Array
    starts: Array
    lengths: Array
    names: tuple[str, ...]
    train: tuple[int, ...]
    validation: tuple[int, ...]
    excluded: Mapping[str, str]
    fingerprint: str
    meta: EpisodeMeta
    reading: Reading
    recorded: Mapping[str, tuple[int, ...]]
    begins: tuple[InitialCondition | None, ...] = ()
    labelled: Array | None = None
    told: Array | None = None
    shares: Array | None = None

    @classmethod
    def load(cls, folder: Path, reading: Reading | None = None) -> "EpisodeSet":
        """Read all episodes of ``folder`` that pass the filter.

        Raises:
            UsageError: no episode, an unreadable one, or episodes that do not fit together.
        """
        reading = reading or Reading()
        headers, excluded = _usable(Path(folder))
        told = sentences(headers) if reading.language else None
        first = next(iter(headers.values()))
        keys = [key for key in first.shapes if reading.reads(key)]
        check_scene(keys, reading, str(folder))
        for path, header in headers.items():
            _check_alike(path, header, first, keys)
        shapes = {key: shape_of(key, first.shapes[key], reading) for key in (*keys, "action")}
        lengths = np.array([header.length for header in headers.values()])
        arrays = allocate(shapes, int(lengths.sum()), reading.memory_limit)
        starts = np.cumsum(lengths) - lengths
        marks: list[str] = []
        labelled = np.ones(int(lengths.sum()), bool)
        for path, start in zip(headers, starts, strict=True):
            episode = _read(read_episode, path)  # whole: for the fingerprint
            fill(arrays, episode, int(start))
            if episode.marks is not None:
                labelled[start : start + len(episode)] = episode.marks.asked
            marks.append(fingerprint(episode))
        train, validation = split(len(lengths), reading.validation, reading.split_seed)
        return cls(
            observations={key: arrays[key] for key in keys},
            actions=arrays["action"],
            starts=starts,
            lengths=lengths,
            names=tuple(path.name for path in headers),
            train=train,
            validation=validation,
            excluded=excluded,
            fingerprint=hashlib.sha256("\n".join(marks).encode()).hexdigest(),
            meta=first.meta,
            reading=reading,
            recorded={key: first.shapes[key] for key in keys},
            begins=tuple(header.meta.start for header in headers.values()),
            labelled=None if labelled.all() else labelled,
            told=told,
        )

    def start_table(self) -> dict[str, Any] | None:
        """Return where the training episodes start, see ``envs.start_features``."""
        return start_table([self.begins[i] for i in self.train]) if self.begins else None

    def __len__(self) -> int:
        """Count the episodes."""
        return len(self.lengths)

    def steps(self, episodes: Sequence[int]) -> Array:
        """Return the rows (steps,) of the arrays that belong to ``episodes``."""
        rows = [np.arange(self.starts[i], self.starts[i] + self.lengths[i]) for i in episodes]
        return np.concatenate(rows) if rows else np.zeros(0, np.int64)

    def stats(self) -> Stats:
        """Return the statistics of the training split, of actions and all but the images."""
        rows = self.steps(self.train)
        if self.labelled is not None:
            rows = rows[self.labelled[rows]]
        vectors = {k: v for k, v in self.observations.items() if not k.startswith("images/")}
        columns = {key: array[rows] for key, array in {**vectors, "action": self.actions}.items()}
        if self.reading.language:
            columns |= pooled(columns)
        return Stats({key: KeyStats.of(values) for key, values in columns.items()})

    def provenance(self) -> dict[str, Any]:
        """Describe what is learned from, as JSON."""
        return {
            "fingerprint": self.fingerprint,
            "episodes": len(self),
            "train": [self.names[i] for i in self.train],
            "validation": [self.names[i] for i in self.validation],
            "excluded": dict(self.excluded),
            "starts": self.start_table(),
        }


def spec_of(data: EpisodeSet, config: AlgorithmConfig) -> PolicySpec:
    """Return the spec of a policy trained on ``data`` with ``config``, images as recorded."""
    n = data.actions.shape[1]
    return PolicySpec(
        arm=data.meta.robot,
        joints=data.meta.joints or tuple(f"joint_{i}" for i in range(n)),
        control_hz=data.meta.control_hz,
        task=data.meta.task,
        track=data.reading.track,
        observations=data.recorded,
        n_obs=config.n_obs,
        chunk=config.chunk,
        execute=config.execute,
        language=data.reading.language,
    )


def sentences(headers: Mapping[Path, EpisodeHeader]) -> Array:
    """Return what each episode was told, (episodes,); ``UsageError`` where nothing was."""
    for path, header in headers.items():
        if not header.meta.instruction.strip():
            raise UsageError(
                f"{path}: instruction is missing: a language policy learns from episodes that say "
                "what was asked, in the attribute 'instruction'; collect it again, or set it"
            )
    return np.array([header.meta.instruction for header in headers.values()], object)


def pooled(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return for every object's key the poses of all objects that are there: one scale for all."""
    keys = [key for key in columns if key.startswith("objects/")]
    if not keys:
        return {}
    every = np.concatenate([columns[key] for key in keys])
    return dict.fromkeys(keys, every[~np.isnan(every[:, 0])])


def split(episodes: int, share: float, seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divide episodes at random into (training, validation), each sorted.

    At least one episode is held out if ``share`` is positive and there are two or more.
    """
    held = min(round(share * episodes), episodes - 1)
    if share > 0 and episodes > 1:
        held = max(1, held)
    order = np.random.default_rng(seed).permutation(episodes).tolist()
    return tuple(sorted(order[held:])), tuple(sorted(order[:held]))


def _read(how: Callable[[Path], Content], path: Path) -> Content:
    """Read a file ``how`` it is asked; say what to do with one that cannot be used."""
    try:
        return how(path)
    except UsageError as error:
        raise UsageError(
            f"{error}; move the file away or collect it again "
            f"(armtrials inspect {path.parent} lists all that cannot be used)"
        ) from error


def _usable(folder: Path) -> tuple[dict[Path, EpisodeHeader], dict[str, str]]:
    """Return the headers of the episodes that pass the filter, and why others do not."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of demonstrations; see armtrials collect")
    paths = sorted(folder.glob("*.hdf5"), key=lambda path: (len(path.name), path.name))
    if not paths:
        raise UsageError(f"{folder} holds no episode (*.hdf5); armtrials collect makes them")
    headers = {path: _read(inspect_file, path) for path in paths}
    reasons = filter_episodes({path.name: header for path, header in headers.items()})
    usable = {path: header for path, header in headers.items() if path.name not in reasons}
    if not usable:
        name, reason = next(iter(reasons.items()))
        raise UsageError(f"{folder}: the filter leaves no episode; {name}: {reason}")
    return usable, dict(reasons)


def _check_alike(path: Path, header: EpisodeHeader, first: EpisodeHeader, keys: list[str]) -> None:
    """Refuse an episode that cannot stand in one array with the first."""
    for what in ("task", "robot", "joints", "control_hz"):
        mine, other = getattr(header.meta, what), getattr(first.meta, what)
        if mine != other:
            raise UsageError(f"{path}: {what} must be {other!r} as in the first, got {mine!r}")
    for key in (*keys, "action"):
        if header.shapes.get(key) != first.shapes[key]:
            expected, found = first.shapes[key], header.shapes.get(key)
            raise UsageError(f"{path}: {key} must have shape {expected} a step, got {found}")


def check_scene(keys: Sequence[str], reading: Reading, where: str) -> None:
    """Refuse demonstrations ``where`` nothing among ``keys`` shows the scene."""
    if not reading.blind and not any("/" in key or key == "state" for key in keys):
        missing = "objects" if reading.track == "state" else "images"
        raise UsageError(f"{where}: its episodes have no {missing}: not for {reading.track}")


def shape_of(key: str, recorded: tuple[int, ...], reading: Reading) -> tuple[int, ...]:
    """Return the shape of one observation as it is learned from."""
    if key.startswith("images/") and reading.image_size is not None:
        return (*reading.image_size, 3)
    return recorded


def allocate(shapes: Mapping[str, tuple[int, ...]], steps: int, limit: int) -> dict[str, Array]:
    """Return empty arrays by key, in memory or mapped from files that end with the process."""
    kinds = {key: np.dtype("u1" if key.startswith("images/") else "f4") for key in shapes}
    sizes = [steps * int(np.prod(shape)) * kinds[key].itemsize for key, shape in shapes.items()]
    arrays: dict[str, Array] = {}
    for (key, shape), size in zip(shapes.items(), sizes, strict=True):
        if sum(sizes) <= limit:
            arrays[key] = np.empty((steps, *shape), kinds[key])
            continue
        with tempfile.TemporaryFile(prefix="armtrials-") as file:
            _reserve(file.fileno(), size)
            arrays[key] = np.asarray(np.memmap(file, kinds[key], "w+", shape=(steps, *shape)))
    return arrays


def _reserve(handle: int, size: int) -> None:
    """Make room for a mapped file: where there is none, writing to the map would kill us."""
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        raise UsageError(
            f"{tempfile.gettempdir()} has no room for {size / 1e9:.1f} GB of demonstrations "
            f"({error.strerror}): set TMPDIR to another folder, or use a smaller --image-size"
        ) from error


def fill(arrays: Mapping[str, Array], episode: Episode, start: int) -> None:
    """Copy an episode to its place, images resized."""
    rows = slice(start, start + len(episode))
    for key, array in arrays.items():
        values = _learned(episode) if key == "action" else episode.observations[key]
        if key.startswith("images/") and values.shape[1:] != array.shape[1:]:
            values = resize(values, (array.shape[1], array.shape[2]))
        array[rows] = values


def _learned(episode: Episode) -> Array:
    """Return what is to be learned of an episode: the expert's labels, else what was commanded."""
    return episode.actions if episode.marks is None else episode.marks.actions
