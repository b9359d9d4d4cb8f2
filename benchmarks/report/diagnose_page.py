"""The page of a diagnosis: the cause that fits, the evidence for all five, what to do next."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnose import Diagnosis
from benchmarks.failures import FAILURES
from benchmarks.report.charts import FLOOR, SERIES, Spec
from benchmarks.report.page import render, vega_script
from benchmarks.report.sweep_page import picture
from benchmarks.writer import refuse_disk_errors
from envs.arm import InitialCondition
from envs.atomic import write_whole
from envs.start_features import spots
from envs.starts_file import write_starts
from envs.task import Task
from envs.tasks import TASKS

SIDE = 320  # px
KINDS = ("demonstration", "succeeded", "failed", "proposed")
RANGE = (FLOOR, SERIES[2], SERIES[1], SERIES[0])


def write_diagnosis(
    found: Diagnosis, proposed: Sequence[InitialCondition], robot: str, folder: Path
) -> Path:
    """Write ``diagnosis.json``, ``.png``, ``next.json`` (starts) and the page; return its path."""
    spec = figure(found, proposed)
    page = folder / "index.html"
    with refuse_disk_errors(folder, "--out"):
        text = json.dumps(describe(found, len(proposed)), indent=1)
        write_whole(folder / "diagnosis.json", f"{text}\n".encode())
        write_whole(folder / "diagnosis.png", picture(spec))
        if proposed:
            write_starts(folder / "next.json", found.task, robot, proposed)
        write_whole(page, diagnosis_page(found, proposed, folder, spec).encode())
    return page


def describe(found: Diagnosis, proposed: int) -> dict[str, Any]:
    """Return a diagnosis as JSON."""
    return {
        "run": found.run,
        "task": found.task,
        "condition": found.condition,
        "trials": found.trials,
        "failed": found.failed,
        "labels": dict(found.labels),
        "cause": found.cause,
        "remedy": found.remedy,
        "notes": list(found.notes),
        "suspects": [
            {"cause": s.cause, "explains": s.share, "evidence": s.evidence} for s in found.suspects
        ],
        "proposed": proposed,
    }


def diagnosis_page(
    found: Diagnosis, proposed: Sequence[InitialCondition], folder: Path, spec: Spec
) -> str:
    """Return the HTML page; it needs no other file and no network."""
    labels = [(label, count, FAILURES[label].about) for label, count in found.labels.items()]
    return render(
        "diagnose.html",
        found=found,
        labels=labels,
        proposed=proposed,
        starts=folder / "next.json",
        figure=spec,
        vega=vega_script(),
    )


def figure(found: Diagnosis, proposed: Sequence[InitialCondition]) -> Spec:
    """Return where trials began, how far they go between two ways, how the arm answered."""
    strips = {"vconcat": [_ways(found), _answers(found)], "spacing": 34}
    groups = [
        *(("demonstration", walk.start) for walk in found.shown),
        *zip(_kinds(found), (walk.start for walk in found.walks), strict=True),
        *(("proposed", start) for start in proposed),
    ]
    return {"hconcat": [places(groups, TASKS[found.task]), strips], "spacing": 40}


def _kinds(found: Diagnosis) -> list[str]:
    return ["failed" if lost else "succeeded" for lost in found.lost]


def _colour(legend: bool) -> Spec:
    key = {"title": None, "orient": "top", "columns": 2, "symbolOpacity": 1}
    return {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": list(KINDS), "range": list(RANGE)},
        "legend": key if legend else None,
    }


def places(groups: Sequence[tuple[str, InitialCondition | None]], task: Task) -> Spec:
    """Return the table from above: where the object was put, of starts by kind in ``KINDS``."""
    begun = [(kind, start) for kind, start in groups if start is not None]
    name = task.subject(begun[0][1]) if begun else task.manipulated
    values = []
    for kind, start in begun:
        spot = spots({name: start.objects[name]})
        values.append({"kind": kind, "x": spot[f"{name}.x"], "y": spot[f"{name}.y"]})
    return {
        "data": {"values": values},
        "title": f"Where the {name} began [m]",
        "width": SIDE,
        "height": SIDE,
        "mark": {"type": "point", "filled": True, "size": 34, "opacity": 0.8},
        "encoding": {
            "x": _axis("y", "to the left", reverse=True),
            "y": _axis("x", "away from the arm"),
            "color": _colour(True),
            "shape": {
                "field": "kind",
                "type": "nominal",
                "scale": {"domain": list(KINDS), "range": ["circle", "circle", "cross", "diamond"]},
            },
        },
    }


def _axis(field: str, title: str, reverse: bool = False) -> Spec:
    scale = {"zero": False, "nice": True, **({"reverse": True} if reverse else {})}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": {"title": title}}


def _ways(found: Diagnosis) -> Spec:
    """Return demonstrations and trials along the line through the two ways."""
    values = [{"kind": "demonstration", "at": float(at)} for at in found.modes.shown]
    values += [
        {"kind": kind, "at": float(np.clip(at, -1.5, 2.5))}
        for kind, at in zip(_kinds(found), found.modes.tried, strict=True)
        if np.isfinite(at)
    ]
    title = "Between the two largest groups of demonstrated paths"
    return _strip(values, title, "0 and 1: their means")


def _answers(found: Diagnosis) -> Spec:
    """Return how far each trial's joints were from the nominal simulation."""
    kinds = [k for k, w in zip(_kinds(found), found.walks, strict=True) if len(w) > 12]
    values = [
        {"kind": kind, "at": 1e3 * float(apart)}
        for kind, apart in zip(kinds, found.answer.apart, strict=True)
    ]
    title = "Arm against nominal simulation, same commands"
    return _strip(values, title, "difference of the joints [mrad]")


def _strip(values: Sequence[Spec], title: str, across: str) -> Spec:
    """Return ticks along a line, a row a kind."""
    return {
        "data": {"values": list(values)},
        "title": title,
        "width": SIDE,
        "height": 90,
        "mark": {"type": "tick", "thickness": 1.6, "size": 26, "opacity": 0.7},
        "encoding": {
            "x": _axis("at", across),
            "y": {"field": "kind", "type": "nominal", "sort": list(KINDS), "axis": {"title": None}},
            "color": _colour(False),
        },
    }
