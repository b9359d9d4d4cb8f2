"""The page of a sweep: success, smoothness and latency of every setting, as figure and table."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.report.charts import Spec, axis_share, number
from benchmarks.report.draw import png
from benchmarks.report.page import render, vega_script
from benchmarks.sweep import Result, Sweep, left_out, setting_name, table, write_tables
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole

Channel = Callable[..., Spec]
"""Makes a y channel of a field's name and the axis' title."""

TITLES = {
    "execute": "execute: steps between predictions",
    "ensemble": "ensemble: decay m",
    "ddim_steps": "DDIM steps",
    "delay": "delay: steps a prediction takes",
}
PANEL = 205  # px
LIGHT = {
    "var(--c1)": "#2563a8", "var(--c2)": "#c2571a", "var(--c3)": "#2f7d4f", "var(--c4)": "#8a4fa3",
    "var(--c5)": "#b03a48", "var(--c6)": "#5f6b7a", "var(--c7)": "#97751a", "var(--c8)": "#3a8a99",
    "var(--c9)": "#3f7d20", "var(--c10)": "#6b4fbb", "var(--c11)": "#8a4b20",
    "var(--c12)": "#c2387a",
    "var(--faint)": "#8a919c",
}  # fmt: skip
"""Colours of a picture, which no style sheet reaches."""
SERIES = tuple(LIGHT)[:-1]


def write_sweep(sweep: Sweep, folder: Path) -> Path:
    """Write tables, figure (PNG) and page into ``folder``; return the page's path."""
    write_tables(sweep, folder)
    page = folder / "index.html"
    with refuse_disk_errors(folder, "--out"):
        write_whole(folder / "sweep.png", picture(figure(sweep)))
        write_whole(page, sweep_page(sweep).encode())
    return page


def sweep_page(sweep: Sweep) -> str:
    """Return the HTML page; it needs no other file and no network."""
    return render(
        "sweep.html",
        sweep=sweep,
        lines=table(sweep),
        number=number,
        left_out=left_out(sweep.skipped),
        figure=figure(sweep),
        vega=vega_script(),
    )


def figure(sweep: Sweep) -> Spec:
    """Return three rows of charts (success, SPARC, latency), a column a factor.

    In a grid the first factor is the only column, and the others are told apart by colour.
    """
    own, others = sweep.results[0], sweep.results[1:]
    columns = list(sweep.over)[: 1 if sweep.grid else None]
    panels = [
        [_point(result, factor) for result in others if factor in result.setting]
        for factor in columns
    ]
    panels = [points for points in panels if points]
    smooth = [v for r in sweep.results for v in (r.sparc_low, r.sparc_high) if v is not None]
    times = [v for r in sweep.results for v in (r.p50_ms, r.p99_ms) if v is not None]
    domains = {"sparc": _widened(smooth, 0.05), "ms": [0.0, 1.08 * max(times, default=1.0)]}
    return {"hconcat": [_column(points, own, domains, sweep) for points in panels], "spacing": 26}


def _widened(values: Sequence[float], share: float) -> list[float]:
    low, high = (min(values), max(values)) if values else (-2.0, 0.0)
    room = share * (high - low) or 0.1
    return [low - room, high + room]


def _point(result: Result, factor: str) -> Spec:
    rest = {name: value for name, value in result.setting.items() if name != factor}
    label = setting_name({factor: result.setting[factor]}).removeprefix(f"{factor} ")
    return {
        "factor": factor,
        "x": label,
        "series": setting_name(rest) if rest else "",
        "setting": result.name,
        "success": result.k / result.n,
        "low": result.low,
        "high": result.high,
        "trials": f"{result.k}/{result.n}",
        "sparc": result.sparc,
        "sparc_low": result.sparc_low,
        "sparc_high": result.sparc_high,
        "p50": result.p50_ms,
        "p99": result.p99_ms,
    }


def _column(
    points: Sequence[Spec], own: Result, domains: Mapping[str, Sequence[float]], sweep: Sweep
) -> Spec:
    """Return the three charts of one factor, one above the other."""
    factor = points[0]["factor"]
    names = list(dict.fromkeys(point["series"] for point in points))
    step = 0 if len(names) == 1 else 8
    colour: Spec = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": names, "range": [SERIES[i % len(SERIES)] for i in range(len(names))]},
        "legend": {"title": None, "orient": "top", "columns": 2} if step else None,
    }
    x: Spec = {
        "field": "x",
        "type": "ordinal",
        "sort": list(dict.fromkeys(point["x"] for point in points)),
        "axis": {"title": None, "labelAngle": 0, "grid": False},
    }
    common: Spec = {"x": x, "color": colour, "tooltip": _tips()}
    if step:
        common["xOffset"] = {"field": "series", "type": "nominal"}
    rows = (
        ("success", axis_share, ("low", "high"), own.k / own.n),
        ("sparc", _axis(domains["sparc"]), ("sparc_low", "sparc_high"), own.sparc),
        ("p50", _axis(domains["ms"]), ("p50", "p99"), own.p50_ms),
    )
    first = factor == next(iter(sweep.over))
    titles = ("success", "smoothness (SPARC)", "one prediction [ms]") if first else (None,) * 3
    width = max(PANEL, 34 * len(x["sort"]) * max(1, len(names) // 2))
    charts = [
        {
            "width": width,
            "height": 130,
            "encoding": common,
            "layer": [
                _reference(channel("own", shown), at),
                {
                    "mark": {"type": "rule", "strokeWidth": 1.8, "opacity": 0.55},
                    "encoding": {"y": channel(ends[0], shown), "y2": {"field": ends[1]}},
                },
                {
                    "mark": {"type": "circle", "size": 52, "opacity": 1},
                    "encoding": {"y": channel(field, shown)},
                },
            ],
        }
        for (field, channel, ends, at), shown in zip(rows, titles, strict=True)
    ]
    heading = {"text": TITLES[factor], "anchor": "middle", "fontSize": 12.5}
    return {"data": {"values": list(points)}, "title": heading, "vconcat": charts, "spacing": 14}


def _axis(domain: Sequence[float]) -> Channel:
    """Return what makes a y channel of a field, over ``domain``."""

    def channel(field: str, title: str | None = None) -> Spec:
        axis = {"title": title, "format": ".6~g", "tickCount": 5}
        scale = {"domain": list(domain), "zero": False, "nice": False}
        return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}

    return channel


def _reference(where: Spec, at: float | None) -> Spec:
    """Return the dashed line of the policy's own setting, on the y channel ``where``."""
    return {
        "data": {"values": [] if at is None else [{"own": at}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.2},
        "encoding": {
            "x": None, "xOffset": None, "tooltip": None, "y": where,
            "color": {"value": "var(--faint)"},
        },
    }  # fmt: skip


def _tips() -> list[Spec]:
    share = {"type": "quantitative", "format": ".1%"}
    plain = {"type": "quantitative", "format": ".3~g"}
    return [
        {"field": "setting", "type": "nominal"},
        {"field": "trials", "type": "nominal"},
        *({"field": f, "title": t, **share} for f, t in (("low", "from"), ("high", "to"))),
        {"field": "sparc", "title": "SPARC", **plain},
        *({"field": f, "title": f"{f} [ms]", **plain} for f in ("p50", "p99")),
    ]


def picture(spec: Spec) -> bytes:
    """Return a figure as a PNG on white."""
    text = json.dumps(spec)
    for name, value in LIGHT.items():
        text = text.replace(name, value)
    config = {"background": "white", "view": {"stroke": None}, "axis": {"titleFontWeight": 500}}
    return png({"config": config, "padding": 8, **json.loads(text)})
