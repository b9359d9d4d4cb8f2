"""Marks of an expert in an episode that others may have acted in, step by step.

In the file beside ``/action``, which stays what was commanded::

    /expert/action   (T, n) float32   what the expert would have commanded
    /expert/asked    (T,) uint8       1 where the expert was asked; elsewhere the row above is void
    /expert/acted    (T,) uint8       1 where the expert acted: an intervention
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from envs.hdf5_guard import check_numbers, need_dataset

GROUP = "expert"
NAMES = ("action", "asked", "acted")


@dataclass(frozen=True)
class Marks:
    """What an expert says of an episode's steps, read-only.

    Attributes:
        actions: the expert's commands (T, n) float32, as commanded where it was not asked.
        asked: (T,) bool, where they are its labels.
        acted: (T,) bool, where they were carried out.
    """

    actions: Array
    asked: Array
    acted: Array

    def __post_init__(self) -> None:
        """Make the arrays read-only; refuse lengths that differ and acts without a label.

        Raises:
            ValueError: unequal lengths, NaN, or an act without a label.
        """
        kinds = {"actions": "<f4", "asked": "?", "acted": "?"}
        for name, kind in kinds.items():
            array = np.ascontiguousarray(getattr(self, name), kind).view()
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        steps = len(self.actions)
        if self.actions.ndim != 2 or self.asked.shape != (steps,) or self.acted.shape != (steps,):
            shapes = (self.actions.shape, self.asked.shape, self.acted.shape)
            raise ValueError(f"marks must be (T, n), (T,) and (T,), got {shapes}")
        if not np.isfinite(self.actions).all():
            raise ValueError("the expert's actions must be finite, got NaN or infinity")
        if (self.acted & ~self.asked).any():
            raise ValueError("where the expert acted it must have been asked")

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by their names in a file."""
        return {
            f"{GROUP}/action": self.actions,
            f"{GROUP}/asked": self.asked.astype(np.uint8),
            f"{GROUP}/acted": self.acted.astype(np.uint8),
        }


def has_marks(file: h5py.File) -> bool:
    """Tell whether an episode's file holds marks of an expert."""
    return isinstance(file.get(GROUP), h5py.Group)


def read_marks(file: h5py.File, path: Path, shape: tuple[int, int]) -> Marks | None:
    """Read the marks of an episode with actions of ``shape`` (T, n); None where there are none.

    Raises:
        UsageError: broken; the message names file, dataset and rule.
    """
    if not has_marks(file):
        return None
    found = [need_dataset(file[GROUP], name, path) for name in NAMES]
    for dataset, wanted in zip(found, (shape, shape[:1], shape[:1]), strict=True):
        check_numbers(dataset, path, wanted)
    try:
        return Marks(*(dataset[...] for dataset in found))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
