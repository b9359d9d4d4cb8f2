"""What a deployment notes of each step of an episode, beside what was seen and done.

In the file beside ``/action``, which is what the arm was told in the end::

    /log/asked       (T, n) float32   what was asked of the safety chain
    /log/verdict     (T,) uint8       what it made of that, see ``real.verdict.Verdict``
    /log/by          (T,) uint8       who asked: 0 policy, 1 nobody (held for a person), 2 person
    /log/predicted   (T,) uint8       1 where the policy gave a chunk
    /log/latency     (T,) float32     what that took [s]
    /log/age         (T,) float32     of the oldest picture or object pose that was seen [s]
    /log/chunks      (P, k, n)        the chunks, one a step with ``predicted``; none: left out
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from envs.hdf5_guard import check_numbers, need_dataset

GROUP = "log"
BY_POLICY, HELD, BY_PERSON = 0, 1, 2
KINDS = {
    "asked": "<f4", "verdict": "u1", "by": "u1", "predicted": "u1", "latency": "<f4",
    "age": "<f4", "chunks": "<f4",
}  # fmt: skip


@dataclass(frozen=True)
class StepLog:
    """What was noted of an episode's steps, read-only; the fields are those of the file."""

    asked: Array
    verdict: Array
    by: Array
    predicted: Array
    latency: Array
    age: Array
    chunks: Array

    def __post_init__(self) -> None:
        """Make the arrays read-only; refuse shapes that do not fit each other.

        Raises:
            ValueError: unequal lengths, another number of chunks, NaN, or an unknown driver.
        """
        for name, kind in KINDS.items():
            array = np.ascontiguousarray(getattr(self, name), kind).view()
            array.setflags(write=False)
            object.__setattr__(self, name, array)
            if kind == "<f4" and not np.isfinite(array).all():
                raise ValueError(f"log/{name} must be finite, got NaN or infinity")
        steps, n = self.asked.shape
        flat = [getattr(self, name).shape for name in ("verdict", "by", "predicted", "latency")]
        made = (int(self.predicted.astype(bool).sum()), n)
        shape = self.chunks.shape
        if set(flat) | {self.age.shape} != {(steps,)} or (shape[0], shape[-1]) != made:
            raise ValueError(f"log must hold {steps} steps and {made[0]} chunks, got {flat, shape}")
        if (self.by > BY_PERSON).any():
            raise ValueError(f"log/by must be at most {BY_PERSON}, got {self.by.max()}")

    @property
    def interventions(self) -> list[tuple[int, int]]:
        """First step and end of every stretch that a person drove."""
        mine = np.diff((self.by == BY_PERSON).astype(int), prepend=0, append=0)
        edges = np.flatnonzero(mine).tolist()
        return list(zip(edges[::2], edges[1::2], strict=True))

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by their names in a file."""
        names = [f.name for f in fields(self) if f.name != "chunks" or len(self.chunks)]
        return {f"{GROUP}/{name}": getattr(self, name) for name in names}

    @classmethod
    def of(cls, rows: Mapping[str, Array]) -> "StepLog":
        """Make one of columns (T, ...) by name, ``chunks`` with a row for every step."""
        kept = {**rows, "chunks": rows["chunks"][rows["predicted"].astype(bool)]}
        return cls(**kept)


def read_log(file: h5py.File, path: Path, shape: tuple[int, int]) -> StepLog | None:
    """Read what was noted of an episode with actions of ``shape`` (T, n); None where nothing was.

    Raises:
        UsageError: broken; the message names file, dataset and rule.
    """
    if not isinstance(file.get(GROUP), h5py.Group):
        return None
    names = [name for name in KINDS if name != "chunks" or name in file[GROUP]]
    found = {name: need_dataset(file[GROUP], name, path) for name in names}
    wide = {"asked": shape, "chunks": (None, None, shape[1])}
    for name, dataset in found.items():
        check_numbers(dataset, path, wide.get(name, shape[:1]))
    arrays = {name: dataset[...] for name, dataset in found.items()}
    arrays.setdefault("chunks", np.zeros((0, 1, shape[1])))
    try:
        return StepLog(**arrays)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
