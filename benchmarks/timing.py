"""How long a policy takes on this machine, against the time an arm leaves it."""

import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from envs.errors import UsageError
from policies.base import Policy
from policies.checkpoint import load_policy, stored_observations

BLOCK = 10
"""Predictions of one policy in a row before the other's turn."""
RSS = 1024 if sys.platform != "darwin" else 1
"""Bytes in the unit of ``ru_maxrss``."""


@dataclass(frozen=True)
class Timing:
    """What predictions for one observation cost, and what a control loop makes of it.

    Attributes:
        count: predictions timed.
        p50_ms, p95_ms, p99_ms, max_ms: of their times.
        period_ms: of the control loop.
        budget_ms: between two predictions at the policy's own stride.
        cold_start_s: from a new process to its first action.
        memory_mb: peak memory of that process, all libraries included.
        smallest_stride: actions to execute of a chunk so that p99 is over in time.
        largest_stride: actions that may be executed of a chunk if the next one is computed while
            they run, so that the control loop never waits; None: no stride keeps the rate.
    """

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    period_ms: float
    budget_ms: float
    cold_start_s: float
    memory_mb: float
    smallest_stride: int
    largest_stride: int | None

    def to_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


def timing_of(
    times_ms: Sequence[float], policy: Policy, cold_s: float = 0.0, memory_mb: float = 0.0
) -> Timing:
    """Summarise times [ms] of single predictions of ``policy``."""
    spec = policy.spec
    period = 1e3 / spec.control_hz
    p50, p95, p99 = (round(float(q), 3) for q in np.percentile(times_ms, (50, 95, 99)))
    taken = max(1, math.ceil(p99 / period))
    return Timing(
        count=len(times_ms),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=round(float(max(times_ms)), 3),
        period_ms=period,
        budget_ms=period * spec.execute,
        cold_start_s=round(cold_s, 3),
        memory_mb=round(memory_mb, 1),
        smallest_stride=taken,
        largest_stride=spec.chunk - taken if spec.chunk >= 2 * taken else None,
    )


def sampler(
    policy: Policy, folder: Path, clock: Callable[[], float] = time.perf_counter
) -> Callable[[], float]:
    """Return what makes one prediction for a stored observation and returns its time [ms]."""
    seen = {key: value[:1] for key, value in stored_observations(folder).items()}
    policy.reset([""], [0])

    def once() -> float:
        begin = clock()
        policy.act(seen)
        return 1e3 * (clock() - begin)

    return once


def compare(folders: Sequence[Path], count: int, threads: int = 1) -> list[Timing]:
    """Time policies by turns in one run, so that a busy minute meets them all.

    Cold start and memory are those of processes of their own.

    Raises:
        UsageError: a checkpoint that does not load.
    """
    policies = [load_policy(folder, threads=threads) for folder in folders]
    each = [sampler(p, folder) for p, folder in zip(policies, folders, strict=True)]
    times = by_turns(each, count)
    cold = [cold_start(folder, threads) for folder in folders]
    return [timing_of(t, p, *c) for t, p, c in zip(times, policies, cold, strict=True)]


def by_turns(each: Sequence[Callable[[], float]], count: int) -> list[list[float]]:
    """Return ``count`` times of each, taken in blocks by turns; a first one is not counted."""
    times: list[list[float]] = [[] for _ in each]
    for once in each:
        once()
    while len(times[0]) < count:
        for once, found in zip(each, times, strict=True):
            found += [once() for _ in range(min(BLOCK, count - len(found)))]
    return times


def cold_start(folder: Path, threads: int = 1) -> tuple[float, float]:
    """Return the time from a new process to its first action [s], and its peak memory [MB]."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    begin = time.perf_counter()
    process = context.Process(target=_first_action, args=(str(folder), threads, theirs))
    process.start()
    theirs.close()
    try:
        memory: float = ours.recv()
        return time.perf_counter() - begin, memory
    except EOFError as error:
        raise UsageError(f"{folder} does not act in a process of its own") from error
    finally:
        process.join()
        ours.close()


def _first_action(folder: str, threads: int, pipe: Connection) -> None:
    policy = load_policy(folder, threads=threads)
    sampler(policy, Path(folder))()
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS / 1e6)
