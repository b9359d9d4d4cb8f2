"""What a policy does: on 1,000 recorded observations, in simulation, against the clock."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.execution import Execution
from benchmarks.gate.check import Check, failed, passed
from benchmarks.gate.recorded import Recorded
from benchmarks.lines import Record
from benchmarks.protocol import NOMINAL, EvalProtocol
from benchmarks.timing import timing_of
from benchmarks.trial import cameras_of, describe, rollout
from envs.arm import ArmSpec, Array
from envs.batch import SimBatch
from envs.tasks import TASKS
from envs.variation import distractors_of
from policies.base import Policy

SPLIT = "gate"
"""Starts of their own: neither those checkpoints are chosen on nor those of the test."""
LEVEL = "L1"
"""Of the changed scenes."""
TRIALS_ROWS = 8
"""Trials that are fed recorded observations one after the other, without a new start; more where
more than that was told."""
OUTSIDE = 0.05
"""How far an answer may be outside a joint's range, as a share of it: a demonstrator asks for
targets at its edge, and the safety chain clamps."""
OFTEN = 0.01
"""Share of the answers that may be further outside."""


@dataclass(frozen=True)
class Thresholds:
    """What a policy must reach; settable for each protocol.

    Attributes:
        nominal: lower bound of the success rate on nominal starts.
        perturbed: the same in scenes changed a little (level L1 of every axis).
        confidence: of the lower bounds (one-sided, Clopper-Pearson).
        contact_n: largest force on the table, 95th percentile over the trials [N].
        clamped: share of the actions that the safety chain may clamp on the twin.
        sparc: least smoothness of the hand's speed on the twin.
    """

    nominal: float = 0.6
    perturbed: float = 0.3
    confidence: float = 0.95
    contact_n: float = 100.0
    clamped: float = 0.10
    sparc: float = -12.0

    def __post_init__(self) -> None:
        """Refuse shares that cannot be."""
        for what in ("nominal", "perturbed", "clamped"):
            if not 0 <= getattr(self, what) <= 1:
                raise ValueError(f"{what} must be in 0..1, got {getattr(self, what)}")
        stats.Interval(0, 1, "", self.confidence)


THRESHOLDS: Mapping[str, Thresholds] = {}
"""By protocol, where they are not the usual ones."""


def check_recorded(policy: Policy, arm: ArmSpec, recorded: Recorded) -> Check:
    """Ask for every recorded observation in trials that go on, and look at each answer."""
    limits, asked, worst = arm.limits, 0, 0.0
    outside = 0.0
    lanes, words = _lanes(recorded), recorded.instructions
    policy.reset([words[lane[0]] for lane in lanes], list(range(len(lanes))))
    calls = max(*map(len, lanes), -(-len(recorded) // TRIALS_ROWS))
    for call in range(calls):
        rows = np.array([lane[call % len(lane)] for lane in lanes])
        seen = {key: value[rows] for key, value in recorded.observations.items()}
        chunk = np.asarray(policy.act(seen))
        if chunk.shape != (len(lanes), policy.spec.chunk, policy.spec.n):
            told = f"an answer has shape {chunk.shape}"
            return failed("recorded", "wrong shape", told, observations=asked)
        if not np.isfinite(chunk).all():
            told = f"an answer is not finite after {call} predictions of a trial"
            return failed("recorded", "not finite", told, observations=asked)
        over = _outside(chunk[:, : policy.spec.execute], limits.lower, limits.upper)
        worst, outside = max(worst, float(over.max())), outside + float((over > OUTSIDE).mean())
        asked += len(lanes)
    share = outside / calls
    shown = {"observations": asked, "furthest outside a range": round(worst, 4)}
    if share > OFTEN:
        told = f"{share:.1%} of the answers lie outside a joint's range, by up to {worst:.0%} of it"
        return failed("recorded", "outside the joint limits", told, **shown)
    told = f"{asked} recorded observations: every answer finite and within the limits"
    return passed("recorded", told, **shown)


def _lanes(recorded: Recorded) -> list[Array]:
    """Return the observations of each trial, by index: all that it sees were told the same."""
    told = np.array(recorded.instructions)
    groups = [np.flatnonzero(told == words) for words in np.unique(told)]
    parts = max(1, TRIALS_ROWS // len(groups))
    return [lane for rows in groups for lane in np.array_split(rows, min(parts, len(rows)))]


def _outside(chunk: Array, lower: Array, upper: Array) -> Array:
    """Return how far actions are outside their range, in shares of it."""
    over: Array = np.maximum(np.maximum(chunk - upper, lower - chunk), 0) / (upper - lower)
    return over


Cell = tuple[str, int]
"""A condition of a protocol, and one of its initial conditions."""


def nominal_cells(trials: int) -> list[Cell]:
    """Return the first nominal starts."""
    return [(NOMINAL, ic) for ic in range(trials)]


def perturbed_cells(protocol: EvalProtocol, track: str, trials: int) -> list[Cell]:
    """Return starts in changed scenes: every axis at its first level, in turns."""
    names = [
        c.name
        for c in protocol.conditions
        if len(c.axes) == 1 and c.axes[0][1] == LEVEL and track in c.tracks
        and not c.name.startswith("control/")
    ]  # fmt: skip
    return [(names[i % len(names)], i // len(names)) for i in range(trials)]


def run_trials(
    policy: Policy, protocol: EvalProtocol, cells: Sequence[Cell], execution: Execution
) -> list[Record]:
    """Simulate trials of any conditions together; return what happened in each."""
    axes = [protocol.condition(name).axes for name, _ in cells]
    sims = SimBatch(
        TASKS[protocol.task], protocol.robot, len(cells), threads=1,
        cameras=cameras_of(policy.spec), distractors=max(map(distractors_of, axes)),
    )  # fmt: skip
    starts = [protocol.start(name, ic, SPLIT) for name, ic in cells]
    sims.reset(starts)
    controller = execution.controller(policy)
    seeds = [protocol.seeds(ic, SPLIT)["policy"] for _, ic in cells]
    controller.reset([sims.task.instruct(start) for start in starts], seeds)
    records = describe(rollout(sims, controller), sims)
    for (name, ic), record in zip(cells, records, strict=True):
        record["key"] = {"condition": name, "ic": ic}
    return records


def check_success(name: str, records: Sequence[Record], limits: Thresholds) -> Check:
    """Hold the lower bound of the success rate, and the force on the table, against the limits.

    Args:
        name: ``nominal`` or ``perturbed``.
        records: trials.
        limits: what must be reached.
    """
    threshold = limits.nominal if name == "nominal" else limits.perturbed
    k, n = sum(bool(r["success"]) for r in records), len(records)
    low = stats.clopper_pearson(k, n, limits.confidence, "lower").low
    forces = [r["quality"]["contact_peak_n"] for r in records]
    force = float(np.percentile([f for f in forces if f is not None] or [0.0], 95))
    failures = [r["failure"] for r in records if r["failure"]]
    common = max(set(failures), key=failures.count) if failures else ""
    cells = sorted({r["key"]["condition"] for r in records})
    shown: dict[str, Any] = {
        "successes": k, "trials": n, "rate": k / n, "lower": round(low, 4), "threshold": threshold,
        "force on the table, 95th percentile [N]": round(force, 1),
        "conditions": [_cell(c, records) for c in cells],
    }  # fmt: skip
    told = f"{k} of {n}: at least {low:.1%} ({limits.confidence:.0%} sure), wanted {threshold:.0%}"
    problem = next((r["reason"] for r in records if r["reason"]), None)
    if problem:
        return failed(name, "fails while it acts", f"{told}; {problem}", **shown)
    if low < threshold:
        often = f", most often: {common}" if common else ""
        return failed(name, "too few successes", told + often, **shown)
    if force > limits.contact_n:
        told += f"; presses on the table with {force:.0f} N, allowed {limits.contact_n:.0f} N"
        return failed(name, "presses on the table", told, **shown)
    return passed(name, told, **shown)


def _cell(name: str, records: Sequence[Record]) -> dict[str, Any]:
    mine = [r for r in records if r["key"]["condition"] == name]
    wins = sum(bool(r["success"]) for r in mine)
    failures = sorted({r["failure"] for r in mine if r["failure"]})
    return {"condition": name, "successes": f"{wins}/{len(mine)}", "failures": ", ".join(failures)}


def check_latency(
    policy: Policy, recorded: Recorded, execution: Execution, count: int, busy: int
) -> Check:
    """Time single predictions while ``busy`` processes keep the machine at work."""
    lane = _lanes(recorded)[0][:count]
    rows = [recorded.part(np.array([i])).observations for i in lane]
    policy.reset([recorded.instructions[lane[0]]], [0])
    policy.act(rows[0])
    times = []
    with load(busy):
        for i in range(count):
            begin = time.perf_counter()
            policy.act(rows[i % len(rows)])
            times.append(1e3 * (time.perf_counter() - begin))
    found, budget = timing_of(times, policy), execution.budget_ms(policy.spec.control_hz)
    names = ("p50_ms", "p95_ms", "p99_ms", "max_ms", "period_ms")
    shown: dict[str, Any] = {name: getattr(found, name) for name in names}
    shown |= {"budget_ms": budget, "busy processes": busy, "predictions": count}
    shown |= {"smallest stride": found.smallest_stride, "largest stride": found.largest_stride}
    told = f"p99 {found.p99_ms:.1f} ms under load, {budget:.0f} ms between two predictions"
    if found.p99_ms > budget:
        return failed("latency", "too slow", told, **shown)
    return passed("latency", told, **shown)


def spin() -> None:
    """Keep a core at work until the process is ended."""
    while True:
        pass


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep as many processes at work beside us."""
    context = multiprocessing.get_context("spawn")
    made = [context.Process(target=spin, daemon=True) for _ in range(processes)]
    for process in made:
        process.start()
    try:
        yield
    finally:
        for process in made:
            process.terminate()
            process.join()


def usual_load() -> int:
    """Return how many processes make this machine busy: one a core."""
    return os.cpu_count() or 1
