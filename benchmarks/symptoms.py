"""What can be measured of trials that failed, against the demonstrations that were learned from.

Nothing here reads what a protocol changed: only starts, observations and commands, which a real arm
has as well. The one thing it takes besides is the nominal simulation, in which the recorded
commands are sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage import COVERED_QUANTILE, StartMetric
from benchmarks.retrace import Walk, as_nominal, step_again
from envs.arm import Array
from envs.kinematics import yaw_of
from envs.start_features import VARIES, spots
from envs.task import Region, Task

EDGE_M, EDGE_RAD = 0.004, 0.06
"""A start this far outside of the training box, or of the demonstrated home poses, is outside."""
SHOWN_RAD = 0.02
USUAL = 50
"""Demonstrations that a task is usually given."""
LAGS = 10
"""Longest delay that is looked for [control periods]."""
POINTS, PART = 12, 0.5
"""Joint positions taken of a path, over this part of the demonstrations' median length."""
SMALLEST = 0.15
"""A mode has at least this share of the demonstrations."""


@dataclass(frozen=True)
class Answer:
    """How an arm's joints answered commands, against the nominal simulation sent the same.

    Attributes:
        apart: median over the steps of the largest difference of a joint [rad], one a walk.
        delay: control periods by which the arm is behind.
        noise: standard deviation of what is left between consecutive readings [rad].
        rest: median difference once the delay is taken out [rad].
    """

    apart: Array
    delay: int
    noise: float
    rest: float


def answer(task: str, robot: str, walks: Sequence[Walk], hinges: Array) -> Answer:
    """Return how the joints answered, in ``walks`` that say where they began."""
    nominal, _ = step_again(task, robot, [as_nominal(walk) for walk in walks])
    pairs = [
        (w.observations["qpos"][:, hinges], n.observations["qpos"][:, hinges])
        for w, n in zip(walks, nominal, strict=True)
        if len(w) > LAGS + 2
    ]
    apart = np.array([_median(np.abs(a - b).max(axis=1)) for a, b in pairs])
    if not pairs:
        return Answer(np.zeros(0), 0, 0.0, 0.0)
    behind = [_median(np.concatenate([_late(a, b, lag) for a, b in pairs])) for lag in range(LAGS)]
    delay = int(np.argmin(behind))
    twice = [np.diff(a - b, n=2, axis=0).ravel() for a, b in pairs]
    noise = 1.4826 * _median(np.abs(np.concatenate(twice))) / np.sqrt(6)
    return Answer(apart, delay, float(noise), min(behind))


def _late(a: Array, b: Array, lag: int) -> Array:
    """Return the largest difference of a joint where ``a`` is ``lag`` steps behind ``b``."""
    gap: Array = np.abs(a[lag:] - b[: len(b) - lag]).max(axis=1)
    return gap


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else 0.0


@dataclass(frozen=True)
class Starts:
    """Where trials began, against demonstrations and the task's training box.

    Attributes:
        names: of the numbers that vary over the demonstrations.
        shown: (M, d) starts of the demonstrations.
        tried: (N, d) of the trials.
        outside: (N,) the object lies outside the task's box, or the arm was not at a pose that
            demonstrations begin from.
        uncovered: (N,) inside, but farther from every demonstration than demonstrations are from
            each other, where the task's box is full of them.
        nearest: (N,) distance to the nearest demonstration, in that measure.
    """

    names: Sequence[str]
    shown: Array
    tried: Array
    outside: Array
    uncovered: Array
    nearest: Array


def starts(task: Task, region: Region, shown: Sequence[Walk], tried: Sequence[Walk]) -> Starts:
    """Compare where trials and demonstrations began; all of them say where."""
    rows = [spots(w.start.objects) for w in (*shown, *tried) if w.start is not None]
    names = [n for n in rows[0] if np.ptp([row[n] for row in rows]) > VARIES]
    table = np.array([[row[name] for name in names] for row in rows])
    table = table.reshape(len(rows), len(names))
    known, new = table[: len(shown)], table[len(shown) :]
    outside = np.array([_beyond(task, region, w) for w in tried]) | _elsewhere(shown, tried)
    nearest = _nearest(names, known, new)
    return Starts(names, known, new, outside, (nearest > 1) & ~outside, nearest)


def _beyond(task: Task, region: Region, walk: Walk) -> bool:
    """Tell whether the manipulated object lies outside the box that it is drawn from."""
    if walk.start is None:
        return False
    x, y, _, *quat = walk.start.objects[task.subject(walk.start)]
    yaw = yaw_of(np.array(quat))
    low, high = region.yaw
    middle, half = (low + high) / 2, (high - low) / 2
    turned = abs((yaw - middle + np.pi) % (2 * np.pi) - np.pi) > half + EDGE_RAD
    off = [max(lo - v, v - hi) for v, (lo, hi) in ((x, region.x), (y, region.y))]
    return bool(max(off) > EDGE_M or (half > 0 and turned))


def _elsewhere(shown: Sequence[Walk], tried: Sequence[Walk]) -> Array:
    """Tell which trials begin with the arm away from where demonstrations begin with it."""
    poses = np.array([w.start.qpos for w in shown if w.start is not None])
    new = np.array([w.start.qpos for w in tried if w.start is not None])
    low, high = poses.min(axis=0) - SHOWN_RAD, poses.max(axis=0) + SHOWN_RAD
    away: Array = ((new < low) | (new > high)).any(axis=1)
    return away


