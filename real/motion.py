"""How far a joint may go in the next control period, so that it can always stop in time.

Discrete motion: a joint at ``q`` goes ``s`` in one period, at most ``most`` (velocity) and at most
``change`` more or less than in the period before (acceleration). Who goes ``s`` needs

    D(s) = (s - c) + (s - 2c) + ... = n s - c n (n + 1) / 2,  n = floor(s / c)

more to stop with c = ``change``. A motion is *viable* if s + D(s) does not lead past a limit. From
a viable one braking leads to a viable one, so the limits of position, velocity and acceleration all
hold for ever. All arrays are (n,), positions in rad (a gripper: opening), ``s``, ``most`` and
``change`` in the same unit per control period.
"""

import numpy as np

from envs.arm import Array


def stopping(step: Array, change: Array) -> Array:
    """Return how far, with its sign, the joint goes on after ``step`` while it brakes."""
    speed = np.abs(step)
    n = np.floor(speed / change)
    way: Array = np.sign(step) * (n * speed - change * n * (n + 1) / 2)
    return way


def fastest(room: Array, change: Array) -> Array:
    """Return the largest step s >= 0 with s + D(s) <= ``room``.

    The sum is continuous and grows with s; at s = n c it is c n (n + 1) / 2, and between these
    points it is a straight line of slope n + 1.
    """
    room = np.maximum(room, 0.0)
    n = np.floor((np.sqrt(1.0 + 8.0 * room / change) - 1.0) / 2.0)
    step: Array = (room + change * n * (n + 1) / 2) / (n + 1)
    return step


def braked(step: Array, change: Array) -> Array:
    """Return the step that follows ``step`` in the strongest braking."""
    slower: Array = np.sign(step) * np.maximum(np.abs(step) - change, 0.0)
    return slower


def next_step(wanted: Array, step: Array, room: tuple[Array, Array], bounds: Array) -> Array:
    """Return the viable step that comes nearest to ``wanted``.

    Args:
        wanted: the step asked for.
        step: the step before, viable.
        room: distance to the lower and to the upper limit of position, both >= 0.
        bounds: most and change, (2, n).
    """
    most, change = bounds
    least = np.maximum(np.maximum(-most, step - change), -fastest(room[0], change))
    largest = np.minimum(np.minimum(most, step + change), fastest(room[1], change))
    crossed = least > largest  # by rounding only: brake
    chosen = np.clip(wanted, np.minimum(least, largest), np.maximum(least, largest))
    return np.where(crossed, braked(step, change), chosen)


def braking_path(target: Array, step: Array, change: Array) -> Array:
    """Return the targets (k, n) of the strongest braking from ``target``, until all rest.

    ``step`` is the one that led to ``target``; k = 0 where nothing moves.
    """
    path = []
    while np.any(step):
        step = braked(step, change)
        target = target + step
        path.append(target)
    return np.array(path).reshape(-1, len(target))
