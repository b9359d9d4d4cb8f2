"""What a run's starts say of it: how much of its protocol it covers, and whether it knew them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.protocol import NOMINAL, Plan
from envs.start_features import DIGITS

BY_CHANCE = 1e-3  # expected chance agreements of starts above which agreement says nothing


def shortfall(manifest: Mapping[str, Any], plan: Plan) -> tuple[str, ...]:
    """Say which part of its protocol a run covers; empty where it is the whole of it.

    Read from the definition in the manifest, so protocols of other environments have it as well.

    Returns:
        For instance ``("2 of 200 starts", "1 of 23 conditions")``.
    """
    definition, track = manifest["protocol"]["definition"], manifest["track"]
    sizes = {
        str(c["name"]): int(definition["perturbed_trials" if c["axes"] else "trials"])
        for c in definition["conditions"]
        if track in c["tracks"]
    }
    ran = dict(plan.cells)
    few = [(name, ran[name], size) for name, size in sizes.items() if ran.get(name, size) < size]
    told = [
        f"{n} of {size} starts" + ("" if name == NOMINAL else f" of {name}")
        for name, n, size in few[:1]
    ]
    common = len(sizes.keys() & ran.keys())
    return (*told, *([f"{common} of {len(sizes)} conditions"] if common < len(sizes) else []))


def known_starts(table: Any) -> tuple[list[str], np.ndarray] | None:  # noqa: ANN401
    """Return columns and rows of the starts in a manifest; None where they are no table."""
    if not isinstance(table, dict) or not isinstance(table.get("columns"), list):
        return None
    try:
        rows = np.array(table.get("rows"), np.float64)
    except (TypeError, ValueError):
        return None
    fits = rows.ndim == 2 and rows.shape[0] >= 2 and rows.shape[1] == len(table["columns"])
    return (list(table["columns"]), rows) if fits and np.isfinite(rows).all() else None


def trained_on(table: Any, spots: Sequence[Mapping[str, float]]) -> int | None:  # noqa: ANN401
    """Count the trials whose start is that of a demonstration.

    Both are stated to ``DIGITS`` decimals. Where so few numbers vary that two independent starts
    may agree in all of them by chance, an agreement says nothing.

    Args:
        table: ``policy.data.starts`` of a manifest.
        spots: start of each trial, see ``envs.start_features.spots``.

    Returns:
        The number of trials; None where it cannot be told.
    """
    known = known_starts(table)
    if known is None:
        return None
    columns, rows = known
    if any(name not in spot for spot in spots for name in columns):
        return None
    places = np.prod(np.ptp(rows, axis=0) * 10.0**DIGITS + 1)
    if len(rows) * len(spots) > BY_CHANCE * places:
        return None
    seen = {tuple(row) for row in np.round(rows, DIGITS).tolist()}
    return sum(tuple(round(spot[name], DIGITS) for name in columns) in seen for spot in spots)
