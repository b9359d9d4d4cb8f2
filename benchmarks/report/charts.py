"""Charts as Vega-Lite specifications, made from the leaderboard's JSON.

Plain dictionaries: the page draws them. Colours are names of the style sheet's variables, which
the page resolves, so a chart follows the light or dark theme.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
Board = Mapping[str, Any]

SERIES = tuple(f"var(--c{i})" for i in range(1, 13))
FLOOR = "var(--faint)"
SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 86400)
DECADES = tuple(digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5))
CLOCK = (
    "datum.value < 60 ? datum.value + ' s' : datum.value < 3600 ? datum.value / 60 + ' min' "
    ": datum.value / 3600 + ' h'"
)


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Give every row label its colour: the same in all charts of a page."""
    return {label: SERIES[i % len(SERIES)] for i, label in enumerate(sorted(set(labels)))}


def scale(found: Mapping[str, str], used: Sequence[str]) -> Spec:
    """Return the colour scale of the labels in use, in the order of their first use."""
    names = list(dict.fromkeys(used))
    return {"domain": names, "range": [found[name] for name in names]}


def level_number(level: str) -> int | None:
    """Return 2 for ``L2``; None for what is no such level."""
    return int(level[1:]) if level[:1] == "L" and level[1:].isdigit() else None


def pretty(name: str) -> str:
    """Write a name of a record for people."""
    return name.replace("_", " ").replace("/", " ")


def number(value: float | None) -> str:
    """Write a measure with three digits, never as a power of ten; a dash where it is undefined."""
    if value is None:
        return "\u2013"
    rounded = float(f"{value:.3g}")
    return f"{rounded:.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def curves(table: Board, found: Mapping[str, str]) -> Spec | None:
    """Success over the levels of each axis, with intervals; level 0 is nominal."""
    values: list[Spec] = []
    rows = [row for row in table["rows"] if row["nominal"]]
    for i, row in enumerate(rows):
        dodge = 0.07 * (i - (len(rows) - 1) / 2)
        lines: dict[str, list[Spec]] = {}
        for cell in row["cells"]:
            level = level_number(cell["level"])
            if level is not None and cell["axis"] != "combined":
                lines.setdefault(cell["axis"], []).append(_point(row, cell, level, dodge))
        for axis, found_points in lines.items():
            start = _point(row, {"success": row["nominal"], "level": "nominal"}, 0, dodge)
            values += [{**point, "axis": pretty(axis)} for point in (start, *found_points)]
    if not values:
        return None
    levels = sorted({v["level"] for v in values})
    axes = list(dict.fromkeys(pretty(c.partition("/")[0]) for c in table["conditions"]))
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [-0.3, levels[-1] + 0.3], "nice": False},
        "axis": {
            "title": None,
            "values": levels,
            "grid": False,
            "labelExpr": "datum.value == 0 ? 'nominal' : 'L' + datum.value",
        },
    }
    colour = {"field": "row", "type": "nominal", "scale": scale(found, [r["label"] for r in rows])}
    legend = {"title": None, "symbolOpacity": 1, "symbolType": "circle"}
    return {
        "data": {"values": values},
        "facet": {"field": "axis", "type": "nominal", "sort": axes},
        "columns": 4,
        "resolve": {"axis": {"x": "independent"}},
        "spec": {
            "width": 205,
            "height": 135,
            "encoding": {"x": x, "color": {**colour, "legend": legend}},
            "layer": [
                {
                    "mark": {"type": "rule", "strokeWidth": 1.6, "opacity": 0.55},
                    "encoding": {"y": axis_share("low"), "y2": {"field": "high"}},
                },
                {
                    "mark": {"type": "line", "strokeWidth": 1.8},
                    "encoding": {"y": axis_share("success")},
                },
                {
                    "mark": {"type": "circle", "size": 42, "opacity": 1},
                    "encoding": {"y": axis_share("success"), "tooltip": _tips("axis", "condition")},
                },
            ],
        },
    }


def _point(row: Board, cell: Board, level: int, dodge: float) -> Spec:
    success = cell["success"]
    return {
        "row": row["label"],
        "level": level,
        "condition": cell["level"],
        "x": round(level + dodge, 4),
        "success": success["value"],
        "low": success["low"],
        "high": success["high"],
        "trials": f"{success['k']}/{success['n']}",
    }


