"""Read run folders for the leaderboard: what each trial says, and what is wrong with its run."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.board_starts import shortfall, trained_on
from benchmarks.lines import Record, digest, parse
from benchmarks.protocol import TEST, Plan, state_of
from benchmarks.records import MANIFEST, read_chain, read_run, trial_bytes, verify_run
from benchmarks.verified import reproduced
from envs.start_features import spots

MAX_INVALID = 0.10  # share of invalid trials above which a run is preliminary
REPEAT = 1_000_000  # initial condition and repeat share one number: repeat * REPEAT + ic
SHOWN = 4  # problems listed for one run


@dataclass(frozen=True)
class Seen:
    """One valid trial, as the leaderboard uses it.

    Attributes:
        condition: name of the cell, such as ``nominal`` or ``camera_pose/L2``.
        unit: initial condition and repeat as one number; what pairs trials of two policies.
        success: sustained success.
        success_any: success held at some step.
        success_final: success held at the last step.
        progress: furthest ordered stage over the number of stages, 0..1.
        failure: label, or None for a success.
        tags: labels that matched as well.
        sparc: smoothness, or None where undefined.
        path_ratio: path length over the straight one, or None.
        p50_ms: median latency of a prediction for one observation [ms], None where not timed.
        p99_ms: 99th percentile of that latency [ms], None where not timed.
        duration_s: simulated or real duration [s].
        place: start position of the object (x, y) [m], or None.
        spots: where every object starts, see ``envs.start_features``.
        video: path of its video within the run, or None.
        has_way: the task has ways to choose between.
        way: the one taken, 1 left or -1 right, None for neither.
    """

    condition: str
    unit: int
    success: bool
    success_any: bool
    success_final: bool
    progress: float
    failure: str | None
    tags: tuple[str, ...]
    sparc: float | None
    path_ratio: float | None
    p50_ms: float | None
    p99_ms: float | None
    duration_s: float
    place: tuple[float, float] | None
    spots: Mapping[str, float]
    video: str | None
    has_way: bool = False
    way: float | None = None


@dataclass(frozen=True)
class Loaded:
    """A run as the leaderboard sees it.

    Attributes:
        name: ``<protocol folder>/<run folder>``.
        folder: where its videos are.
        manifest: as written.
        trials: the valid trials, each (condition, unit) once.
        invalid: trials excluded as invalid, by condition.
        head: hash of the last line: identifies the records.
        problems: why the run cannot count as valid; empty where it can.
        short: which part of its protocol it covers; empty where it is the whole.
        reproduced: trials that its policy did the same again, see ``benchmarks.verify``.
    """

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    trials: tuple[Seen, ...]
    invalid: Mapping[str, int]
    head: str
    problems: tuple[str, ...]
    short: tuple[str, ...] = ()
    reproduced: int = 0

    def cell(self, condition: str) -> dict[int, Seen]:
        """Return the valid trials of one condition by unit."""
        return {t.unit: t for t in self.trials if t.condition == condition}


def load_run(folder: Path) -> Loaded:
    """Read one run folder, whatever its state.

    A line that does not follow the one before ends the trials that are used.

    Raises:
        ValueError: nothing can be said about the run; the message gives the reason.
    """
    try:
        manifest = _manifest(folder)
        problems = verify_run(folder)
        records, head = _contents(folder, intact=not problems)
        trials = _unique([seen(r) for r in records if r["status"] == "valid"])
        invalid = Counter(str(r["key"]["condition"]) for r in records if r["status"] != "valid")
        problems += own_problems(manifest, trials, sum(invalid.values()))
        plan = Plan.from_json(manifest["plan"])
        short = () if state_of(manifest) else shortfall(manifest, plan)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"its records lack what the leaderboard needs ({error})") from error
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    more = len(problems) - SHOWN
    shown = problems[:SHOWN] + ([f"and {more} more problems"] if more > 0 else [])
    name = f"{folder.parent.name}/{folder.name}"
    again = 0 if problems else reproduced(folder)
    return Loaded(name, folder, manifest, trials, dict(invalid), head, tuple(shown), short, again)


def _manifest(folder: Path) -> Mapping[str, Any]:
    """Return the manifest with everything that rows need."""
    try:
        manifest = parse((folder / MANIFEST).read_bytes())
    except ValueError as error:
        raise ValueError(f"its manifest cannot be read ({error})") from error
    require(manifest)
    return dict(manifest)


def _contents(folder: Path, intact: bool) -> tuple[Sequence[Record], str]:
    """Return the trials and the head of their chain; of a broken run what is before the break."""
    if intact:
        run = read_run(folder)
        return run.trials, str((run.seal or {})["head"])
    head = digest((folder / MANIFEST).read_bytes())
    try:
        records, head, _ = read_chain(trial_bytes(folder), head)
    except ValueError:  # a broken archive: ``verify_run`` has said so
        return (), head
    return records, head


TEXTS = (
    *("world", "task", "track", "robot", "run", "protocol/id", "protocol/hash"),
    *("policy/name", "policy/algorithm"),
)
PARTS = ("policy/hashes", "policy/data", "policy/training", "execution", "versions", "machine")
MAYBE_TEXTS = ("policy/preset", "policy/data/fingerprint", "code/commit", "model_hash")
NUMBERS = (
    *("policy/seed", "policy/data/episodes"),
    *("policy/training/wall_s", "policy/training/parameters"),
)


def require(manifest: Mapping[str, Any]) -> None:
    """Check every entry of a manifest that rows are made of.

    Raises:
        KeyError: an entry is missing.
        TypeError: an entry is of a wrong type.
    """
    for path in TEXTS:
        _expect(_entry(manifest, path), str, path)
    for path in (*PARTS, "code"):
        for name, value in _expect(_entry(manifest, path), dict, path).items():
            hashed = path == "policy/hashes"
            _expect(value, (str, type(None)) if hashed else object, f"{path}/{name}")
    for path in MAYBE_TEXTS:
        _expect(_entry(manifest, path, None), (str, type(None)), path)
    for path in NUMBERS:
        value = _entry(manifest, path, None)
        if value is not None:
            _number(value)


_MISSING = object()


def _entry(manifest: Mapping[str, Any], path: str, default: object = _MISSING) -> Any:  # noqa: ANN401
    """Return the entry at ``a/b/c``, or the default where it is missing."""
    value: Any = manifest
    for name in path.split("/"):
        if name not in value:
            if default is _MISSING:
                raise KeyError(path)
            return default
        value = value[name]
    return value


def _expect(value: Any, kind: Any, path: str) -> Any:  # noqa: ANN401
    if not isinstance(value, kind):
        raise TypeError(f"{path} is {value!r}")
    return value


def seen(record: Record) -> Seen:
    """Return what the leaderboard uses of one trial; raise where a value has a wrong type."""
    key, quality, latency = record["key"], record["quality"], record["latency"]
    progress = _number(record["progress"])
    if not 0 <= progress <= 1:
        raise ValueError(f"progress must be 0..1, got {progress}")
    return Seen(
        condition=str(key["condition"]),
        unit=int(key["repeat"]) * REPEAT + int(key["ic"]),
        success=record["success"] is True,
        success_any=record["success_any"] is True,
        success_final=record["success_final"] is True,
        progress=progress,
        failure=None if record["failure"] is None else str(record["failure"]),
        tags=tuple(str(tag) for tag in record["tags"]),
        sparc=_optional(quality["sparc"]),
        path_ratio=_optional(quality["path_ratio"]),
        p50_ms=_optional(latency["p50_ms"]),
        p99_ms=_optional(latency["p99_ms"]),
        duration_s=_number(record["duration_s"]),
        place=_place(record["start"]),
        spots=_spots(record["start"]),
        video=None if record["video"] is None else str(record["video"]),
        has_way="way" in quality,
        way=_optional(quality.get("way")),
    )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _optional(value: object) -> float | None:
    return None if value is None else _number(value)


def _place(start: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return where the first object that is no target starts on the table."""
    names = sorted(name for name in start.get("objects", {}) if name != "target")
    if not names:
        return None
    pose = start["objects"][names[0]]
    return _number(pose[0]), _number(pose[1])


