"""How long a policy takes for one observation, as an arm would ask."""

import contextlib
import statistics
import time
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.lines import Record, canonical
from envs.arm import Array
from policies.base import Policy

Latency = Mapping[str, float | None]

TIMED = 10
"""Predictions of each wave that are repeated alone to time them."""

NOT_TIMED: Latency = {"p50_ms": None, "p99_ms": None, "missed": 0}
"""Of a wave whose policy could not be asked any more."""


class Probe:
    """Passes a policy through; keeps what its first row saw, and how long the first call took."""

    def __init__(self, policy: Policy) -> None:
        """Pass ``policy`` through."""
        self.policy, self.name, self.spec = policy, policy.name, policy.spec
        self.samples: list[dict[str, Array]] = []
        self.first_ms = 0.0

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials."""
        self.policy.reset(instructions, seeds)

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return the policy's actions."""
        begin = time.perf_counter()
        try:
            chunk = self.policy.act(obs)
        finally:
            self.first_ms = self.first_ms or 1e3 * (time.perf_counter() - begin)
        if len(self.samples) < TIMED:
            self.samples.append({key: np.array(value[:1]) for key, value in obs.items()})
        return chunk

    def latency(self, instruction: str, seed: int, budget_ms: float) -> Latency:
        """Time the first predictions again, one observation at a time.

        Of a served policy that is the way there and back; ``server_`` is what the server measured.
        A prediction that took longer than ``budget_ms`` has missed its deadline.
        """
        times: list[float] = []
        served: list[float] = []
        with contextlib.suppress(Exception):  # a policy that fails has failed its trials already
            self.policy.reset([instruction], [seed])
            for observation in [*self.samples[:1], *self.samples]:  # the first is a warm-up
                begin = time.perf_counter()
                self.policy.act(observation)
                times.append(1e3 * (time.perf_counter() - begin))
                told = getattr(self.policy, "inference_ms", None)
                served += [] if told is None else [told]
        times = times[1:] or [self.first_ms]
        at_server = percentiles(served[1:], "server_") if served[1:] else {}
        missed = sum(t > budget_ms for t in times)
        counts = {"missed": missed, "timed": len(times), "budget_ms": round(budget_ms, 3)}
        return {**percentiles(times), **counts, **at_server}


def by_wave(trials: Sequence[Record], batch: int) -> list[Latency]:
    """Return what was timed, once a wave of ``batch`` trials: all trials of one share it."""
    found: dict[object, Latency] = {}
    for trial in trials:
        key = trial["key"]
        wave = (key["condition"], key["ic"] // batch, canonical(trial["latency"]))
        found.setdefault(wave, trial["latency"])
    return list(found.values())


def missed_told(found: Sequence[Latency]) -> str:
    """Say how many timed predictions came too late; empty where none did, or none was counted."""
    counted = [one for one in found if one.get("timed")]
    late = [one for one in counted if one["missed"]]
    if not late:
        return ""
    missed, timed = (sum(int(one[name] or 0) for one in counted) for name in ("missed", "timed"))
    middle = statistics.median(one["p50_ms"] or 0.0 for one in counted)
    return (
        f"{missed} of {timed} timed predictions missed their deadline (median {middle:.0f} ms; "
        f"{late[0]['budget_ms']:.0f} ms allowed)"
    )


def percentiles(times: Sequence[float], prefix: str = "") -> dict[str, float]:
    """Return median and 99th percentile of ``times`` [ms] as a record names them."""
    p50, p99 = (round(float(q), 3) for q in np.percentile(times, (50, 99)))
    return {f"{prefix}p50_ms": p50, f"{prefix}p99_ms": p99}
