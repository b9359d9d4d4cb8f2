"""The leaderboard as one page: tables, charts, videos, provenance, and how to read each."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.board_cover import covers
from benchmarks.board_demands import demands, suites
from benchmarks.board_runs import Loaded
from benchmarks.board_text import ranking
from benchmarks.board_words import also
from benchmarks.failures import FAILURES, Failure
from benchmarks.protocol import FOREIGN, PROTOCOLS
from benchmarks.report import charts
from benchmarks.report.charts_demands import cover_chart, demand_chart
from benchmarks.report.charts_failures import failure_mix, starts
from benchmarks.report.clips import choose, places
from benchmarks.report.page import environment, render, vega_script

Board = Mapping[str, Any]

WORLDS = {"sim": "simulation", "twin": "digital twin", "real": "real arm"}


def board_page(board: Board, runs: Sequence[Loaded]) -> str:
    """Return the page of a board; ``runs`` lend it their videos and start states."""
    by_name = {run.name: run for run in runs}
    rows = [row for table in board["tables"] for row in table["rows"]]
    colours = charts.colours([row["label"] for row in rows])
    clips = choose(board, by_name)
    env = environment()
    env.filters.update(
        pretty=charts.pretty, sentence=sentence, duration=duration, count=count, p=p_value,
        number=charts.number, every=every,
    )  # fmt: skip
    return render(
        "leaderboard.html",
        board=board,
        worlds=WORLDS,
        colours=colours,
        suites=suites(board),
        views=[view(table, by_name, colours, clips[table["id"]]) for table in board["tables"]],
        vega=vega_script() if board["tables"] else "",
    )


def view(
    table: Board,
    runs: Mapping[str, Loaded],
    colours: Mapping[str, str],
    clips: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return a table with everything that is drawn from it."""
    demand, covered = demands(table), covers(table, runs)
    return {
        "demand": demand,
        "demand_chart": demand_chart(demand) if demand else None,
        "covers": covered,
        "cover_chart": cover_chart(table, covered, colours),
        "table": table,
        "ranking": ranking(table),
        "axes": axes(table),
        "planned": planned(table),
        "judged": judged(table, runs),
        "clips": clips,
        "matrices": [matrix(family, table) for family in table["families"]],
        "curves": charts.curves(table, colours),
        "failures": failure_mix(table),
        "advice": advice(table),
        "cost": charts.against(table, colours, "training_s", "training wall-clock"),
        "latency": charts.against(
            table, colours, "p99_ms", "latency of a prediction, p50 to p99 [ms]"
        ),
        "starts": starts(table, places(table, runs)),
    }


def planned(table: Board) -> int:
    """Return how many conditions the protocol has on this track; as many as were run if unknown."""
    name, ran = table["protocol"], len(table["conditions"])
    if name not in PROTOCOLS or PROTOCOLS[name].hash != table["protocol_hash"]:
        return ran
    return sum(table["track"] in c.tracks for c in PROTOCOLS[name].conditions)


def judged(table: Board, runs: Mapping[str, Loaded]) -> str:
    """Return how success is read in somebody else's environment; "" in one of ours."""
    if not table["protocol"].startswith(FOREIGN):
        return ""
    row = next(iter((*table["rows"], *table["floors"])))
    definition = runs[row["provenance"][0]["run"]].manifest["protocol"]["definition"]
    return f"{definition.get('success')} within {definition.get('horizon')} steps"


def advice(table: Board) -> list[tuple[Failure, list[str]]]:
    """Return what is known about the failures that happened, in the order of the labels.

    With each the tags that accompany most of it, by row: ``bc: 99 % also stuck``. These tags are
    in the list as well.
    """
    rows = table["rows"]
    seen = {label for row in rows for cell in row["cells"] for label in cell["failures"]}
    seen |= {tag for row in rows for tags in row["also"].values() for tag in tags}
    return [
        (
            FAILURES[label],
            [
                f"{row['label']}: {', '.join(also(row['also'][label]))}"
                for row in rows
                if label in row["also"]
            ],
        )
        for label in FAILURES
        if label in seen
    ]


def every(provenance: Sequence[Board], part: str) -> list[tuple[str, str]]:
    """Return the entries of a part of the provenance with the values of all runs of a row."""
    names = sorted({name for run in provenance for name in run[part]})
    found = []
    for name in names:
        values = [run[part].get(name) for run in provenance]
        texts = dict.fromkeys("none" if value is None else str(value) for value in values)
        found.append((name, ", ".join(texts)))
    return found


def axes(table: Board) -> list[tuple[str, list[str]]]:
    """Return the conditions grouped by axis, in order: ``[("camera_pose", ["L1", "L2"]), ...]``."""
    found: dict[str, list[str]] = {}
    for condition in table["conditions"]:
        axis, _, level = condition.partition("/")
        found.setdefault(axis, []).append(level)
    return list(found.items())


def matrix(family: Board, table: Board) -> dict[str, Any]:
    """Return a family of comparisons as a square: cell (a, b) is the row's lead over the column."""
    labels = {row["id"]: row["label"] for row in table["rows"]}
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for pair in family["pairs"]:
        cells[pair["a"], pair["b"]] = pair
        turned = {"diff": -pair["diff"], "low": -pair["high"], "high": -pair["low"]}
        swapped = {"a_only": pair["b_only"], "b_only": pair["a_only"]}
        cells[pair["b"], pair["a"]] = {**pair, **turned, **swapped}
    order = family["order"]
    return {
        "condition": family["condition"],
        "starts": family["starts"],
        "several": sum(f["condition"] == family["condition"] for f in table["families"]) > 1,
        "order": [(i, labels[i]) for i in order],
        "cells": [[cells.get((a, b)) for b in order] for a in order],
        "methods": sorted({p["method"] for p in family["pairs"]}),
    }


def sentence(text: str) -> str:
    """Return text with a capital first letter, the rest as it is; a foreign id unchanged."""
    return text if text.startswith(FOREIGN) else text[:1].upper() + text[1:]


def duration(seconds: float | None) -> str:
    """Write seconds as ``41 s``, ``3.5 min`` or ``2.1 h``."""
    if seconds is None:
        return "\u2013"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f}\u202f{unit}"
    return f"{seconds:.0f}\u202fs"


def count(number: float | None) -> str:
    """Write a number of things as ``410 k`` or ``2.3 M``."""
    if number is None:
        return "\u2013"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}\u202f{unit}"
    return f"{number:.0f}"


def p_value(p: float) -> str:
    """Write a p-value with two digits, never as zero."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
