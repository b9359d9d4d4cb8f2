"""A learning curve as an SVG: success with its intervals over what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640.0, 400.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 32.0, 60.0, 56.0  # px around the plot
COLOURS = ("#1f6feb", "#c2410c", "#15803d", "#7e22ce")
INK, FAINT = "#24292f", "#d0d7de"
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LETTER = 7.0  # width of a letter of the legend [px]


@dataclass(frozen=True)
class Point:
    """What was spent, the share of successes 0..1, and the limits of its interval."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A named curve; one point alone is drawn as a point."""

    name: str
    points: Sequence[Point]


def figure(title: str, across: str, lines: Sequence[Line]) -> str:
    """Return the drawing; ``across`` is what is written below the axis."""
    most = max((p.x for line in lines for p in line.points), default=1.0)
    ticks = _ticks(most)
    plot = Plot(max(ticks[-1], most))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" fill="#ffffff"/>',
        _text(LEFT, 26, title, "start", INK, 'font-size="15" font-weight="600"'),
        *_axes(plot, ticks, across),
    ]
    for line, colour in zip(lines, COLOURS, strict=False):
        parts += _curve(plot, line, colour)
    return "\n".join([*parts, *_legend(lines), "</svg>\n"])


@dataclass(frozen=True)
class Plot:
    """Where a value lies in the drawing; the axes end at ``most`` and at 1."""

    most: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place [px] of a point."""
        wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + wide * x / self.most, 1), round(TOP + high * (1 - y), 1)


def _ticks(most: float) -> list[float]:
    """Return about five round numbers from 0 on that reach ``most``."""
    size = 1.0
    while size * 10 < most / 5:
        size *= 10
    step = next((s * size for s in STEPS if s * size * 5 >= most), 10 * size)
    count = int(-(-most // step))
    return [step * i for i in range(count + 1)]


def _axes(plot: Plot, ticks: Sequence[float], across: str) -> list[str]:
    parts = []
    for percent in range(0, 101, 20):
        (x0, y), (x1, _) = plot.at(0, percent / 100), plot.at(plot.most, 0)
        parts.append(f'<line x1="{x0}" y1="{y}" x2="{x1}" y2="{y}" stroke="{FAINT}"/>')
        parts.append(_text(x0 - 8, y + 4, f"{percent} %", "end", INK))
    for tick in ticks:
        x, y = plot.at(tick, 0)
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x}" y2="{y + 5}" stroke="{INK}"/>')
        parts.append(_text(x, y + 20, f"{tick:,.0f}".replace(",", "\u202f"), "middle", INK))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, across, "middle", INK))
    return parts


def _curve(plot: Plot, line: Line, colour: str) -> list[str]:
    """Draw the band of the intervals, the line and its points."""
    points = sorted(line.points, key=lambda p: p.x)
    upper = [plot.at(p.x, p.high) for p in points]
    lower = [plot.at(p.x, p.low) for p in reversed(points)]
    middle = [plot.at(p.x, p.y) for p in points]
    parts = []
    if len(points) > 1:
        parts.append(f'<polygon points="{_path(upper + lower)}" fill="{colour}" opacity="0.15"/>')
        parts.append(
            f'<polyline points="{_path(middle)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
    else:
        (x, y0), (_, y1) = upper[0], lower[0]
        parts.append(
            f'<line x1="{x}" y1="{y0}" x2="{x}" y2="{y1}" stroke="{colour}" stroke-width="2"/>'
        )
    dots = [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in middle]
    return parts + dots


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, x = [], LEFT
    for line, colour in zip(lines, COLOURS, strict=False):
        parts.append(f'<circle cx="{x + 5:g}" cy="38" r="4" fill="{colour}"/>')
        parts.append(_text(x + 14, 42, line.name, "start", INK))
        x += 14 + LETTER * len(line.name) + 24
    return parts


def _text(x: float, y: float, text: str, anchor: str, colour: str, more: str = "") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" {more}>'
        f"{escape(text)}</text>"
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