def _nearest(names: Sequence[str], known: Array, new: Array) -> Array:
    """Return distances to the nearest demonstration, 1 where it just counts as covered.

    The unit is the distance within which nearly every place would have a demonstration, were as
    many (at least ``USUAL``) spread over the range that trials and demonstrations span: with few
    demonstrations, or all from one corner, much lies farther away.
    """
    if not names or len(known) < 2:
        return np.full(len(new), np.inf if len(known) < 2 else 0.0)
    everything = np.vstack([known, new])
    metric = StartMetric.of(everything)
    rng = np.random.default_rng(0)
    low, high = everything.min(axis=0), everything.max(axis=0)
    spread = rng.uniform(low, high, (max(USUAL, len(known)), len(names)))
    probes = rng.uniform(low, high, (400, len(names)))
    radius = np.quantile(metric.distances(probes, spread).min(axis=1), COVERED_QUANTILE)
    found: Array = metric.distances(new, known).min(axis=1) / max(float(radius), 1e-9)
    return found


@dataclass(frozen=True)
class Modes:
    """Whether demonstrations from like starts go two ways, and where trials go between them.

    Attributes:
        separation: Ashman's D of the two ways: distance of their means over their common deviation
            (Ashman, Bird & Zepf 1994 take more than 2 for clearly two; the best split of one normal
            cloud in two has 3 to 3.5, which is why more is asked for here).
        share: of what differs between demonstrations, explained by the way.
        shown: (M,) demonstrations along the line through both ways, which lie about 0 and 1.
        tried: (N,) trials; NaN for one without a step.
    """

    separation: float
    share: float
    shown: Array
    tried: Array

    @property
    def between(self) -> Array:
        """Trials that go between the two ways, (N,)."""
        inside: Array = (self.tried > 0.2) & (self.tried < 0.8)
        return inside


def modes(shown: Sequence[Walk], tried: Sequence[Walk], hinges: Array) -> Modes:
    """Look for two ways among paths, what their starts explain (linearly) taken out."""
    steps = max(2, int(PART * np.median([len(w) for w in shown])))
    fit = _StartFit(shown, _paths(shown, steps, hinges))
    left = fit.residual(shown, _paths(shown, steps, hinges))
    centre = left.mean(axis=0)
    _, size, axes = np.linalg.svd(left - centre, full_matrices=False)
    along = (left - centre) @ axes[0]
    separation, low, high = _two(along)
    new = np.full(len(tried), np.nan)
    if moved := [w for w in tried if len(w)]:
        left = fit.residual(moved, _paths(moved, steps, hinges))
        new[[len(w) > 0 for w in tried]] = (left - centre) @ axes[0]
    wide = max(high - low, 1e-9)
    share = float(size[0] ** 2 / max(float((size**2).sum()), 1e-12))
    return Modes(separation, share, (along - low) / wide, (new - low) / wide)


class _StartFit:
    """The part of a path that follows from where it begins: ridge regression."""

    def __init__(self, walks: Sequence[Walk], paths: Array) -> None:
        keys = [k for k in walks[0].observations if k == "qpos" or k.startswith("objects/")]
        self.keys = sorted(keys)
        raw = self._raw(walks)
        self.mean, self.std = raw.mean(axis=0), raw.std(axis=0)
        rows = self._rows(walks)
        gram = rows.T @ rows + rows.shape[1] * np.eye(rows.shape[1])  # few rows: no over-fitting
        self.weights = np.linalg.solve(gram, rows.T @ paths)

    def _raw(self, walks: Sequence[Walk]) -> Array:
        return np.array([np.concatenate([w.observations[k][0] for k in self.keys]) for w in walks])

    def _rows(self, walks: Sequence[Walk]) -> Array:
        varied = self.std > 1e-5
        scaled = ((self._raw(walks) - self.mean) / np.maximum(self.std, 1e-9))[:, varied]
        return np.hstack([np.ones((len(scaled), 1)), np.clip(scaled, -4, 4)])

    def residual(self, walks: Sequence[Walk], paths: Array) -> Array:
        """Return what the starts do not explain."""
        left: Array = paths - self._rows(walks) @ self.weights
        return left


def _paths(walks: Sequence[Walk], steps: int, hinges: Array) -> Array:
    """Return joint positions at ``POINTS`` times within ``steps``, a row a walk."""
    made = []
    for walk in walks:
        at = np.minimum(np.linspace(0, steps - 1, POINTS).astype(int), len(walk) - 1)
        made.append(walk.observations["qpos"][at][:, hinges].astype(np.float64).ravel())
    return np.array(made)


def _two(values: Array) -> tuple[float, float, float]:
    """Return separation and means of the best split of numbers in two (least squares)."""
    ordered = np.sort(values)
    least = max(2, round(SMALLEST * len(ordered)))
    best: Mapping[str, float] = {"cost": np.inf, "d": 0.0, "low": 0.0, "high": 1.0}
    for k in range(least, len(ordered) - least + 1):
        a, b = ordered[:k], ordered[k:]
        cost = float(len(a) * a.var() + len(b) * b.var())
        if cost < best["cost"]:
            apart = float(b.mean() - a.mean())
            d = apart / float(np.sqrt((a.var() + b.var()) / 2) + 1e-12)
            best = {"cost": cost, "d": d, "low": float(a.mean()), "high": float(b.mean())}
    return best["d"], best["low"], best["high"]
