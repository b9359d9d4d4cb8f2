"""Crash-safe recording: an append-only journal, finalised to ALOHA HDF5 by an atomic rename.

h5py cannot do this alone: killed while it records it leaves an unreadable file, and on a full disk
it ends in a segmentation fault.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from envs.arm import Array, Observation
from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError
from envs.journal import Journal, in_use, read_journal
from envs.marks import NAMES, Marks
from envs.step_log import BY_PERSON, KINDS, StepLog
from envs.step_log import GROUP as LOG

INTERRUPTED = "interrupted"
"""Failure label of an episode whose recording was cut off."""

_HEADER, _STEP, _META = b"h", b"s", b"m"  # first byte of a record


class Beside(Protocol):
    """What is noted of a step beside what was seen and done; of all steps or of none."""

    def columns(self) -> dict[str, Array]:
        """Return what is recorded of it, by name."""


@dataclass(frozen=True)
class Answer:
    """What an expert says of one step, see `envs.marks`: its action (n,), asked, acted."""

    action: Array
    asked: bool
    acted: bool

    def columns(self) -> dict[str, Array]:
        """Return what is recorded of it, by name."""
        flags = {"expert/asked": np.uint8(self.asked), "expert/acted": np.uint8(self.acted)}
        return {"expert/action": self.action, **{k: np.array(v) for k, v in flags.items()}}


@dataclass(frozen=True)
class Note:
    """What a deployment notes of one step, see `envs.step_log`; ``chunk`` (k, n) or None."""

    asked: Array
    verdict: int
    by: int
    latency: float
    age: float
    chunk: Array | None
    length: int

    def columns(self) -> dict[str, Array]:
        """Return what is recorded of it, by name; ``length`` is that of any chunk."""
        none = np.zeros((self.length, len(self.asked)), np.float32)
        flags = {"verdict": self.verdict, "by": self.by, "predicted": self.chunk is not None}
        times = {"latency": self.latency, "age": self.age}
        told: dict[str, Any] = {k: np.uint8(v) for k, v in flags.items()}
        told |= {k: np.float32(v) for k, v in times.items()}
        told |= {"asked": self.asked, "chunks": none if self.chunk is None else self.chunk}
        return {f"{LOG}/{k}": np.asarray(v) for k, v in told.items()}


class Recorder:
    """Records one episode, step by step.

    Every step is in the operating system's hands when `append` returns: a killed process loses
    no acknowledged step. Every ``sync_s`` seconds the journal is forced to the disk: a power cut
    loses at most that much.
    """

    def __init__(self, path: Path, meta: EpisodeMeta | None = None, *, sync_s: float = 1.0) -> None:
        """Prepare to record the episode file ``path``, with the journal beside it.

        Args:
            path: the HDF5 file that `finish` makes.
            meta: what is known beforehand; used by `recover` if the recording is cut off.
            sync_s: seconds between two fsyncs; infinity leaves it to the operating system.

        Raises:
            UsageError: the journal exists (see `recover`) or the folder cannot be written.
        """
        self.path = Path(path)
        self._meta = meta or EpisodeMeta()
        self._journal = Journal(journal_of(self.path))
        self._sync_s, self._synced = sync_s, time.monotonic()
        self._columns: dict[str, tuple[str, tuple[int, ...]]] = {}

    def append(
        self, observation: Observation, action: Array, t: float, answer: Beside | None = None
    ) -> None:
        """Record that ``action`` (n,) answered ``observation`` at time ``t`` [s].

        ``answer`` is what an expert says of it, or what a deployment notes, in all steps of an
        episode or in none.

        Raises:
            ValueError: names, types or shapes differ from those of the first step.
            UsageError: the disk is full; the steps before are safe.
        """
        seen = {**observation, **(answer.columns() if answer else {})}
        step = {name: _plain(seen[name]) for name in sorted(seen)}
        step["action"], step["timestamps"] = _plain(action), np.array(t, "<f8")
        columns = {name: (array.dtype.str, array.shape) for name, array in step.items()}
        if not self._columns:
            header = {"meta": self._meta.to_json(), "columns": columns}
            self._journal.append(_HEADER + json.dumps(header).encode())
            self._columns = columns
        if columns != self._columns:
            raise ValueError(f"every step must hold {self._columns}, got {columns}")
        self._journal.append(_STEP + b"".join(array.tobytes() for array in step.values()))
        self._sync()

    def _sync(self) -> None:
        now = time.monotonic()
        if now - self._synced >= self._sync_s:
            self._journal.sync()
            self._synced = now

    def finish(self, meta: EpisodeMeta | None = None) -> Path:
        """Make the episode file with ``meta`` (default: that given at first); return its path.

        Raises:
            UsageError: no step was recorded, or the disk is full (the journal stays; `recover`
                makes the file when there is room).
        """
        self._complete(meta)
        path = finalise(self._journal.path)
        self._journal.close()
        return path

    def seal(self, meta: EpisodeMeta | None = None) -> Path:
        """Complete the journal with ``meta`` and leave it on the disk; return its path.

        That takes no longer than a step: `finalise`, here or in another process, makes the file.

        Raises:
            UsageError: no step was recorded, or the disk is full.
        """
        self._complete(meta)
        self._journal.sync()
        self._journal.close()
        return self._journal.path

    def _complete(self, meta: EpisodeMeta | None) -> None:
        if not self._columns:
            self.discard()
            raise UsageError(f"{self.path}: no step was recorded")
        self._journal.append(_META + json.dumps((meta or self._meta).to_json()).encode())

    def discard(self) -> None:
        """Throw the recording away."""
        self._journal.close()
        self._journal.path.unlink(missing_ok=True)


def journal_of(path: Path) -> Path:
    """Return the journal's path of the episode file ``path``."""
    return path.with_name(f"{path.name}.journal")