def axis_share(field: str, title: str | None = None) -> Spec:
    """Return a y channel from 0 to 100 %."""
    axis = {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1], "title": title}
    return {"field": field, "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": axis}


def _tips(*names: str) -> list[Spec]:
    """Return the tooltip: who, where, k of n, the interval."""
    shares = [
        {"field": f, "type": "quantitative", "format": ".1%", "title": t}
        for f, t in (("success", "success"), ("low", "from"), ("high", "to"))
    ]
    words = [{"field": n, "type": "nominal"} for n in ("row", *names, "trials")]
    return [*words, *shares]


def against(table: Board, found: Mapping[str, str], x: str, title: str) -> Spec | None:
    """Nominal success against a cost on a logarithmic axis; ``x`` is a field of the row.

    With ``x="p99_ms"`` a line reaches back to the median latency.
    """
    values = [
        {
            **_point(row, {"success": row["nominal"], "level": "nominal"}, 0, 0),
            "cost": max(row[x], 1e-3),
            "usual": max(row["p50_ms"] if x == "p99_ms" else row[x], 1e-3),
        }
        for row in table["rows"]
        if row["nominal"] and row[x]
    ]
    if not values:
        return None
    costs = [v["cost"] for v in values] + [v["usual"] for v in values]
    domain = [min(costs) / 1.6, max(costs) * 2.2]
    places = [math.log(cost / domain[0], domain[1] / domain[0]) for cost in costs[: len(values)]]
    points = [(at, v["success"]) for at, v in zip(places, values, strict=True)]
    values = [
        {**v, "left": _stands_left(point, points)} for v, point in zip(values, points, strict=True)
    ]
    seconds = x == "training_s"
    ticks = [t for t in (SECONDS if seconds else DECADES) if domain[0] <= t <= domain[1]]
    channel = {
        "field": "cost",
        "type": "quantitative",
        "scale": {"type": "log", "domain": domain, "nice": False},
        "axis": {
            "title": title,
            "grid": False,
            "values": ticks,
            "labelOverlap": "greedy",
            "labelExpr": CLOCK if seconds else "format(datum.value, '~g')",
        },
    }
    tip = {"field": "cost", "type": "quantitative", "format": ".3~g", "title": title}
    layers = [
        {
            "mark": {"type": "rule", "strokeWidth": 1.8, "opacity": 0.6},
            "encoding": {"y": axis_share("low"), "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 1.8, "opacity": 0.6},
            "encoding": {
                "y": axis_share("success"),
                "x": {**channel, "field": "usual"},
                "x2": {"field": "cost"},
            },
        },
        {
            "mark": {"type": "circle", "size": 90, "opacity": 1},
            "encoding": {"y": axis_share("success", "nominal success"), "tooltip": [*_tips(), tip]},
        },
        *(_names(left) for left in (False, True)),
    ]
    colour = {
        "field": "row",
        "type": "nominal",
        "scale": scale(found, [v["row"] for v in values]),
        "legend": None,
    }
    return {
        "data": {"values": values},
        "width": "container",
        "height": 230,
        "encoding": {"x": channel, "color": colour},
        "layer": layers,
    }


def _stands_left(point: tuple[float, float], points: Sequence[tuple[float, float]]) -> bool:
    """Tell whether the name of a point goes to its left: no room, or a neighbour, at its right.

    Args:
        point: place across and up the chart, 0 to 1.
        points: all of them.
    """
    x, y = point
    near = [a - x for a, b in points if (a, b) != point and abs(b - y) < 0.1 and abs(a - x) < 0.4]
    return x > 0.75 or (bool(near) and min(near) > 0)


def _names(left: bool) -> Spec:
    """Return the layer of the names that stand to the left or to the right of their points."""
    place = {"align": "right", "dx": -9} if left else {"align": "left", "dx": 9}
    return {
        "transform": [{"filter": {"field": "left", "equal": left}}],
        "mark": {"type": "text", **place, "dy": -9, "fontSize": 12, "fontWeight": 600},
        "encoding": {"y": axis_share("success"), "text": {"field": "row"}},
    }
