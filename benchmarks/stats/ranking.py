"""Many comparisons at once: Holm's adjustment, compact letters, rank sets."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Flags = NDArray[np.bool_]
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return the p-values adjusted for their number (Holm, 1979).

    Reject where the adjusted value is <= alpha; the chance of any false rejection in the family
    is then <= alpha whatever the dependence between the tests.

    Args:
        p: (m,) p-values; the whole family of one (task, track, protocol).

    Returns:
        (m,) adjusted values in the order given.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"p-values must be a flat list of numbers in [0, 1], got {values}")
    order = np.argsort(values, kind="stable")
    steps = (len(values) - np.arange(len(values))) * values[order]
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(values) else steps
    return adjusted


def letters(scores: Sequence[float], significant: ArrayLike) -> list[str]:
    """Return compact letters: two rows share a letter exactly when they do not differ.

    The insert-and-absorb algorithm of Piepho (2004): start with one letter for all; for every
    significant pair split each letter that holds both; drop letters contained in another.

    Args:
        scores: (K,) success of each row; "a" goes to the best.
        significant: (K, K) symmetric, True where two rows differ significantly.

    Returns:
        K strings, for instance ``["a", "ab", "b"]``.
    """
    differ = _square(significant, len(scores))
    if np.any(differ != differ.T) or np.any(np.diag(differ)):
        raise ValueError("significant must be symmetric with an empty diagonal")
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    groups: list[frozenset[int]] = [frozenset(range(len(order)))]
    for i, j in np.argwhere(np.triu(differ[np.ix_(order, order)])):
        split = [g - {k} for g in groups if {i, j} <= g for k in (int(i), int(j))]
        groups = _absorb([g for g in groups if not {i, j} <= g] + split)
    groups.sort(key=sorted)
    named = [
        "".join(_letter(n) for n, g in enumerate(groups) if row in g) for row in range(len(order))
    ]
    return [named[int(place)] for place in np.argsort(order, kind="stable")]


def rank_sets(scores: Sequence[float], significant: ArrayLike) -> list[tuple[int, int]]:
    """Return for each row the ranks it may hold: [1 + better, K - worse].

    ``better`` counts the rows significantly better, ``worse`` those significantly worse. With
    p-values adjusted by Holm all true ranks lie in their sets together with probability
    >= 1 - alpha (Al Mohamad, Goeman & van Zwet, 2022; Mogstad et al., 2024).

    Args:
        scores: (K,) success of each row; higher is better.
        significant: (K, K) True where two rows differ significantly.
    """
    differ = _square(significant, len(scores))
    values = np.asarray(scores, dtype=np.float64)
    above = values[None, :] > values[:, None]
    better = np.sum(differ & above, axis=1)
    worse = np.sum(differ & above.T, axis=1)
    return [(1 + int(b), len(values) - int(w)) for b, w in zip(better, worse, strict=True)]


def _square(significant: ArrayLike, size: int) -> Flags:
    """Return the matrix as booleans, or raise ``ValueError`` if it is not (size, size)."""
    matrix = (
        np.asarray(significant, dtype=np.bool_).reshape(-1, size)
        if size
        else np.zeros((0, 0), np.bool_)
    )
    if matrix.shape != (size, size):
        raise ValueError(f"significant must be ({size}, {size}), got {matrix.shape}")
    return matrix


def _absorb(groups: list[frozenset[int]]) -> list[frozenset[int]]:
    """Drop repeated groups and groups contained in another."""
    unique = list(dict.fromkeys(groups))
    return [g for g in unique if not any(g < other for other in unique)]


def _letter(index: int) -> str:
    """Return the index-th letter; past 52 a letter with a number, so that none repeats."""
    turn, place = divmod(index, len(_ALPHABET))
    return _ALPHABET[place] + (str(turn) if turn else "")
