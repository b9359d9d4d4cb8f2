"""How a policy does under other execution settings: the same starts of the dev split for each.

Every setting is a run of its own, sealed like any other and kept under ``dev``: what is there is
not run again, and an interrupted sweep goes on.
"""

import csv
import io
import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.latency import by_wave
from benchmarks.lines import Record
from benchmarks.protocol import DEV, NOMINAL
from benchmarks.records import read_run
from benchmarks.run import EvaluateConfig, Job, Workers, evaluate, prepare
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole
from envs.errors import UsageError

Value = float | int | None
Setting = Mapping[str, Value]
"""Values by factor; what is left out is the policy's own."""

DEFAULTS: Mapping[str, tuple[Value, ...]] = {
    "execute": (5, 10, 20, 40, 80),
    "ensemble": (None, 0.0, 0.01, 0.1),
    "ddim_steps": (2, 4, 10, 20, 50),
    "delay": (0, 2, 5, 10, 20),
}
"""Factors and the values tried unless others are named."""
NONE = "none"


def parse_over(texts: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Read ``--over``: ``ensemble,execute`` (usual values) or ``execute=10,20`` (these).

    Raises:
        UsageError: an unknown factor, a factor twice, or a value that is no number.
    """
    found: dict[str, list[Value]] = {}
    name = ""
    for word in (word.strip() for text in texts for word in text.split(",")):
        factor, equals, value = word.partition("=")
        if equals or factor in DEFAULTS:
            name = _new_factor(factor, found)
            found[name] = [_value(name, value)] if equals else []
        elif name and found[name]:
            found[name].append(_value(name, word))
        else:
            raise UsageError(f"unknown factor {word!r}; known: {', '.join(DEFAULTS)}")
    return {name: tuple(dict.fromkeys(values)) or DEFAULTS[name] for name, values in found.items()}


def _new_factor(name: str, found: Mapping[str, object]) -> str:
    if name not in DEFAULTS:
        raise UsageError(f"unknown factor {name!r}; known: {', '.join(DEFAULTS)}")
    if name in found:
        raise UsageError(f"--over names {name} twice: put its values together, {name}=1,2,3")
    return name


def _value(name: str, text: str) -> Value:
    """Read a value: a number above or at 0, whole but for the ensemble, which may be ``none``."""
    if name == "ensemble" and text == NONE:
        return None
    try:
        return float(text) if name == "ensemble" else int(text)
    except ValueError:
        kind = "a number or none" if name == "ensemble" else "a whole number"
        raise UsageError(f"{name} must be {kind}, got {text!r}") from None


def settings_of(over: Mapping[str, Sequence[Value]], grid: bool = False) -> list[Setting]:
    """Return the policy's own setting, then one factor at a time or every combination."""
    settings: list[Setting] = [{}]
    if grid:
        settings += [
            dict(zip(over, values, strict=True)) for values in itertools.product(*over.values())
        ]
    else:
        settings += [{name: value} for name, values in over.items() for value in values]
    return settings


@dataclass(frozen=True)
class Result:
    """What one setting made of the policy.

    Attributes:
        setting: the values asked for; empty for the policy's own.
        execution: as in the manifest, everything resolved.
        run: the run folder's name.
        k, n: successes of trials.
        low, high: interval of the success rate.
        diff, diff_low, diff_high, p: against the policy's own setting from the same starts, exact
            McNemar; None for itself.
        sparc, sparc_low, sparc_high: smoothness: median and quartiles over the trials.
        p50_ms, p99_ms: of a prediction for one observation, medians over the waves.
        missed: timed predictions that came after their deadline.
        load: share of the time that predictions take, p50 over the time between two of them.
    """

    setting: Setting
    execution: Mapping[str, Any]
    run: str
    k: int
    n: int
    low: float
    high: float
    diff: float | None
    diff_low: float | None
    diff_high: float | None
    p: float | None
    sparc: float | None
    sparc_low: float | None
    sparc_high: float | None
    p50_ms: float | None
    p99_ms: float | None
    missed: int
    load: float | None

    @property
    def name(self) -> str:
        """The setting in words."""
        return setting_name(self.setting)


def setting_name(setting: Setting) -> str:
    """Return ``execute 10, ensemble none``, or ``own`` for what the checkpoint says."""
    told = [f"{k} {NONE if v is None else format(v, 'g')}" for k, v in setting.items()]
    return ", ".join(told) or "own"


@dataclass(frozen=True)
class Sweep:
    """A sweep: the policy, and each setting with what came out.

    Attributes:
        policy: its name.
        protocol: on which it was tried.
        trials: starts of the dev split, the same for every setting.
        over: values by factor.
        grid: every combination, or one factor at a time.
        results: the own setting first.
        skipped: settings that this policy cannot be run with, and why.
    """

    policy: str
    protocol: str
    trials: int
    over: Mapping[str, Sequence[Value]]
    grid: bool
    results: Sequence[Result]
    skipped: Sequence[tuple[Setting, str]]


@dataclass(frozen=True)
class Planned:
    """What a sweep will run: jobs with their settings, and settings that cannot be."""

    jobs: Sequence[tuple[Setting, Job]]
    skipped: Sequence[tuple[Setting, str]]


def plan_sweep(config: EvaluateConfig, settings: Sequence[Setting]) -> Planned:
    """Prepare every setting; what the policy cannot do is left out with the reason.

    Raises:
        UsageError: the policy cannot be loaded or run as it is, or nothing but that can be run.
    """
    base = replace(config, split=DEV, conditions=(NOMINAL,), videos="none")
    jobs: list[tuple[Setting, Job]] = []
    skipped: list[tuple[Setting, str]] = []
    for setting in settings:
        try:
            jobs.append((setting, prepare(replace(base, **setting))))  # type: ignore[arg-type]
        except UsageError as error:
            if not setting:
                raise
            skipped.append((setting, str(error)))
    if len(jobs) < 2:
        raise UsageError(f"none of the settings can be run: {'; '.join(left_out(skipped))}")
    return Planned(jobs, skipped)


def left_out(skipped: Sequence[tuple[Setting, str]]) -> list[str]:
    """Return a line a factor: values that cannot be, together where the reason is the same."""
    factors: dict[tuple[str, ...], dict[str, list[Setting]]] = {}
    for setting, why in skipped:
        factors.setdefault(tuple(setting), {}).setdefault(why, []).append(setting)
    return [
        "; ".join(f"{_together(settings)}: {why}" for why, settings in reasons.items())
        for reasons in factors.values()
    ]


def _together(settings: Sequence[Setting]) -> str:
    """Return ``delay 1, 2``, or combinations of several factors with a slash between them."""
    first, *others = map(setting_name, settings)
    if len(settings[0]) > 1:
        return " / ".join([first, *others])
    return ", ".join([first, *(name.rpartition(" ")[2] for name in others)])


def run_sweep(
    planned: Planned, pool: Workers, progress: Callable[[int], None] = lambda n: None
) -> list[Result]:
    """Run what is missing of every setting; return the results, the own setting first."""
    results: list[Result] = []
    own: list[Record] = []
    for setting, job in planned.jobs:
        done = evaluate(job.config, progress, job, pool)
        trials = [t for t in read_run(done.folder).trials if t["status"] == "valid"]
        own = own or trials
        results.append(summarise(setting, job, trials, own if setting else None))
    return results


def summarise(
    setting: Setting, job: Job, trials: Sequence[Record], own: Sequence[Record] | None
) -> Result:
    """Return what the trials of one setting say, against ``own`` where there is one."""
    wins = np.array([t["success"] for t in trials])
    k, n = int(wins.sum()), len(wins)
    limits = stats.cell_interval(k, n)
    against = None
    if own is not None:
        against = stats.compare(
            stats.Outcomes(wins), stats.Outcomes(np.array([t["success"] for t in own]))
        )
    smooth = [t["quality"]["sparc"] for t in trials if t["quality"]["sparc"] is not None]
    low, middle, high = np.percentile(smooth, (25, 50, 75)) if smooth else (None, None, None)
    p50 = _median([t["latency"]["p50_ms"] for t in trials])
    execution = job.manifest["execution"]
    timed = by_wave(trials, execution["batch"])
    period_ms = 1e3 * execution["execute"] / _hz(trials)
    return Result(
        setting=setting,
        execution=execution,
        run=job.folder.name,
        k=k,
        n=n,
        low=limits.low,
        high=limits.high,
        diff=None if against is None else against.diff,
        diff_low=None if against is None else against.low,
        diff_high=None if against is None else against.high,
        p=None if against is None else against.p,
        sparc=_float(middle),
        sparc_low=_float(low),
        sparc_high=_float(high),
        p50_ms=p50,
        p99_ms=_median([t["latency"]["p99_ms"] for t in trials]),
        missed=sum(int(one["missed"] or 0) for one in timed),
        load=None if p50 is None else p50 / period_ms,
    )


def table(sweep: Sweep) -> list[dict[str, Any]]:
    """Return a line a setting with plain values: the rows of the CSV file."""
    plain = [field.name for field in fields(Result) if field.name not in ("setting", "execution")]
    return [
        {
            "setting": result.name,
            **{
                name: result.execution.get(name, 0 if name == "delay" else None)
                for name in DEFAULTS
            },
            "success": result.k / result.n,
            **{name: getattr(result, name) for name in plain},
        }
        for result in sweep.results
    ]


def write_tables(sweep: Sweep, folder: Path) -> None:
    """Write ``sweep.csv`` and ``sweep.json``."""
    lines = table(sweep)
    text = io.StringIO()
    writer = csv.DictWriter(text, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    about = {
        "policy": sweep.policy,
        "protocol": sweep.protocol,
        "split": DEV,
        "trials": sweep.trials,
        "over": {name: list(values) for name, values in sweep.over.items()},
        "grid": sweep.grid,
        "settings": lines,
        "skipped": [{"setting": setting_name(s), "reason": why} for s, why in sweep.skipped],
    }
    with refuse_disk_errors(folder, "--out"):
        write_whole(folder / "sweep.csv", text.getvalue().encode())
        write_whole(folder / "sweep.json", (json.dumps(about, indent=1) + "\n").encode())


def _hz(trials: Sequence[Record]) -> float:
    """Return the control rate of some trials [Hz]."""
    return next((t["steps"] / t["duration_s"] for t in trials if t["steps"]), 50.0)


def _median(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def _float(value: Any) -> float | None:  # noqa: ANN401  (a numpy number)
    return None if value is None else round(float(value), 5)
