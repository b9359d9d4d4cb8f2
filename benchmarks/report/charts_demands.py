"""Charts of what a policy needs: demonstrations, and starts near them."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.board_cover import Covered
from benchmarks.board_demands import standing_for
from benchmarks.report.charts import FLOOR, Spec, axis_share, colours, scale

Board = Mapping[str, Any]
TICKS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def demand_chart(demand: Board) -> Spec | None:
    """Success against demonstrations with intervals, a line an algorithm; None for single points.

    Figures from elsewhere are bars in grey: a rule of thumb spans its range.
    """
    if not demand["several"]:
        return None
    names = sorted({row["name"] for row in demand["lines"]})
    colour = colours(names)
    values = [
        {
            "row": row["name"],
            "label": row["label"],
            "demonstrations": row["demonstrations"],
            "success": row["nominal"]["value"],
            "low": row["nominal"]["low"],
            "high": row["nominal"]["high"],
            "trials": f"{row['nominal']['k']}/{row['nominal']['n']}",
        }
        for row in demand["lines"]
    ]
    told = [
        {"row": r.algorithm, "demonstrations": r.demonstrations, "low": r.low, "high": r.high}
        for r in demand["references"]
    ]
    counts = [v["demonstrations"] for v in (*values, *told)]
    domain = [min(counts) / 1.3, max(counts) * 1.3]
    x = {
        "field": "demonstrations",
        "type": "quantitative",
        "scale": {"type": "log", "domain": domain, "nice": False},
        "axis": {
            "title": "demonstrations",
            "grid": False,
            "values": [t for t in TICKS if domain[0] <= t <= domain[1]],
            "format": "d",
        },
    }
    band = {
        "data": {"values": told},
        "mark": {"type": "bar", "size": 9, "opacity": 0.35, "color": FLOOR, "minBandSize": 2},
        "encoding": {"x": x, "y": axis_share("low"), "y2": {"field": "high"}},
    }
    return {
        "width": "container",
        "height": 260,
        "layer": [
            *([band] if told else []),
            *_lines(values, x, scale(colour, names), "demonstrations"),
        ],
    }


def _lines(values: Sequence[Spec], x: Spec, colours: Spec, at: str) -> list[Spec]:
    """Return intervals, lines and points of the measured figures; ``at`` is the field of x."""
    legend = {"title": None, "symbolOpacity": 1, "symbolType": "circle"}
    colour = {"field": "row", "type": "nominal", "scale": colours, "legend": legend}
    data = {"values": list(values)}
    tips = [
        *({"field": n, "type": "nominal"} for n in ("label", at, "trials")),
        *(
            {"field": f, "type": "quantitative", "format": ".1%", "title": t}
            for f, t in (("success", "success"), ("low", "from"), ("high", "to"))
        ),
    ]
    marks = (
        ({"type": "rule", "strokeWidth": 1.6, "opacity": 0.55}, "low"),
        ({"type": "line", "strokeWidth": 1.8}, "success"),
        ({"type": "circle", "size": 60, "opacity": 1}, "success"),
    )
    return [
        {
            "data": data,
            "mark": mark,
            "encoding": {
                "x": x,
                "color": colour,
                "y": axis_share(field, "nominal success" if at == "demonstrations" else "success"),
                **({"y2": {"field": "high"}} if field == "low" else {"tooltip": tips}),
            },
        }
        for mark, field in marks
    ]


def cover_chart(table: Board, covers: Sequence[Covered], found: Mapping[str, str]) -> Spec | None:
    """Success against the distance of the start from the nearest demonstration, in radii.

    One line an algorithm: the row that stands for it.
    """
    names = {row["name"] for row in table["rows"]}
    standing = {(standing_for(name, table["rows"]) or {}).get("label") for name in names}
    covers = [cover for cover in covers if cover.label in standing]
    values = [
        {
            "row": cover.label,
            "label": cover.label,
            "distance": round((b.near + b.far) / 2 / cover.radius, 4),
            "success": b.successes / b.trials,
            "low": b.interval.low,
            "high": b.interval.high,
            "trials": f"{b.successes}/{b.trials}",
        }
        for cover in covers
        for b in cover.bins
    ]
    if not any(value["success"] for value in values):
        return None
    x = {
        "field": "distance",
        "type": "quantitative",
        "scale": {"zero": True},
        "axis": {"title": "distance to the nearest demonstration [radii]", "grid": False},
    }
    lines = _lines(values, x, scale(found, [cover.label for cover in covers]), "distance")
    edge = {
        "data": {"values": [{"distance": 1}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": FLOOR},
        "encoding": {"x": x},
    }
    return {"width": "container", "height": 260, "layer": [edge, *lines]}
