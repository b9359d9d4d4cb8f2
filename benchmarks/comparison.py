"""The algorithms side by side, from the leaderboard: success, data, cost, ways, perturbations.

Beside each stands what practical guides to imitation learning say of it, so that a claim can be
held against a measurement.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.atlas_text import table
from benchmarks.board_demands import standing_for
from benchmarks.board_text import rows_markdown
from benchmarks.board_words import limits, p_value, share, signed
from benchmarks.lines import parse
from benchmarks.records import MANIFEST
from benchmarks.references import REFERENCES

Board = Mapping[str, Any]

BLOCK = re.compile(r"(<!-- (compare|board|sweep): ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""``<!-- compare: cost -->`` up to ``<!-- end -->``; what lies between is made here."""

LATENCY = "latency.json"
"""Written by ``python -m perf.latency``."""
STEPS = "experiments/steps/*.json"
"""Written by ``armtrials sweep --over ddim_steps``, by policy."""
SWEEP = "experiments/sweeps/{}.json"
"""Written by ``armtrials sweep``, of several execution settings."""
MAIN, LEVEL, FORKED = "pick_place", "/L2", "two_ways"
GUIDES = {
    "bc": ("100 or more", "no"),
    "act": ("50 or more", "limited"),
    "diffusion": ("10 to 30", "yes"),
    "gail": ("50 or more", "better than BC"),
    "vla": ("3 to 10", "yes"),
}
"""By algorithm: predictions a second, and whether it knows several ways; rules of thumb."""
ROUNDS = {"dagger": ", last round only"}
"""Said of an algorithm that trains in rounds: a checkpoint knows its own training alone."""


def compared(page: str, board: Board, results: Path) -> str:
    """Return a page with the content of all its blocks made anew.

    Args:
        page: Markdown with blocks ``compare: success | counts | demands | cost | steps |
            ways | gap``,
            ``board: TASK TRACK``, a table of the leaderboard, with its floors on the main task,
            and ``sweep: POLICY``, execution settings of a policy.
        board: ``leaderboard.json``, as read.
        results: folder of the sealed runs behind it, for what training took.
    """
    simulated = in_simulation(board)
    tables = [t for t in simulated if t["track"] == "state"]
    made: dict[str, Callable[[], str]] = {
        "success": lambda: success(tables),
        "counts": lambda: counts(tables),
        "demands": lambda: demands(tables),
        "cost": lambda: cost(tables, training_cost(results), prediction_cost(results)),
        "steps": lambda: few_steps(results),
        "ways": lambda: ways(tables),
        "gap": lambda: gap(tables),
    }
    whole = {f"{t['task']} {t['track']}": t for t in simulated}

    def block(found: re.Match[str]) -> str:
        if found[2] == "compare":
            return f"{found[1]}{made[found[3]]()}\n{found[4]}"
        if found[2] == "sweep":
            return f"{found[1]}{swept(results, found[3])}\n{found[4]}"
        one = whole[found[3]]
        floors = one["floors"] if one["task"] == MAIN else ()
        return f"{found[1]}\n{rows_markdown(one, floors)}\n\n{found[4]}"

    return BLOCK.sub(block, page)


def in_simulation(board: Board) -> list[Board]:
    """Return the tables of a leaderboard that are of simulation alone."""
    return [t for t in board["tables"] if t["world"] == "sim" and not t["apart"]]


def algorithms(tables: Sequence[Board]) -> list[str]:
    """Return the names of policies, those of most tasks first."""
    found = [name for t in tables for name in {row["name"] for row in t["rows"]}]
    return sorted(set(found), key=lambda name: (-found.count(name), name))


def success(tables: Sequence[Board]) -> str:
    """Return success with its interval, a task a row."""
    names = algorithms(tables)
    rows = []
    for one in tables:
        standing = {name: standard(name, one["rows"]) for name in names}
        counts = {row["demonstrations"] for row in standing.values() if row}
        told = ", ".join(str(n) for n in sorted(c for c in counts if c))
        cells = (_rate(row["nominal"]) if row else "" for row in standing.values())
        rows.append((f"`{one['task']}`", told, *cells))
    return table(("task", "demonstrations", *(f"`{name}`" for name in names)), rows)


