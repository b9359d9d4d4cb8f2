"""Did the demonstrations cover the starts that the trials were made from?

A start is a row of numbers: for pick-and-place cube x, y [m], cube yaw [rad], target x, y [m].
The distance of two starts is the root mean square over the numbers of (difference / scale), an
angle's difference taken the short way round its period. The scale of a number is half the range
of the demonstrations, so a distance of 1 is "half of the training box away in every number".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stats import Interval, cell_interval
from envs.arm import InitialCondition

QUARTER_TURN = np.pi / 2  # a cube looks the same after 90 degrees
SMALLEST_SCALE = 1e-3  # [m] or [rad]: of a number that the demonstrations never varied
COVERED_QUANTILE = 0.95

Floats = NDArray[np.float64]


def start_features(
    starts: Sequence[InitialCondition], turning: str = "cube", others: Sequence[str] = ("target",)
) -> Floats:
    """Return starts as rows: x, y, yaw of one object, then x, y of the others.

    Args:
        starts: N initial conditions.
        turning: name of the object whose yaw matters.
        others: names of objects of which only the place matters.

    Returns:
        (N, 3 + 2 * len(others)) metres and radians; fit for ``StartMetric`` with the period of
        the third column set.
    """
    pose = np.array([start.objects[turning] for start in starts], dtype=np.float64)
    w, x, y, z = pose[:, 3:7].T
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    places = [np.array([start.objects[name][:2] for start in starts]) for name in others]
    return np.hstack([pose[:, :2], yaw[:, None], *places])


@dataclass(frozen=True)
class StartMetric:
    """The distance between starts.

    Attributes:
        scales: (d,) half range of the demonstrations in each number, at least .001.
        periods: (d,) period of each number, 0 where it has none.
    """

    scales: tuple[float, ...]
    periods: tuple[float, ...]

    @classmethod
    def of(cls, demonstrations: ArrayLike, periods: Sequence[float] = ()) -> "StartMetric":
        """Return the metric normalised by demonstrations (N, d).

        Args:
            demonstrations: start features.
            periods: (d,) or empty: none is periodic but, with five columns, the third, a cube's
                yaw, by a quarter turn.
        """
        rows = _rows(demonstrations)
        cube = (0.0, 0.0, QUARTER_TURN, 0.0, 0.0)
        period = tuple(periods) or (cube if rows.shape[1] == 5 else (0.0,) * rows.shape[1])
        if len(period) != rows.shape[1]:
            raise ValueError(f"periods must have {rows.shape[1]} entries, got {len(period)}")
        around = np.asarray(period)
        half = np.where(around > 0, np.minimum(_arc(rows, around), around) / 2, np.ptp(rows, 0) / 2)
        return cls(tuple(map(float, np.maximum(half, SMALLEST_SCALE))), period)

    def distances(self, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return (N, M) distances of starts a (N, d) to starts b (M, d)."""
        gap = np.abs(_rows(a)[:, None] - _rows(b)[None])
        period = np.asarray(self.periods)
        around = np.where(period > 0, period, np.inf)
        folded = np.where(period > 0, np.fmod(gap, np.where(period > 0, period, 1.0)), gap)
        short = np.minimum(folded, around - folded)
        return np.asarray(np.sqrt(np.mean((short / np.asarray(self.scales)) ** 2, axis=-1)))


@dataclass(frozen=True)
class Bin:
    """Trials whose nearest demonstration is about equally far.

    Attributes:
        near: smallest distance in the bin.
        far: largest distance in the bin.
        trials: number of trials.
        successes: of them.
        interval: Wilson, or Clopper-Pearson at the ends.
    """

    near: float
    far: float
    trials: int
    successes: int
    interval: Interval


