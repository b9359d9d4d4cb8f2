"""How a motion looked: spectral smoothness, detours, contact force. None where undefined."""

import numpy as np
from numpy.typing import ArrayLike


def sparc(
    speed: ArrayLike,
    rate_hz: float,
    cutoff_hz: float = 10.0,
    amplitude: float = 0.05,
    padding: int = 4,
) -> float | None:
    """Return the spectral arc length of a speed profile: closer to zero is smoother.

    The negative length of the normalised magnitude spectrum up to the last frequency (at most
    ``cutoff_hz``) whose magnitude reaches ``amplitude`` (Balasubramanian et al., 2012, with the
    adaptive cut-off of 2015). A minimum-jerk reach gives about -1.4 to -1.6.

    Args:
        speed: (T,) speed of the end effector [m/s]; the scale does not matter.
        rate_hz: samples a second.
        cutoff_hz: highest frequency looked at.
        amplitude: share of the largest magnitude below which a tail is ignored.
        padding: the spectrum has 2^(ceil(log2 T) + padding) points.

    Returns:
        The arc length, or None for fewer than 4 samples, values that are not finite, or no motion.
    """
    profile = np.asarray(speed, dtype=np.float64)
    if rate_hz <= 0:
        raise ValueError(f"rate_hz must be positive, got {rate_hz}")
    if profile.ndim != 1 or len(profile) < 4 or not np.all(np.isfinite(profile)):
        return None
    size = 2 ** (int(np.ceil(np.log2(len(profile)))) + padding)
    magnitude = np.abs(np.fft.rfft(profile, size))
    if magnitude.max() <= 1e-12:
        return None
    frequency = np.fft.rfftfreq(size, 1 / rate_hz)
    magnitude = (magnitude / magnitude.max())[frequency <= cutoff_hz]
    last = int(np.flatnonzero(magnitude >= amplitude)[-1])
    if last == 0:
        return None
    rise = np.diff(magnitude[: last + 1])
    return -float(np.sum(np.hypot(1.0 / last, rise)))


def path_ratio(positions: ArrayLike, through: ArrayLike | None = None) -> float | None:
    """Return the length of a path over the straight one: 1 is direct, 2 is twice as long.

    Args:
        positions: (T, 3) end-effector positions [m].
        through: (W, 3) points that the task makes it visit, in order (the object, the target).

    Returns:
        The ratio, or None where the straight path is shorter than 1 mm or undefined.
    """
    path = np.asarray(positions, dtype=np.float64)
    if path.ndim != 2 or len(path) < 2 or not np.all(np.isfinite(path)):
        return None
    stops = np.empty((0, path.shape[1])) if through is None else np.atleast_2d(through)
    straight = _length(np.vstack([path[:1], stops, path[-1:]]))
    return _length(path) / straight if straight >= 1e-3 else None


def contact_peak(force_n: ArrayLike) -> float | None:
    """Return the largest contact force [N] of (T,) or (T, contacts) readings; None for none."""
    force = np.abs(np.asarray(force_n, dtype=np.float64))
    return float(force.max()) if force.size and np.all(np.isfinite(force)) else None


def _length(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Return the length of a polyline (T, d)."""
    return float(np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
