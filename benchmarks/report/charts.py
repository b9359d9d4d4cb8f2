"""Charts as Vega-Lite specifications, made from the leaderboard's JSON.

Plain dictionaries: the page draws them. Colours are names of the style sheet's variables, which
the page resolves, so a chart follows the light or dark theme.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
Board = Mapping[str, Any]

SERIES = tuple(f"var(--c{i})" for i in range(1, 9))
FLOOR = "var(--faint)"
FAILURES: Mapping[str, str] = {
    "missed_grasp": "var(--c2)",
    "dropped": "var(--c1)",
    "misplaced": "var(--c3)",
    "unstable": "var(--c5)",
    "drift": "var(--c4)",
    "stuck": "var(--c6)",
    "collision": "var(--c7)",
    "timeout": "var(--c8)",
    "wrong_object": "var(--f9)",
    "safety_stop": "var(--f10)",
    "policy_error": "var(--f11)",
    "other": "var(--f12)",
}
"""A label has the same colour on every page."""

SECONDS = (1, 3, 10, 30, 60, 120, 300, 600, 1200, 3600, 7200, 18000, 36000, 86400)
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
                    "encoding": {"y": _share("low"), "y2": {"field": "high"}},
                },
                {
                    "mark": {"type": "line", "strokeWidth": 1.8},
                    "encoding": {"y": _share("success")},
                },
                {
                    "mark": {"type": "circle", "size": 42, "opacity": 1},
                    "encoding": {"y": _share("success"), "tooltip": _tips("axis", "condition")},
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


def _share(field: str, title: str | None = None) -> Spec:
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


def failure_mix(table: Board) -> Spec | None:
    """Share of all trials that failed, by label, for every row and condition."""
    values = [
        {
            "row": row["label"],
            "condition": pretty(cell["condition"]),
            "failure": pretty(label),
            "share": count / cell["success"]["n"],
            "trials": f"{count}/{cell['success']['n']}",
            "order": list(FAILURES).index(label) if label in FAILURES else len(FAILURES),
        }
        for row in table["rows"]
        for cell in row["cells"]
        for label, count in cell["failures"].items()
    ]
    if not values:
        return None
    order = [pretty(c) for c in table["conditions"]]
    names = {pretty(label): colour for label, colour in FAILURES.items()}
    names |= {v["failure"]: "var(--f12)" for v in values if v["failure"] not in names}
    tips = [{"field": f, "type": "nominal"} for f in ("row", "condition", "failure", "trials")]
    tips.append(
        {"field": "share", "type": "quantitative", "format": ".1%", "title": "of all trials"}
    )
    return {
        "data": {"values": values},
        "facet": {"field": "row", "type": "nominal", "sort": [r["label"] for r in table["rows"]]},
        "columns": 3,
        "resolve": {"axis": {"x": "independent"}},
        "spec": {
            "width": 225,
            "height": {"step": 17},
            "mark": {"type": "bar", "height": 12},
            "encoding": {
                "y": {
                    "field": "condition",
                    "type": "nominal",
                    "sort": order,
                    "scale": {"domain": order},
                    "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 160},
                },
                "x": {
                    "field": "share",
                    "type": "quantitative",
                    "scale": {"domain": [0, 1]},
                    "axis": {"format": ".0%", "title": None, "values": [0, 0.25, 0.5, 0.75, 1]},
                },
                "color": {
                    "field": "failure",
                    "type": "nominal",
                    "scale": scale(
                        names, [n for n in names if n in {v["failure"] for v in values}]
                    ),
                    "legend": {"title": None, "columns": 7, "symbolType": "square"},
                },
                "order": {"field": "order", "type": "quantitative"},
                "tooltip": tips,
            },
        },
    }


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
            "labelExpr": CLOCK if seconds else "format(datum.value, '~g')",
        },
    }
    tip = {"field": "cost", "type": "quantitative", "format": ".3~g", "title": title}
    layers = [
        {
            "mark": {"type": "rule", "strokeWidth": 1.8, "opacity": 0.6},
            "encoding": {"y": _share("low"), "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 1.8, "opacity": 0.6},
            "encoding": {
                "y": _share("success"),
                "x": {**channel, "field": "usual"},
                "x2": {"field": "cost"},
            },
        },
        {
            "mark": {"type": "circle", "size": 90, "opacity": 1},
            "encoding": {"y": _share("success", "nominal success"), "tooltip": [*_tips(), tip]},
        },
        {
            "mark": {
                "type": "text",
                "align": "left",
                "dx": 9,
                "dy": -9,
                "fontSize": 12,
                "fontWeight": 600,
            },
            "encoding": {"y": _share("success"), "text": {"field": "row"}},
        },
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


def starts(table: Board, places: Sequence[Board]) -> Spec | None:
    """Where the object stood at the start of nominal trials, and how often a row failed there.

    Args:
        table: the table.
        places: ``{"row", "ic", "x", "y", "failed", "trials"}`` for each row and start.
    """
    if not places:
        return None
    xs, ys = [p["x"] for p in places], [p["y"] for p in places]
    pad = 0.02
    ranges = {"x": [min(xs) - pad, max(xs) + pad], "y": [min(ys) - pad, max(ys) + pad]}
    extent = {field: high - low for field, (low, high) in ranges.items()}
    ratio = round(min(1.4, max(0.5, extent["x"] / extent["y"])), 4)
    channels = {
        across: {
            "field": field,
            "type": "quantitative",
            "scale": {
                "domain": ranges[field],
                "nice": False,
                "zero": False,
                "reverse": field == "y",  # seen from the arm: +x ahead, +y to the left
            },
            "axis": {"title": f"{field} [m]", "tickCount": 4, "format": ".2f"},
        }
        for across, field in (("x", "y"), ("y", "x"))
    }
    shown = {"title": "failed", "format": ".0%", "symbolType": "circle", "values": [0, 0.5, 1]}
    return {
        "data": {"values": list(places)},
        "facet": {"field": "row", "type": "nominal", "sort": [r["label"] for r in table["rows"]]},
        "columns": 3,
        "usermeta": {"ratio": ratio, "cap": 330},
        "resolve": {"axis": {"x": "independent"}},
        "spec": {
            "width": 250,
            "height": round(250 * ratio),
            "mark": {"type": "circle", "opacity": 0.85},
            "encoding": {
                **channels,
                "color": {
                    "field": "failed",
                    "type": "quantitative",
                    "scale": {
                        "domain": [0, 1],
                        "range": ["var(--strong-line)", "var(--bad)"],
                        "interpolate": "rgb",
                    },
                    "legend": shown,
                },
                "size": {
                    "field": "failed",
                    "type": "quantitative",
                    "scale": {"domain": [0, 1], "range": [16, 80]},
                    "legend": shown,
                },
                "tooltip": [
                    {"field": "row", "type": "nominal"},
                    {"field": "ic", "type": "nominal", "title": "start"},
                    {"field": "trials", "type": "nominal", "title": "failed"},
                ],
            },
        },
    }
