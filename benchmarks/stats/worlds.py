"""Does success in one world predict success in another: simulation against the twin or an arm?

Pearson's r asks whether the policies' rates lie on a line, the mean maximum rank violation (Li et
al., 2024, "Evaluating real-world robot manipulation policies in simulation", SIMPLER) what trusting
the simulated order costs. Policies are few, so both come with an interval or not at all: with four
policies a useless simulator reaches r >= .8 one time in ten.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stats.compare import Outcomes
from benchmarks.stats.intervals import Interval, check_level

MIN_POLICIES = 6
MIN_DISTINCT = 3
"""Policies that a resample must hold: two points always lie on a line."""

METHOD = "double bootstrap over policies and starts"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SimToReal:
    """How two worlds agree on a set of policies.

    Attributes:
        policies: how many were tried in both.
        pearson: correlation of the rates with its interval; None where it is not reported.
        violation: mean maximum rank violation, a difference of success rates, with its interval.
        why_not: why nothing is reported; empty where it is.
    """

    policies: int
    pearson: tuple[float, Interval] | None = None
    violation: tuple[float, Interval] | None = None
    why_not: str = ""


def pearson(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return Pearson's r along the last axis; NaN where one side does not vary.

    Args:
        a: (..., K) rates.
        b: (..., K) rates of the same policies.
    """
    x, y = (np.asarray(v, np.float64) for v in (a, b))
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    scale = np.sqrt(np.sum(x * x, axis=-1) * np.sum(y * y, axis=-1))
    flat = (np.ptp(x, axis=-1) < 1e-12) | (np.ptp(y, axis=-1) < 1e-12)
    r = np.sum(x * y, axis=-1) / np.where(flat, 1.0, scale)
    return np.where(flat, np.nan, np.clip(r, -1.0, 1.0))


def rank_violation(simulated: ArrayLike, real: ArrayLike) -> Floats:
    """Return the mean maximum rank violation along the last axis (Li et al., 2024).

    Of each policy the largest real difference to another one that the simulation orders
    otherwise, averaged over policies; 0: the same order. A tie in simulation between policies
    that differ in reality is a violation for both (the paper's strict comparison charges it to
    one of the two, by their order).

    Args:
        simulated: (..., K) rates.
        real: (..., K) rates of the same policies.
    """
    x, y = (np.asarray(v, np.float64) for v in (simulated, real))
    gaps = [v[..., :, None] - v[..., None, :] for v in (x, y)]
    signs = [np.where(np.abs(gap) < 1e-12, 0.0, np.sign(gap)) for gap in gaps]
    violated = np.where(signs[0] != signs[1], np.abs(gaps[1]), 0.0)
    return np.asarray(violated.max(axis=-1).mean(axis=-1))


def sim_to_real(
    simulated: Mapping[str, Outcomes],
    real: Mapping[str, Outcomes],
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 4000,
) -> SimToReal:
    """Return how simulated success agrees with real success over the policies in both.

    The interval is a percentile interval (Efron & Tibshirani, 1993) of a double bootstrap: each
    resample draws policies with replacement, and of each world its starts, a start with the
    outcomes of all policies that met it.

    Args:
        simulated: outcomes by policy.
        real: outcomes by policy.
        rng: generator; the same state gives the same interval.
        level: confidence level.
        draws: number of resamples.
    """
    names = sorted(simulated.keys() & real.keys())
    if len(names) < MIN_POLICIES:
        return SimToReal(len(names), why_not=_too_few(len(names)))
    worlds = [[world[name] for name in names] for world in (simulated, real)]
    rates = [np.array([o.rate for o in world]) for world in worlds]
    if not np.isfinite(r := float(pearson(*rates))):
        flat = "simulation" if np.ptp(rates[0]) < 1e-12 else "reality"
        return SimToReal(len(names), why_not=f"all policies have the same success in {flat}")
    drawn = [_redraw(world, rng, draws) for world in worlds]
    picked = rng.integers(0, len(names), (draws, len(names)))
    sims, reals = (np.take_along_axis(rate, picked, axis=1) for rate in drawn)
    kept = np.array([len(set(row)) >= MIN_DISTINCT for row in picked.tolist()])
    kept &= np.isfinite(sims).all(axis=1) & np.isfinite(reals).all(axis=1)
    sims, reals = sims[kept], reals[kept]
    found = pearson(sims, reals)
    return SimToReal(
        len(names),
        (r, _percentiles(found[np.isfinite(found)], level)),
        (float(rank_violation(*rates)), _percentiles(rank_violation(sims, reals), level)),
    )


def _too_few(policies: int) -> str:
    some = f"{policies} polic{'y' if policies == 1 else 'ies'}" if policies else "no policy"
    return (
        f"{some} in both worlds; from {MIN_POLICIES} on, below that a useless simulator often "
        "looks like a good one"
    )


def _redraw(world: list[Outcomes], rng: np.random.Generator, draws: int) -> Floats:
    """Return (draws, K) rates on starts drawn anew; NaN where none of a policy's was drawn."""
    ids = sorted({ic for outcomes in world for ic in outcomes.ics})
    column = {ic: place for place, ic in enumerate(ids)}
    success = np.zeros((len(world), len(ids)))
    met = np.zeros((len(world), len(ids)))
    for row, outcomes in enumerate(world):
        columns = [column[ic] for ic in outcomes.ics]
        success[row, columns] = outcomes.success.mean(axis=0)
        met[row, columns] = 1
    counts = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=draws)
    total = counts @ met.T
    return np.where(total > 0, (counts @ success.T) / np.maximum(total, 1), np.nan)


def _percentiles(values: Floats, level: float) -> Interval:
    tail = (1 - check_level(level)) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high), METHOD, level)