def _spots(start: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a start; of an object whose pose is no pose, none."""
    poses = start.get("objects", {})
    return spots({n: p for n, p in poses.items() if len(p) == 7 and np.isfinite(p).all()})


def _unique(trials: list[Seen]) -> tuple[Seen, ...]:
    """Keep the first trial of every (condition, unit); ``verify_run`` reports the others."""
    kept: dict[tuple[str, int], Seen] = {}
    for trial in trials:
        kept.setdefault((trial.condition, trial.unit), trial)
    return tuple(kept.values())


def own_problems(manifest: Mapping[str, Any], trials: Sequence[Seen], invalid: int) -> list[str]:
    """Check what the chain cannot: the protocol, the plan, too many invalid trials."""
    unknown = state_of(manifest)
    problems = [unknown] if unknown else []
    plan = Plan.from_json(manifest["plan"])
    if plan.split != TEST:
        problems.append(f"it was run on the {plan.split} split, not on the test")
    planned = set(plan.keys())
    ran = {(t.condition, t.unit) for t in trials if t.unit < REPEAT}
    if missing := len(planned - ran):
        problems.append(f"{missing} of {plan.trials} planned trials are missing")
    if extra := len(ran - planned):
        problems.append(f"{extra} trials are outside its plan")
    total = len(trials) + invalid
    if invalid > MAX_INVALID * total:
        problems.append(f"{100 * invalid / total:.0f} % of its trials are invalid (limit 10 %)")
    starts = manifest["policy"]["data"].get("starts")
    if seen_before := trained_on(starts, [trial.spots for trial in trials]):
        problems.append(f"{seen_before} of its trials start where a demonstration did")
    return problems
