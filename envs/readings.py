"""Named readings of the simulation's sensors, for one moment, many simulations or a whole trace."""

from collections.abc import Mapping, Sequence
from typing import Any

Value = Any
"""A float (one simulation) or an array (many simulations, or a trace over time)."""
Flag = Any
"""A bool, or an array of bools of the same shape as the values it was made from."""


class Readings:
    """Looks up sensors by name in a sequence whose first axis is the sensor's address.

    The values are floats (a list) or arrays: a predicate written with ``+ - * < > & |`` works on
    both, so a task states each stage once for a single arm, a batch and a recorded trace.
    """

    __slots__ = ("_index", "_values")

    def __init__(self, index: Mapping[str, slice], values: Sequence[Value]) -> None:
        """Read ``values`` (n_sensors, ...) by the names of ``index``."""
        self._index = index
        self._values = values

    def __getitem__(self, name: str) -> Sequence[Value]:
        """Return the sensor's components (dim, ...); unpack them: ``x, y, z = r["tcp_pos"]``."""
        return self._values[self._index[name]]

    def scalar(self, name: str) -> Value:
        """Return the first component of a sensor."""
        return self._values[self._index[name].start]

    def __contains__(self, name: str) -> bool:
        """Tell whether the scene has the sensor."""
        return name in self._index


def distance2(a: Sequence[Value], b: Sequence[Value]) -> Value:
    """Squared Euclidean distance of two points given as (x, y, z) [m^2]."""
    dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return dx * dx + dy * dy + dz * dz


def distance2_xy(a: Sequence[Value], b: Sequence[Value]) -> Value:
    """Squared distance in the table's plane [m^2]."""
    dx, dy = a[0] - b[0], a[1] - b[1]
    return dx * dx + dy * dy


def seen_from(
    point: Sequence[Value], pos: Sequence[Value], quat: Sequence[Value]
) -> tuple[Value, Value, Value]:
    """Return a point (x, y, z) in the frame of a body at ``pos`` turned by ``quat`` wxyz [m]."""
    x, y, z = point[0] - pos[0], point[1] - pos[1], point[2] - pos[2]
    w, i, j, k = quat
    # v + 2 w (u x v) + 2 u x (u x v) with u = -(i, j, k): the inverse rotation.
    tx, ty, tz = 2 * (k * y - j * z), 2 * (i * z - k * x), 2 * (j * x - i * y)
    return (
        x + w * tx + k * ty - j * tz,
        y + w * ty + i * tz - k * tx,
        z + w * tz + j * tx - i * ty,
    )


def point_of(
    point: Sequence[Value], pos: Sequence[Value], quat: Sequence[Value]
) -> tuple[Value, Value, Value]:
    """Return where a point (x, y, z) of a body at ``pos`` turned by ``quat`` wxyz is [m]."""
    w, i, j, k = quat
    x, y, z = seen_from(point, (0.0, 0.0, 0.0), (w, -i, -j, -k))
    return x + pos[0], y + pos[1], z + pos[2]