def standard(name: str, rows: Sequence[Board]) -> Board | None:
    """Return the row of an algorithm that was tried under perturbations; without one, any."""
    tried = [row for row in rows if row["mean_gap"]]
    return standing_for(name, tried) or standing_for(name, rows)


def counts(tables: Sequence[Board]) -> str:
    """Return success by number of demonstrations on the main task, an algorithm a row.

    Numbers of which only one algorithm was measured are left out, and algorithms with one number.
    """
    rows = [r for t in tables if t["task"] == MAIN for r in t["rows"] if r["nominal"]]
    measured = {(r["name"], r["demonstrations"]) for r in rows if r["demonstrations"]}
    numbers = sorted({n for _, n in measured if sum(one[1] == n for one in measured) > 1})
    shown = []
    for name in algorithms([t for t in tables if t["task"] == MAIN]):
        own = [
            standard(name, [r for r in rows if (r["name"], r["demonstrations"]) == (name, n)])
            for n in numbers
        ]
        if sum(row is not None for row in own) > 1:
            shown.append((f"`{name}`", *(_rate(row["nominal"]) if row else "" for row in own)))
    return table(("policy", *(str(n) for n in numbers)), shown)


def demands(tables: Sequence[Board]) -> str:
    """Return, for what guides say about demonstrations, what was measured nearest to it."""
    rows = []
    for said in REFERENCES:
        own = [
            row
            for t in tables
            if t["task"] == said.task
            for row in t["rows"]
            if row["name"] == said.algorithm and row["nominal"] and row["demonstrations"]
        ]
        near = min(own, key=lambda r: abs(r["demonstrations"] - said.demonstrations), default=None)
        if near is None or said.measured:
            continue
        told = f"{said.low:.0%} to {said.high:.0%} with {said.demonstrations}"
        measured = f"{_rate(near['nominal'])} with {near['demonstrations']}"
        rows.append((f"`{said.task}`", f"`{said.algorithm}`", told, measured))
    return table(("task", "policy", "rule of thumb", "measured, % (95 % interval)"), rows)


def cost(
    tables: Sequence[Board],
    spent: Mapping[str, tuple[float, int]],
    predicting: Mapping[str, float],
) -> str:
    """Return what training and acting cost, an algorithm a row.

    Args:
        tables: of the leaderboard.
        spent: CPU time of training [s] and gradient steps.
        predicting: CPU time of a prediction [ms].
    """
    own = [t for t in tables if t["task"] == MAIN]
    rows = []
    for name in algorithms(own):
        found = [r for t in own for r in t["rows"] if r["name"] == name and r["p50_ms"]]
        if not found or name not in predicting:
            continue
        calm = predicting[name]
        seconds, steps = spent.get(name, (float("nan"), 0))
        guide = GUIDES.get(name, ("", ""))[0]
        shown = f"`{name}`{ROUNDS.get(name, '')}"
        millions = f"{found[0]['parameters'] / 1e6:.1f} M"
        took = f"{float(f'{calm:.2g}'):g} ms"
        rate = f"{1000 / calm:,.0f}"
        rows.append((shown, millions, f"{steps:,}", f"{seconds:.0f} s", took, rate, guide))
    heads = ("policy", "parameters", "gradient steps", "training, CPU time", "one prediction")
    return table((*heads, "predictions a second", "rule of thumb"), rows)


def ways(tables: Sequence[Board]) -> str:
    """Return which of two ways each policy takes after demonstrations of both."""
    rows = []
    for one in (t for t in tables if t["task"] == FORKED):
        for row in (r for r in one["rows"] if r["ways"]):
            taken, guide = row["ways"], GUIDES.get(row["name"], ("", ""))[1]
            bits = "" if taken["bits"] is None else f"{taken['bits']:.2f}"
            counts = (str(taken[key]) for key in ("left", "right", "neither"))
            rows.append((f"`{row['name']}`", _rate(row["nominal"]), *counts, bits, guide))
    heads = ("policy", "success", "left", "right", "neither", "entropy [bit]", "rule of thumb")
    return table(heads, rows)


