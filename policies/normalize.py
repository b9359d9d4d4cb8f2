"""Statistics of the training split, and the scaling that follows from them."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from policies.configs import canonical, from_json, to_json

MIN_STD = 1e-2
"""Smallest scale [unit of the value]: below it noise would be blown up to full size."""
CONSTANT = 1e-5
"""A dimension whose range is at most this is constant: it is centred, not scaled."""


@dataclass(frozen=True)
class KeyStats:
    """Statistics of one key over all time steps; each entry is one dimension."""

    count: int
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse lengths that differ and values that cannot be."""
        columns = (self.minimum, self.maximum, self.mean, self.std)
        if len({len(column) for column in columns}) != 1:
            raise ValueError("minimum, maximum, mean and std must have one length")
        if not all(math.isfinite(value) for column in columns for value in column):
            raise ValueError("statistics must be finite")

    @classmethod
    def of(cls, values: Array) -> "KeyStats":
        """Compute from ``values`` (steps, d), in float64."""
        values = np.asarray(values, np.float64)
        low, high = values.min(0), values.max(0)
        columns = (low, high, values.mean(0), values.std(0))
        return cls(len(values), *(tuple(column.tolist()) for column in columns))


@dataclass(frozen=True)
class Stats:
    """Statistics of the keys a policy reads and of ``action``, from the training split only."""

    keys: Mapping[str, KeyStats]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; ``from_json`` restores it exactly."""
        return to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str = "statistics") -> "Stats":
        """Restore from ``to_json``; raise ``UsageError`` naming ``where`` if it is broken."""
        return from_json(cls, data, where)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON form."""
        return hashlib.sha256(canonical(self.to_json())).hexdigest()


class Normalizer:
    """Scales values by the statistics of the training split: y = (x - shift) / scale.

    ``minmax`` maps minimum..maximum to -1..1; ``meanstd`` gives mean 0 and deviation 1. Scales
    are at least ``MIN_STD``; constant dimensions are only centred.
    """

    def __init__(self, stats: Stats, mode: str) -> None:
        """Prepare shifts and scales of every key.

        Args:
            stats: statistics of the training split.
            mode: ``"minmax"`` or ``"meanstd"``.
        """
        if mode not in ("minmax", "meanstd"):
            raise UsageError(f"unknown normalization {mode!r}; known: minmax, meanstd")
        self.stats = stats
        self.mode = mode
        self._scaling = {key: _scaling(one, mode) for key, one in stats.keys.items()}

    def scaling(self, key: str) -> tuple[Array, Array]:
        """Return shift and scale (d,) float32 of ``key``."""
        return self._scaling[key]

    def normalize(self, key: str, values: Array) -> Array:
        """Return ``values`` (..., d) of ``key`` scaled, float32."""
        shift, scale = self._scaling[key]
        scaled: Array = (np.asarray(values, np.float32) - shift) / scale
        return scaled

    def denormalize(self, key: str, values: Array) -> Array:
        """Undo ``normalize``, float32."""
        shift, scale = self._scaling[key]
        restored: Array = np.asarray(values, np.float32) * scale + shift
        return restored


def _scaling(stats: KeyStats, mode: str) -> tuple[Array, Array]:
    """Return shift and scale (d,) float32."""
    low, high = np.array(stats.minimum), np.array(stats.maximum)
    shift = (low + high) / 2 if mode == "minmax" else np.array(stats.mean)
    scale = (high - low) / 2 if mode == "minmax" else np.array(stats.std)
    scale = np.where(high - low <= CONSTANT, 1.0, np.maximum(scale, MIN_STD))
    return shift.astype(np.float32), scale.astype(np.float32)