@dataclass(frozen=True)
class Coverage:
    """How well demonstrations cover trials.

    Attributes:
        nearest: (N,) distance of each trial's start to the nearest demonstration.
        radius: 95th percentile of the distance of a demonstration to the nearest other one.
        covered: share of trials within that radius.
        bins: success by distance, nearest first; empty without outcomes.
        trend: (N,) success as a non-increasing function of distance, in the order of ``nearest``
            (isotonic regression; Ayer et al., 1955); empty without outcomes.
    """

    nearest: Floats
    radius: float
    covered: float
    bins: tuple[Bin, ...]
    trend: Floats


def coverage(
    demonstrations: ArrayLike,
    trials: ArrayLike,
    success: ArrayLike | None = None,
    metric: StartMetric | None = None,
    bins: int = 4,
) -> Coverage:
    """Return how far each trial started from the nearest demonstration, and success by distance.

    Args:
        demonstrations: (M >= 2, d) start features of the training split.
        trials: (N, d) start features of the trials.
        success: (N,) outcomes, if known.
        metric: distance; by default normalised by the demonstrations.
        bins: number of equally filled bins.
    """
    rows, starts = _rows(demonstrations), _rows(trials)
    if len(rows) < 2 or len(starts) < 1:
        raise ValueError(f"needed: 2 demonstrations and 1 trial, got {len(rows)}, {len(starts)}")
    metric = metric or StartMetric.of(rows)
    between = metric.distances(rows, rows)
    np.fill_diagonal(between, np.inf)
    radius = float(np.quantile(between.min(axis=1), COVERED_QUANTILE))
    nearest = metric.distances(starts, rows).min(axis=1)
    covered = float(np.mean(nearest <= radius))
    if success is None:
        return Coverage(nearest, radius, covered, (), np.empty(0))
    won = np.asarray(success, dtype=np.float64)
    if won.shape != nearest.shape:
        raise ValueError(f"success must be {nearest.shape}, got {won.shape}")
    return Coverage(nearest, radius, covered, _bins(nearest, won, bins), _falling(nearest, won))


def _bins(nearest: Floats, won: Floats, count: int) -> tuple[Bin, ...]:
    """Return equally filled bins by distance."""
    parts = np.array_split(np.argsort(nearest, kind="stable"), min(count, len(nearest)))
    made = []
    for part in parts:
        k, n = int(won[part].sum()), len(part)
        limits = cell_interval(k, n)
        made.append(Bin(float(nearest[part[0]]), float(nearest[part[-1]]), n, k, limits))
    return tuple(made)


def _falling(nearest: Floats, won: Floats) -> Floats:
    """Return the non-increasing least-squares fit of success on distance, ties pooled."""
    _, group = np.unique(nearest, return_inverse=True)
    weight = np.bincount(group).astype(np.float64)
    mean = np.bincount(group, won) / weight
    blocks: list[tuple[float, float, int]] = []  # value, weight, groups
    for value, size in zip(mean, weight, strict=True):
        block = (float(value), float(size), 1)
        while blocks and blocks[-1][0] <= block[0]:  # pool adjacent violators
            v, w, g = blocks.pop()
            total = w + block[1]
            block = ((v * w + block[0] * block[1]) / total, total, g + block[2])
        blocks.append(block)
    fitted = np.repeat([b[0] for b in blocks], [b[2] for b in blocks])
    return np.asarray(fitted[group])


def _rows(features: ArrayLike) -> Floats:
    """Return features as a finite (N, d) array, or raise ``ValueError``."""
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or not np.all(np.isfinite(rows)):
        raise ValueError(f"start features must be finite and (N, d), got {rows.shape}")
    return rows


def _arc(rows: Floats, periods: Floats) -> Floats:
    """Return the shortest arc that holds each periodic column: its period less the widest gap."""
    safe = np.where(periods > 0, periods, 1.0)
    turned = np.sort(np.mod(rows, safe), axis=0)
    gaps = np.diff(np.vstack([turned, turned[:1] + safe]), axis=0)
    return np.asarray(safe - gaps.max(axis=0))
