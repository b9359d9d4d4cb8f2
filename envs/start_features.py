"""Where an episode starts, as numbers: places and turns of the objects on the table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.arm import InitialCondition
from envs.kinematics import yaw_of

VARIES = 1e-6  # range above which a number counts as varied
DIGITS = 5
PARTS = ("x", "y", "yaw")


def spots(objects: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return ``<object>.x``, ``.y`` [m] and ``.yaw`` [rad] of every pose (7,)."""
    found: dict[str, float] = {}
    for name, pose in objects.items():
        values = (pose[0], pose[1], yaw_of(np.asarray(pose[3:7], np.float64)))
        found |= {
            f"{name}.{part}": round(float(v), DIGITS) for part, v in zip(PARTS, values, strict=True)
        }
    return found


def start_table(starts: Sequence[InitialCondition | None]) -> dict[str, Any] | None:
    """Return the starts of demonstrations as a table, for the record of what learned from them.

    Returns:
        ``columns``, the numbers that vary, and ``rows``, a list of them for each start; None where
        a start is unknown or nothing varies.
    """
    known = [spots(start.objects) for start in starts if start is not None]
    if len(known) < len(starts) or not known:
        return None
    shared = [name for name in known[0] if all(name in row for row in known)]
    columns = [n for n in shared if np.ptp([row[n] for row in known]) > VARIES]
    if not columns:
        return None
    return {"columns": columns, "rows": [[row[name] for name in columns] for row in known]}