def read_steps(journal: Path) -> Episode | None:
    """Return the episode in ``journal``, None if it holds no whole step.

    A journal that was cut off gives the steps up to there, ``success`` False and ``failure``
    "interrupted".

    Raises:
        UsageError: not a journal of a recorder.
    """
    records = read_journal(journal)
    first = next(records, None)
    if first is None:
        return None
    try:
        header = json.loads(first.removeprefix(_HEADER))
        columns = {k: (np.dtype(kind), tuple(s)) for k, (kind, s) in header["columns"].items()}
        meta = EpisodeMeta.from_json(header["meta"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{journal}: is not a journal of an episode") from error
    meta = replace(meta, success=False, failure=INTERRUPTED)
    steps = []
    for record in records:
        if record.startswith(_META):
            meta = EpisodeMeta.from_json(json.loads(record.removeprefix(_META)))
        else:
            steps.append(record.removeprefix(_STEP))
    return _assemble(steps, columns, meta) if steps else None


def _assemble(
    steps: list[bytes], columns: Mapping[str, tuple[Any, tuple[int, ...]]], meta: EpisodeMeta
) -> Episode:
    """Cut the steps into arrays by name."""
    rows = np.dtype([(name, kind, shape) for name, (kind, shape) in columns.items()])
    table = np.frombuffer(b"".join(steps), rows)
    arrays = {name: table[name] for name in columns}
    actions, timestamps = arrays.pop("action"), arrays.pop("timestamps")
    told = [arrays.pop(f"expert/{name}") for name in NAMES if f"expert/{name}" in arrays]
    marks = Marks(*told) if told else None
    noted = {name: arrays.pop(f"{LOG}/{name}") for name in KINDS if f"{LOG}/{name}" in arrays}
    log = StepLog.of(noted) if noted else None
    if log is not None and log.interventions:  # a person's steps are what is to be learned
        marks = Marks(actions, *2 * (log.by == BY_PERSON,))
    return Episode(arrays, actions, timestamps, meta, marks, log)


def finalise(journal: Path) -> Path:
    """Make the episode file of ``journal``, then remove the journal; return the file's path.

    Raises:
        UsageError: the journal holds no step or is none, or the disk is full; it stays.
    """
    journal = Path(journal)
    episode = read_steps(journal)
    if episode is None:
        raise UsageError(f"{journal}: holds no whole step")
    path = write_episode(journal.with_name(journal.name.removesuffix(".journal")), episode)
    journal.unlink()
    return path


def recover(folder: Path) -> list[Path]:
    """Finalise every journal that a kill left in ``folder``; return the files made.

    Journals without a whole step are removed; one that is being written is left alone.
    """
    made = []
    for journal in sorted(Path(folder).glob("*.journal")):
        if in_use(journal):
            continue
        if read_steps(journal) is None:
            journal.unlink()
        else:
            made.append(finalise(journal))
    return made


def _plain(array: Array) -> Array:
    """Return ``array`` as stored: little-endian float32, images uint8."""
    array = np.asarray(array)
    return array if array.dtype == np.uint8 else array.astype("<f4", copy=False)
