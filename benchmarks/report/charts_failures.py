"""Charts of failures: how trials failed, and from which starts."""

from collections.abc import Mapping, Sequence

from benchmarks.report.charts import Board, Spec, pretty, scale

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
