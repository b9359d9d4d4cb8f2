"""Drawings of the demonstrations' page, as numbers that its template turns into SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.examine import Examination
from benchmarks.quality import EpisodeQuality
from envs.arm import Array
from envs.robots import ROBOTS
from envs.task import Region
from envs.tasks import TASKS

PAD_M = 0.03  # around the starts
TICK_M = 0.1
CELLS = 4  # a side, of the grid that coverage is counted on
BINS = 16
PLOT_WIDTH, PLOT_HEIGHT = 320.0, 120.0  # px of a histogram's bars


@dataclass(frozen=True)
class Mark:
    """A start in a plot: place [mm, right and down], angle [degrees], episode and its state."""

    x: float
    y: float
    angle: float
    episode: int
    label: str
    state: str


@dataclass(frozen=True)
class Plot:
    """Starts of one object on the table, seen from the arm: ahead is up, left is left.

    Attributes:
        name: of the object.
        width, height: of the drawing [mm].
        marks: one an episode.
        box: left, top, width, height of the start region [mm], or None where it is not known.
        across, ahead: tick places [mm] with their labels [m].
        caption: what it says in words.
    """

    name: str
    width: float
    height: float
    marks: Sequence[Mark]
    box: tuple[float, float, float, float] | None
    across: Sequence[tuple[float, str]]
    ahead: Sequence[tuple[float, str]]
    caption: str


@dataclass(frozen=True)
class Histogram:
    """Counts of a number: bars as (left, top, width, height, label) in px, ticks, a caption."""

    title: str
    bars: Sequence[tuple[float, float, float, float, str]]
    ticks: Sequence[tuple[float, str]]
    peak: int
    caption: str


@dataclass(frozen=True)
class JointRange:
    """Commands of one joint on its whole range, as shares 0..1 of it, with the numbers.

    The range is that of the limits, or of what was commanded where they are not known (None).
    """

    name: str
    low: float
    high: float
    inner: tuple[float, float]
    outer: tuple[float, float]
    limits: tuple[float, float] | None


def region_of(examined: Examination) -> Region | None:
    """Return where the task's objects start, None for a task that is not known."""
    meta = examined.exhibits[0].meta
    if meta.task not in TASKS:
        return None
    task = TASKS[meta.task]
    return task.region_on(ROBOTS[meta.robot].spec()) if meta.robot in ROBOTS else task.region


def plots(examined: Examination, states: Sequence[str]) -> list[Plot]:
    """Return a plot for each object that all episodes hold; ``states`` colours the marks."""
    episodes = examined.data.episodes
    names = [n for n in episodes[0].places if all(n in e.places for e in episodes)]
    return [_plot(name, episodes, states, region_of(examined)) for name in names]


def _plot(
    name: str, episodes: Sequence[EpisodeQuality], states: Sequence[str], region: Region | None
) -> Plot:
    places = np.array([e.places[name] for e in episodes])
    corners = places[:, :2]
    if region is not None:
        box = np.array([[region.x[0], region.y[0]], [region.x[1], region.y[1]]])
        corners = np.vstack([corners, box])
    low, high = corners.min(axis=0) - PAD_M, corners.max(axis=0) + PAD_M

    def at(x: float, y: float) -> tuple[float, float]:
        """Return the place of (x ahead, y to the left) [m] in the drawing [mm]."""
        return round(1e3 * (high[1] - y), 1), round(1e3 * (high[0] - x), 1)

    marks = [
        Mark(*at(x, y), -round(float(np.degrees(yaw)), 1), i, _mark_label(e, (x, y, yaw)), state)
        for i, ((x, y, yaw), e, state) in enumerate(zip(places, episodes, states, strict=True))
    ]
    drawn = None
    if region is not None:
        left, top = at(region.x[1], region.y[1])
        size = (1e3 * (region.y[1] - region.y[0]), 1e3 * (region.x[1] - region.x[0]))
        drawn = (left, top, round(size[0], 1), round(size[1], 1))
    return Plot(
        name=name,
        width=round(float(1e3 * (high[1] - low[1])), 1),
        height=round(float(1e3 * (high[0] - low[0])), 1),
        marks=marks,
        box=drawn,
        across=[(at(0, y)[0], signed(y, 1)) for y in _ticks(low[1], high[1])],
        ahead=[(at(x, 0)[1], f"{x:.1f}") for x in _ticks(low[0], high[0])],
        caption=_spread(places, region),
    )


def _mark_label(episode: EpisodeQuality, place: tuple[float, float, float]) -> str:
    x, y, yaw = place
    turn = signed(float(np.degrees(yaw)), 0)
    return f"{episode.name}: x {x:.3f} m, y {signed(y, 3)} m, yaw {turn}°"