def gap(tables: Sequence[Board]) -> str:
    """Return the mean change of success under each axis at L2, over the tasks."""
    names, rows = algorithms(tables), []
    axes = dict.fromkeys(
        cell["axis"]
        for t in tables
        for row in t["rows"]
        for cell in row["cells"]
        if cell["condition"].endswith(LEVEL) and cell["axis"] != "combined"
    )
    for axis in axes:
        cells = [_axis(tables, name, f"{axis}{LEVEL}") for name in names]
        rows.append((f"`{axis}`", *cells))
    return table(("axis at L2", *(f"`{name}`" for name in names)), rows)


def _axis(tables: Sequence[Board], name: str, condition: str) -> str:
    """Return the mean change in points, and over how many tasks."""
    found = []
    for one in tables:
        row = standard(name, one["rows"])
        cells = row["cells"] if row else ()
        found += [c["gap"]["diff"] for c in cells if c["condition"] == condition and c["gap"]]
    return f"{signed(float(np.mean(found)))} ({len(found)})" if found else ""


def training_cost(results: Path) -> dict[str, tuple[float, int]]:
    """Return by policy of the main task its median CPU time of training [s], and gradient steps."""
    spent: dict[str, list[tuple[float, int]]] = {}
    for held in _main_runs(results):
        training = held["policy"].get("training")
        if held["track"] == "state" and training:
            each = spent.setdefault(held["policy"]["name"], [])
            each.append((training["cpu_s"], training["steps"]))
    return {
        name: (float(np.median([s for s, _ in each])), each[0][1]) for name, each in spent.items()
    }


def prediction_cost(results: Path) -> dict[str, float]:
    """Return by policy of the main task the CPU time of a prediction [ms], own denoising steps."""
    times = {one["weights"]: one["cpu_ms"] for one in _timed(results) if not one["ddim_steps"]}
    found = {}
    for held in _main_runs(results):
        weights = held["policy"]["hashes"].get("weights")
        if weights in times:
            found[held["policy"]["name"]] = times[weights]
    return found


def few_steps(results: Path) -> str:
    """Return success and cost by denoising steps, from the sweeps and the latencies in results."""
    rows, timed = [], _timed(results)
    for path in sorted(results.glob(STEPS)):
        held = parse(path.read_bytes())
        times = {t["ddim_steps"]: t["cpu_ms"] for t in timed if t["policy"] == path.stem}
        for one in held["settings"]:
            count, took = one["ddim_steps"], times.get(one["ddim_steps"])
            rows.append(
                (
                    f"`{held['policy']}`",
                    f"{count}" if count else "its own",
                    _counted(one),
                    f"{took:.2g} ms" if took else "",
                )
            )
    return table(("policy", "steps", "success", "one prediction"), rows)


def swept(results: Path, policy: str) -> str:
    """Return what execution settings make of a policy: success, smoothness, time."""
    rows = []
    for one in parse((results / SWEEP.format(policy)).read_bytes())["settings"]:
        own = one["diff"] is None
        between = "" if own else limits(one["diff_low"], one["diff_high"])
        rows.append(
            (
                one["setting"],
                _counted(one),
                "" if own else f"{signed(one['diff'])} {between}",
                "" if own else p_value(one["p"]),
                f"{one['sparc']:.2f}".replace("-", "\u2212"),
                f"{one['p50_ms']:.2g} ms",
                f"{100 * one['load']:.2g} %",
            )
        )
    heads = ("setting", "success", "difference, points", "McNemar", "SPARC", "prediction", "load")
    return table(heads, rows)


def _counted(setting: Board) -> str:
    """Write a setting's successes of its trials, with their interval."""
    low, high = (100 * setting[end] for end in ("low", "high"))
    return f"{setting['k']}/{setting['n']} ({low:.0f} to {high:.0f} %)"


def _main_runs(results: Path) -> list[Board]:
    """Return the manifests of the main task's runs."""
    held = [parse(path.read_bytes()) for path in sorted(results.glob(f"runs/*/*/{MANIFEST}"))]
    return [one for one in held if one["task"] == MAIN]


def _timed(results: Path) -> list[Board]:
    path = results / LATENCY
    timed: list[Board] = parse(path.read_bytes())["policies"] if path.is_file() else []
    return timed


def _rate(cell: Board) -> str:
    return f"{share(cell['value'])} ({100 * cell['low']:.0f} to {100 * cell['high']:.0f})"
