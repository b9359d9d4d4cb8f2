"""The page of an experiment: the question, what the numbers say, one figure, every cell."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.experiment import Ask, Experiment, Result
from benchmarks.experiment_answer import Conclusion
from benchmarks.experiment_run import lines
from benchmarks.report.charts import SERIES, Spec, axis_share, number
from benchmarks.report.page import render, vega_script
from benchmarks.report.sweep_page import picture
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole

WIDTH, HEIGHT = 560, 280  # px
KEY: Spec = {
    "title": None, "orient": "top", "columns": 3, "labelLimit": 300, "symbolOpacity": 1,
    "symbolType": "circle",
}  # fmt: skip


def write_experiment(
    experiment: Experiment, ask: Ask, results: Sequence[Result], folder: Path, command: str
) -> Path:
    """Write ``experiment.json``, ``.csv``, ``.png`` and the page; return the page's path.

    There is no figure where no cell was tried.
    """
    found = experiment.conclude(ask, results)
    table = lines(results)
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(table), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    about = describe(experiment, ask, results, found, command)
    spec = figure(experiment, results)
    page = folder / "index.html"
    with refuse_disk_errors(folder, "--out"):
        write_whole(folder / "experiment.csv", text.getvalue().encode())
        write_whole(folder / "experiment.json", (json.dumps(about, indent=1) + "\n").encode())
        if about["tried"]:
            write_whole(folder / "experiment.png", picture(spec))
        write_whole(page, experiment_page(experiment, about, results, spec).encode())
    return page


def _columns(table: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for line in table for name in line))


def describe(
    experiment: Experiment,
    ask: Ask,
    results: Sequence[Result],
    found: Conclusion,
    command: str,
) -> dict[str, Any]:
    """Return everything that is known of an experiment as JSON."""
    return {
        "experiment": experiment.name,
        "question": experiment.question,
        "method": experiment.method,
        "command": command,
        "asked": ask.to_json(),
        "worlds": sorted({r.world for r in results if r.world}),
        "tried": sum(r.tried for r in results),
        "trials": max((r.n for r in results), default=0) if ask.real else ask.count,
        "sessions": list(found.sessions),
        "findings": list(found.said),
        "tables": [asdict(table) for table in found.tables],
        "cells": lines(results),
    }


def experiment_page(
    experiment: Experiment, about: Mapping[str, Any], results: Sequence[Result], spec: Spec
) -> str:
    """Return the HTML page; it needs no other file and no network."""
    return render(
        "experiment.html",
        about=about,
        axis=experiment.axis,
        results=results,
        number=number,
        figure=spec,
        vega=vega_script(),
    )


def figure(experiment: Experiment, results: Sequence[Result]) -> Spec:
    """Return success with its intervals over the axis, a colour a series."""
    axis = experiment.axis
    values = [
        {
            "series": r.cell.series,
            "x": r.extra.get(axis.field) if axis.field else r.cell.x,
            "success": r.share,
            "low": r.low,
            "high": r.high,
            "trials": f"{r.k}/{r.n}",
        }
        for r in results
        if r.tried
    ]
    values = [value for value in values if value["x"] is not None]
    names = list(dict.fromkeys(value["series"] for value in values))
    lone = axis.kind != "points" and len({value["x"] for value in values}) == 1
    kind = "names" if lone else axis.kind  # side by side, where all stand at one place
    dodge = {"xOffset": {"field": "series", "type": "nominal"}} if kind == "names" else {}
    common: Spec = {
        "x": _across(kind, axis.title, [value["x"] for value in values]),
        "color": {
            "field": "series",
            "type": "nominal",
            "sort": names,
            "scale": {
                "domain": names,
                "range": [SERIES[i % len(SERIES)] for i in range(len(names))],
            },
            "legend": KEY if len(names) > 1 else None,
        },
        **dodge,
    }
    tips = [
        *({"field": f, "type": "nominal"} for f in ("series", "x", "trials")),
        *(
            {"field": f, "type": "quantitative", "format": ".1%"}
            for f in ("success", "low", "high")
        ),
    ]
    share = axis_share("success", "success")
    layers: list[Spec] = [
        {
            "mark": {"type": "rule", "strokeWidth": 1.8, "opacity": 0.55},
            "encoding": {"y": axis_share("low", "success"), "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "circle", "size": 60, "opacity": 1},
            "encoding": {"y": share, "tooltip": tips},
        },
    ]
    if kind in ("log", "linear"):
        layers.insert(1, {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": {"y": share}})
    return {
        "data": {"values": values},
        "width": WIDTH,
        "height": HEIGHT,
        "encoding": common,
        "layer": layers,
    }


def _across(kind: str, title: str, places: Sequence[Any]) -> Spec:
    """Return the x channel."""
    if kind == "names":
        order = list(dict.fromkeys(places))
        axis = {"title": title, "labelAngle": 0, "grid": False, "labelLimit": 160}
        return {"field": "x", "type": "nominal", "sort": order, "axis": axis}
    axis = {"title": title, "grid": False}
    scale: Spec = {"type": "linear", "zero": False, "nice": False, "padding": 14}
    if kind in ("log", "points") and min(places, default=0) > 0:
        low, high = min(places) / 1.3, max(places) * 1.3
        scale = {"type": "log", "domain": [low, high], "nice": False}
    if kind != "points":
        axis |= {"values": sorted(set(places)), "format": ".6~g"}
    return {"field": "x", "type": "quantitative", "axis": axis, "scale": scale}
