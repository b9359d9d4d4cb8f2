"""Demonstrations of several tasks as one data set, for a policy that is told which is meant."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from policies.base import TASKS
from policies.dataset import EpisodeSet, allocate

BALANCE = 0.5
"""A data set of N steps is drawn in proportion to N to this power; 0: all alike."""


def join(sets: Sequence[EpisodeSet]) -> EpisodeSet:
    """Return the data sets as one: an object that a task does not have is NaN there.

    Args:
        sets: read with ``language``, of one arm and one track.

    Raises:
        UsageError: another arm, rate, or pictures of other cameras or sizes.
    """
    first = sets[0]
    for other in sets[1:]:
        _check_alike(first, other)
    keys = sorted({key for one in sets for key in one.recorded})
    steps = sum(len(one.actions) for one in sets)
    widths = {key: _shape(sets, key) for key in keys} | {"action": first.actions.shape[1:]}
    arrays = allocate(widths, steps, first.reading.memory_limit)
    starts, base = [], 0
    for one in sets:
        rows = slice(base, base + len(one.actions))
        _fill(arrays, one, rows)
        starts.append(one.starts + base)
        base = rows.stop
    return EpisodeSet(
        observations={key: arrays[key] for key in keys},
        actions=arrays["action"],
        starts=np.concatenate(starts),
        lengths=np.concatenate([one.lengths for one in sets]),
        names=tuple(f"{one.meta.task}/{name}" for one in sets for name in one.names),
        train=_numbered(sets, [one.train for one in sets]),
        validation=_numbered(sets, [one.validation for one in sets]),
        excluded={f"{one.meta.task}/{n}": why for one in sets for n, why in one.excluded.items()},
        fingerprint=hashlib.sha256("\n".join(one.fingerprint for one in sets).encode()).hexdigest(),
        meta=replace(first.meta, task=TASKS.join(dict.fromkeys(one.meta.task for one in sets))),
        reading=first.reading,
        recorded={key: shape for one in sets for key, shape in one.recorded.items()},
        told=np.concatenate([one.told for one in sets if one.told is not None]),
        shares=np.concatenate([_share(one) for one in sets]),
    )


def _check_alike(first: EpisodeSet, other: EpisodeSet) -> None:
    """Refuse a data set that one network cannot learn beside the first."""
    for what in ("robot", "joints", "control_hz"):
        mine, found = getattr(first.meta, what), getattr(other.meta, what)
        if mine != found:
            raise UsageError(
                f"demonstrations of {other.meta.task}: {what} must be {mine!r} as in those of "
                f"{first.meta.task}, got {found!r}"
            )
    shown = [
        {k: s for k, s in one.recorded.items() if k[:8] != "objects/"} for one in (first, other)
    ]
    if shown[0] != shown[1]:
        raise UsageError(
            f"demonstrations of {other.meta.task} must show {shown[0]} as those of "
            f"{first.meta.task} do, got {shown[1]}"
        )
    if first.labelled is not None or other.labelled is not None:
        raise UsageError("demonstrations with an expert's labels cannot be joined with others yet")


def _shape(sets: Sequence[EpisodeSet], key: str) -> tuple[int, ...]:
    return next(one.observations[key].shape[1:] for one in sets if key in one.observations)


def _fill(arrays: Mapping[str, Array], one: EpisodeSet, rows: slice) -> None:
    for key, array in arrays.items():
        if key == "action":
            array[rows] = one.actions
        elif key in one.observations:
            array[rows] = one.observations[key]
        else:
            array[rows] = np.nan


def _numbered(sets: Sequence[EpisodeSet], chosen: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return episode numbers of each set as numbers of the whole."""
    before = np.cumsum([0, *(len(one) for one in sets)])
    return tuple(
        int(base) + i for base, episodes in zip(before, chosen, strict=False) for i in episodes
    )


def _share(one: EpisodeSet) -> Array:
    """Return how often each episode is drawn: the set by ``BALANCE``, within it by length."""
    total = float(one.lengths.sum())
    share: Array = one.lengths / total * total**BALANCE
    return share
