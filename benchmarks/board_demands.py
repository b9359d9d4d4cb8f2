"""Derived from the leaderboard's rows: tasks against algorithms, success against demonstrations."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.references import Reference, references

Board = Mapping[str, Any]


def suites(board: Board) -> list[dict[str, Any]]:
    """Return a task x algorithm matrix for every world and track with more than one task.

    Of several rows of one algorithm the one with the most demonstrations stands for it, then the
    first by name: a rule that does not look at success.
    """
    groups: dict[tuple[str, str], list[Board]] = {}
    for table in board["tables"]:
        if any(row["nominal"] for row in table["rows"]):
            groups.setdefault((table["world"], table["track"]), []).append(table)
    return [
        _suite(world, track, tables)
        for (world, track), tables in groups.items()
        if len({table["task"] for table in tables}) > 1
    ]


def _suite(world: str, track: str, tables: Sequence[Board]) -> dict[str, Any]:
    found = [row["name"] for table in tables for row in table["rows"]]
    algorithms = sorted(set(found), key=lambda name: (-found.count(name), name))
    lines = []
    for table in tables:
        chosen = {name: standing_for(name, table["rows"]) for name in algorithms}
        best = max(
            (row for row in table["floors"] if row["nominal"] and row["status"] != "preliminary"),
            key=lambda row: row["nominal"]["value"],
            default=None,
        )
        lines.append(
            {"table": table, "cells": [chosen[name] for name in algorithms], "floor": best}
        )
    return {"world": world, "track": track, "algorithms": algorithms, "lines": lines}


def standing_for(algorithm: str, rows: Sequence[Board]) -> Board | None:
    """Return the row that stands for an algorithm: most demonstrations, then first by name."""
    own = [row for row in rows if row["name"] == algorithm and row["nominal"]]
    sound = [row for row in own if row["status"] != "preliminary"] or own
    return min(sound, key=lambda r: (-(r["demonstrations"] or 0), r["label"]), default=None)


def demands(table: Board) -> dict[str, Any] | None:
    """Return success by number of demonstrations beside what others say; None where neither helps.

    Returns:
        ``lines``: rows with a number of demonstrations, by algorithm and number; ``references``;
        ``several``: whether an algorithm was trained on more than one number; ``algorithms`` and
        ``grid``: by number of demonstrations, for each algorithm its ``rows`` and what is ``told``.
    """
    lines = [row for row in table["rows"] if row["nominal"] and row["demonstrations"]]
    lines.sort(key=lambda row: (row["name"], row["demonstrations"], row["label"]))
    counts: dict[str, set[int]] = {}
    for row in lines:
        counts.setdefault(row["name"], set()).add(row["demonstrations"])
    several = any(len(found) > 1 for found in counts.values())
    told: list[Reference] = [r for r in references(table["task"]) if r.algorithm in counts]
    if not several and not told:
        return None
    numbers = sorted({*(n for found in counts.values() for n in found),
                      *(r.demonstrations for r in told)})  # fmt: skip
    grid = [
        {
            "count": n,
            "cells": [
                {
                    "rows": [r for r in lines if (r["name"], r["demonstrations"]) == (name, n)],
                    "told": [r for r in told if (r.algorithm, r.demonstrations) == (name, n)],
                }
                for name in counts
            ],
        }
        for n in numbers
    ]
    return {
        "lines": lines,
        "references": told,
        "several": several,
        "algorithms": list(counts),
        "grid": grid,
    }