def plain(value: float, digits: int) -> str:
    """Write a number with a true minus and no sign on zero."""
    return signed(value, digits).removeprefix("+")


def signed(value: float, digits: int) -> str:
    """Write a number with its sign, a true minus, and no sign on zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\u2212")


def _ticks(low: float, high: float) -> list[float]:
    first, last = int(np.ceil(low / TICK_M)), int(np.floor(high / TICK_M))
    return [round(i * TICK_M, 3) for i in range(first, last + 1)]


def _spread(places: Array, region: Region | None) -> str:
    """Say how far the starts reach, and how many cells of a grid over the region they fill."""
    low, high = places.min(axis=0), places.max(axis=0)
    text = f"x {low[0]:.2f} to {high[0]:.2f} m, y {signed(low[1], 2)} to {signed(high[1], 2)} m"
    if high[2] - low[2] > 0.01:
        turns = [signed(float(np.degrees(v)), 0) for v in (low[2], high[2])]
        text += f", yaw {turns[0]} to {turns[1]}°"
    box = (low[:2], high[:2])
    if region is not None:
        box = (np.array([region.x[0], region.y[0]]), np.array([region.x[1], region.y[1]]))
    size = np.maximum(box[1] - box[0], 1e-9)
    cells = np.floor((places[:, :2] - box[0]) / size * CELLS).astype(int).clip(0, CELLS - 1)
    filled = len({tuple(cell) for cell in cells.tolist()})
    where = "the start region" if region is not None else "the box around them"
    return f"{text}; {filled} of {CELLS**2} cells of {where} hold a start."


def histogram(title: str, values: Sequence[float], unit: str, digits: int = 1) -> Histogram:
    """Return the counts of ``values`` in equal bins, with the median in the caption."""
    numbers = np.asarray(values, np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if high - low < 4 * 10.0**-digits:
        low, high = low - 2 * 10.0**-digits, high + 2 * 10.0**-digits
    counts, edges = np.histogram(numbers, min(BINS, max(4, len(numbers) // 3)), (low, high))
    width = PLOT_WIDTH / len(counts)
    bars = []
    for i, count in enumerate(counts):
        tall = PLOT_HEIGHT * count / counts.max()
        label = f"{edges[i]:.{digits}f} to {edges[i + 1]:.{digits}f} {unit}: {count}"
        box = (round(i * width + 1, 1), round(PLOT_HEIGHT - tall, 1), round(width - 2, 1))
        bars.append((*box, round(tall, 1), label))
    middle = (low + high) / 2
    ticks = [
        (round(PLOT_WIDTH * (v - low) / (high - low), 1), plain(v, digits))
        for v in (low, middle, high)
    ]
    caption = f"median {plain(float(np.median(numbers)), digits)} {unit}"
    return Histogram(f"{title} [{unit}]", bars, ticks, int(counts.max()), caption)


def joint_ranges(examined: Examination) -> list[JointRange]:
    """Return the range of every joint's commands in the episodes that training uses."""
    used = {e.name for e in examined.data.used} or {e.name for e in examined.data.episodes}
    actions = np.vstack([e.actions for e in examined.exhibits if e.quality.name in used])
    qualities = [e for e in examined.data.episodes if e.name in used]
    low = np.min([e.low for e in qualities], axis=0)
    high = np.max([e.high for e in qualities], axis=0)
    lower, upper = _limits(examined, low, high)
    share = (np.stack([low, high]) - lower) / (upper - lower)
    inner = (np.quantile(actions, [0.05, 0.95], axis=0) - lower) / (upper - lower)
    return [
        JointRange(
            name.replace("_", " "),
            float(low[j]),
            float(high[j]),
            _pair(inner[:, j].clip(0, 1)),
            _pair(share[:, j].clip(0, 1)),
            (float(lower[j]), float(upper[j])) if _has_limits(examined) else None,
        )
        for j, name in enumerate(examined.data.joints)
    ]


def _limits(examined: Examination, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the joints' limits; for a robot that is not known what was commanded, widened."""
    if _has_limits(examined):
        spec = ROBOTS[examined.exhibits[0].meta.robot].spec()
        return np.array(spec.lower), np.array(spec.upper)
    room = np.maximum(0.1 * (high - low), 0.01)
    return low - room, high + room


def _has_limits(examined: Examination) -> bool:
    robot = examined.exhibits[0].meta.robot
    return robot in ROBOTS and ROBOTS[robot].spec().n == len(examined.data.joints)


def _pair(values: Array) -> tuple[float, float]:
    return round(float(values[0]), 4), round(float(values[1]), 4)
