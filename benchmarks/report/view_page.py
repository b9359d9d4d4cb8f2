"""The page of one trial or episode: its film, its curves, its record, in one file."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.report.charts import number
from benchmarks.report.page import render
from benchmarks.view import Panel, Shown
from envs.arm import Array

WIDTH, HEIGHT, PAD = 320.0, 90.0, 6.0  # px of a curve's drawing area
POINTS = 400  # vertices of a curve at most
FLAT = 0.01  # smallest range of an axis: a still joint looks still


@dataclass(frozen=True)
class Curve:
    """A curve as drawn: its name and the points of an SVG polyline."""

    name: str
    points: str


@dataclass(frozen=True)
class Drawing:
    """A panel as drawn: its curves and the range of its axis, as text."""

    title: str
    curves: Sequence[Curve]
    low: str
    high: str


def view_page(shown: Shown) -> str:
    """Return the HTML page; it needs no other file and no network."""
    video = None if shown.video is None else base64.b64encode(shown.video).decode("ascii")
    end = float(shown.times[-1]) if len(shown.times) else 0.0
    return render(
        "view.html",
        shown=shown,
        drawings=[draw(panel, shown.times) for panel in shown.panels],
        size=(WIDTH, HEIGHT),
        video=video,
        end=end,
        source=pretty(shown.source),
    )


def pretty(value: Mapping[str, Any]) -> str:
    """Return JSON with one entry a line, lists of plain values in one line."""
    text = json.dumps(value, indent=1, sort_keys=True)
    return re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), text)


def draw(panel: Panel, times: Array) -> Drawing:
    """Scale the curves of a panel to one axis and thin them out."""
    values = np.concatenate([np.asarray(v, float) for _, v in panel.lines])
    low, high = (
        (float(values.min()), float(values.max())) if panel.count is None else (0.0, panel.count)
    )
    if high - low < FLAT:
        low, high = low - FLAT / 2, high + FLAT / 2
    curves = [
        Curve(name, _points(times, np.asarray(v, float), (low, high), panel.count is not None))
        for name, v in panel.lines
    ]
    return Drawing(panel.title, curves, number(low), number(high))


def _points(times: Array, values: Array, bounds: tuple[float, float], steps: bool) -> str:
    keep = np.unique(np.linspace(0, len(times) - 1, min(len(times), POINTS)).round().astype(int))
    low, high = bounds
    span = float(times[-1] - times[0]) or 1.0
    x = PAD + (WIDTH - 2 * PAD) * (times[keep] - times[0]) / span
    y = HEIGHT - PAD - (HEIGHT - 2 * PAD) * (values[keep] - low) / (high - low)
    if steps:
        x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
