"""DAgger's learning curve: success on ``dev`` starts after every round, and against plain BC."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curve_figure import Line, Point, figure
from benchmarks.execution import Execution
from benchmarks.protocol import BATCH, DEV, NOMINAL, PROTOCOLS, Wave
from benchmarks.stats.compare import Comparison, Flags, Outcomes, compare
from benchmarks.stats.intervals import cell_interval
from benchmarks.trial import Runner
from envs.atomic import write_atomic
from envs.errors import UsageError
from policies.checkpoint import load_policy
from policies.dagger import Row, dagger
from policies.dagger_config import DaggerConfig

CONTROL = "demonstrations"
CSV, JSON, SVG = "curve.csv", "curve.json", "curve.svg"
COLUMNS = ("run", "round", "labels", "trials", "successes", "success", "low", "high")
Advance = Callable[[int], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Meter:
    """Measures checkpoints on ``dev`` starts of a protocol; the test starts are never touched.

    Attributes:
        protocol: id of a registered protocol.
        trials: initial conditions, the first ones of the split.
    """

    protocol: str
    trials: int

    def __post_init__(self) -> None:
        """Refuse more trials than the protocol has."""
        most = PROTOCOLS[self.protocol].trials
        if not 1 <= self.trials <= most:
            raise UsageError(f"trials must be 1..{most} in {self.protocol}, got {self.trials}")

    def __call__(self, folder: Path) -> dict[str, Any]:
        """Return how often the policy in ``folder`` succeeds, as JSON."""
        policy, protocol = load_policy(folder), PROTOCOLS[self.protocol]
        runner = Runner(policy, policy.name, protocol, Execution(policy.spec.execute), DEV)
        flags: list[int] = []
        for first in range(0, self.trials, BATCH):
            wave = Wave(NOMINAL, first, min(BATCH, self.trials - first))
            flags += [int(record["success"]) for record in runner.run(wave).records]
        told = {"protocol": self.protocol, "split": DEV, "trials": len(flags)}
        return {**told, "successes": sum(flags), "success": flags}


def control_of(config: DaggerConfig) -> DaggerConfig:
    """Return plain BC on as many labels: all of demonstrations, all steps of training at once."""
    steps = (config.training(0).steps or 0) * (config.rounds + 1)
    changes = {"out": config.out / CONTROL, "rounds": 0, "steps": steps, "schedule": "expert"}
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Learned:
    """What came of a run.

    Attributes:
        rows: of DAgger's rounds.
        control: of plain BC; empty where it was not asked for.
        difference: success after the last round minus that of plain BC.
    """

    rows: Sequence[Row]
    control: Sequence[Row] = ()
    difference: Comparison | None = None


def run(config: DaggerConfig, meter: Meter, against: bool, advance: Advance, say: Say) -> Learned:
    """Run DAgger and, if ``against``, plain BC on as many labels; write the curve.

    Raises:
        UsageError: as ``policies.dagger.dagger``, or the expert labelled without a limit and there
            is no number of labels to give to plain BC.
    """
    if against and config.labels is None:
        raise UsageError("a comparison with plain BC needs --labels: as many for both")
    rows = dagger(config, advance, say, meter)
    learned = Learned(rows)
    if against:
        say(f"plain BC: {config.labels} labels of demonstrations")
        control = dagger(control_of(config), advance, say, meter)
        ours, theirs = (Outcomes(_flags(measured[-1])) for measured in (rows, control))
        learned = Learned(rows, control, compare(ours, theirs))
    write(config.out, config.algo, learned)
    return learned


def write(folder: Path, algo: str, learned: Learned) -> None:
    """Write the curve as CSV, as JSON with the comparison, and as a figure."""
    named = {"dagger": learned.rows, CONTROL: learned.control}
    table = [_line(name, row) for name, rows in named.items() for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_atomic(folder / CSV, text.getvalue().encode())
    difference = learned.difference and dataclasses.asdict(learned.difference)
    content = {"algorithm": algo, "points": table, "difference": difference}
    write_atomic(folder / JSON, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
    lines = [
        Line(name, [Point(p["labels"], p["success"], p["low"], p["high"]) for p in points])
        for name, points in (
            (f"DAgger, {algo}", [p for p in table if p["run"] == "dagger"]),
            (f"demonstrations, {algo}", [p for p in table if p["run"] == CONTROL]),
        )
        if points
    ]
    trials = table[0]["trials"]
    title = f"Success of {trials} dev trials by expert labels"
    write_atomic(folder / SVG, figure(title, "expert labels", lines).encode())


def _flags(row: Row) -> Flags:
    return np.array(row["measured"]["success"], np.bool_)


def _line(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    found = row["measured"]
    k, n = int(found["successes"]), int(found["trials"])
    interval = cell_interval(k, n)
    limits = {"low": round(interval.low, 4), "high": round(interval.high, 4)}
    counts = {"trials": n, "successes": k, "success": round(k / n, 4)}
    return {"run": name, "round": row["round"], "labels": row["total"], **counts, **limits}


def said(difference: Comparison) -> str:
    """Say the difference in a line."""
    d = difference
    return (
        f"DAgger minus plain BC, same number of expert labels: {100 * d.diff:+.1f} points, "
        f"{round(100 * d.level)} % interval {100 * d.low:+.1f} to {100 * d.high:+.1f} "
        f"({d.n} paired trials, {d.method}, p = {d.p:.2g})"
    )
