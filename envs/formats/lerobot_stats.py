"""Statistics of LeRobot's features: of an episode, and of many from those of each."""

from collections.abc import Mapping, Sequence

import numpy as np

from envs.arm import Array

Stats = dict[str, Array]
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
FRAMES = 100  # most frames of an episode that statistics of pictures are made of
STRIDE = 4  # every fourth pixel, both ways


def of_vectors(values: Array) -> Stats:
    """Return the statistics of (T,) or (T, k), each (k,); ``count`` is (1,)."""
    rows = np.asarray(values, np.float64).reshape(len(values), -1)
    return {**_moments(rows), "count": np.array([len(rows)])}


def of_pictures(frames: Array) -> Stats:
    """Return the statistics (3, 1, 1) of frames (T, h, w, 3) uint8 as 0..1, from a sample."""
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), FRAMES)).astype(int)
    sample = frames[chosen, ::STRIDE, ::STRIDE].reshape(-1, 3) / 255.0
    shaped = {name: value.reshape(3, 1, 1) for name, value in _moments(sample).items()}
    return {**shaped, "count": np.array([len(chosen)])}


def _moments(rows: Array) -> Stats:
    found = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    return found | {name: np.quantile(rows, q, axis=0) for name, q in QUANTILES.items()}


def together(parts: Sequence[Mapping[str, Array]]) -> Stats:
    """Return the statistics of all episodes from those of each, weighted by their counts.

    Mean and deviation are exact; quantiles are the weighted mean of the episodes' own, which
    is an approximation.
    """
    counts = np.array([float(part["count"][0]) for part in parts])
    weights = (counts / counts.sum()).reshape(-1, *[1] * np.asarray(parts[0]["mean"]).ndim)
    stacked = {
        name: np.stack([np.asarray(p[name], np.float64) for p in parts]) for name in parts[0]
    }
    mean = (weights * stacked["mean"]).sum(0)
    spread = stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2
    found = {name: (weights * stacked[name]).sum(0) for name in QUANTILES}
    return {
        "min": stacked["min"].min(0),
        "max": stacked["max"].max(0),
        "mean": mean,
        "std": np.sqrt((weights * spread).sum(0)),
        **found,
        "count": np.array([int(counts.sum())]),
    }
