"""A closed session, unblinded: all that a report is made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Labels:
    """What somebody said of a trial.

    Attributes:
        success: whether the task was done.
        stage: stages reached in order.
        failure: label of `benchmarks.failures`; None for a success.
    """

    success: bool
    stage: int
    failure: str | None


@dataclass(frozen=True)
class ClosedTrial:
    """One attempt at a trial of the schedule, with who drove.

    Attributes:
        code: blind code.
        policy: name, as in `Closed.policies`.
        block: number from 0.
        ic: initial condition of the protocol.
        attempt: number from 0.
        order: place among all attempts of the session, from 0.
        start: as asked for, `InitialCondition.to_json`.
        placed: what the reset check measured: ``ok`` and, by object, ``off_mm`` and ``turn_deg``.
        labels: of the operator; None where the attempt is void.
        automatic: suggestion; ``success`` is None where nothing could tell (no truth, no tags).
        void: why it does not count; empty where it does.
        counted: whether it is in a complete block, and so in the statistics.
        steps: control periods.
        duration_s: time driven [s].
        numbers: ``p50_ms``, ``p99_ms`` (predictions), ``lost_ticks``, ``clamps``, ``sparc``, ...
        film: mp4 relative to the session's folder; empty where none was made.
    """

    code: str
    policy: str
    block: int
    ic: int
    attempt: int
    order: int
    start: Mapping[str, Any]
    placed: Mapping[str, Any]
    labels: Labels | None
    automatic: Mapping[str, Any]
    void: str
    counted: bool
    steps: int
    duration_s: float
    numbers: Mapping[str, Any]
    film: str = ""


@dataclass(frozen=True)
class Look:
    """What the sequential test of two policies said after a complete block.

    Attributes:
        block: number of complete blocks.
        first, second: names of the policies.
        wins: starts only the first did.
        losses: starts only the second did.
        boundary: wins, or losses, at which it stops then.
        decision: ``continue``, ``a``, ``b`` or ``undecided``.
    """

    block: int
    first: str
    second: str
    wins: int
    losses: int
    boundary: int
    decision: str


@dataclass(frozen=True)
class Agreement:
    """How two raters agree.

    Attributes:
        n: trials that both rated.
        agree: share of them with the same verdict.
        kappa: Cohen's; None where it is not defined (both said one thing only).
        low, high: its 95 % interval; None with it, and where all agree.
    """

    n: int
    agree: float
    kappa: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Closed:
    """A session from its lock to its end.

    Attributes:
        folder: of the session.
        name: of it.
        world: ``twin`` or ``real``.
        lock: as written, with its ``hash``.
        policies: name -> what its sealed run's manifest says of it, in no meaningful order.
        runs: name -> folder of its sealed run.
        trials: all attempts in the order in which they were made.
        path: what the tests said, look by look.
        ended: why no more trials were made, in words.
        checks: of every preflight: name, title, outcome, text, evidence.
        ratings: code -> rater -> success; the operator is ``operator``, automatic ``automatic``.
        agreement: the operator with ``second`` and with ``automatic``; those that exist.
        deviations: everything that was not as planned, in words.
        permission: for each policy, by name, why it might move the arm.
        started, ended_at: ISO 8601, UTC.
    """

    folder: Path
    name: str
    world: str
    lock: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]]
    runs: Mapping[str, Path]
    trials: tuple[ClosedTrial, ...]
    path: tuple[Look, ...]
    ended: str
    checks: tuple[Mapping[str, Any], ...]
    ratings: Mapping[str, Mapping[str, bool]]
    agreement: Mapping[str, Agreement]
    deviations: tuple[str, ...]
    permission: Mapping[str, Mapping[str, str]]
    started: str
    ended_at: str

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values; paths as text."""
        plain = asdict(self)
        runs = {name: str(path) for name, path in self.runs.items()}
        return {**plain, "folder": str(self.folder), "runs": runs}
