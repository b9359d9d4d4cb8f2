"""A submitted run on arrival: checked in a folder of its own, then taken into the results."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.board_rows import row_reasons
from benchmarks.board_runs import load_run
from benchmarks.lines import digest, parse
from benchmarks.parcel import unpack_run
from benchmarks.records import MANIFEST, SEAL, starts_path, verify_run
from benchmarks.writer import refuse_disk_errors
from envs.errors import UsageError

PLAIN = re.compile(r"[^A-Za-z0-9.-]+")
"""What is no part of a protocol's folder: ``gym:Pendulum-v1`` is ``gym_Pendulum-v1``."""


@dataclass(frozen=True)
class Arrival:
    """A submitted run that passed.

    Attributes:
        name: ``<protocol>/<run>``.
        policy: its name.
        world: ``sim``, ``twin`` or ``real``: its tables.
        trials: valid ones.
        state: ``valid``, ``partial`` or ``preliminary``, as its row will be.
        reasons: why it is not valid.
        folder: where it was taken in; None where it was only checked.
        already: it was there, the same to the byte.
    """

    name: str
    policy: str
    world: str
    trials: int
    state: str
    reasons: tuple[str, ...]
    folder: Path | None = None
    already: bool = False


def accept(archive: Path, results: Path | None) -> Arrival:
    """Check a parcel and take its run into ``<results>/runs``; None: only check.

    Raises:
        UsageError: it breaks a rule of parcels, its records are not as sealed, it holds what the
            seal does not list, or another run of this name is there.
    """
    parent = None if results is None else Path(results) / "runs"
    if parent is not None:
        with refuse_disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".arrival-", dir=parent) as space:
        run = unpack_run(archive, Path(space).resolve())
        _check(run)
        found = _state(run)
        if parent is None:
            return found
        with refuse_disk_errors(parent):
            return _take(found, run, parent / run.parent.name / run.name)


def _check(run: Path) -> None:
    """Refuse a run whose files are not as sealed, or that is not where its manifest says."""
    problems = verify_run(run)
    if problems:
        raise UsageError(f"{run.name} is not as it was sealed: {'; '.join(problems[:3])}")
    manifest, seal = (parse((run / name).read_bytes()) for name in (MANIFEST, SEAL))
    protocol = PLAIN.sub("_", str(manifest["protocol"]["id"]))
    if not run.parent.name.startswith(protocol) or run.name != manifest.get("run"):
        raise UsageError(
            f"{run.parent.name}/{run.name} must be called {protocol}/{manifest.get('run')}, "
            "as its manifest says"
        )
    listed = {run / name for name in (SEAL, *seal["files"])} | {starts_path(run, seal["starts"])}
    present = {path for path in run.parent.rglob("*") if path.is_file()}
    if extra := sorted(path.name for path in present - listed):
        raise UsageError(f"{run.name} holds what its seal does not list: {', '.join(extra[:3])}")


def _state(run: Path) -> Arrival:
    """Return what the leaderboard will say of it."""
    try:
        loaded = load_run(run)
    except ValueError as error:
        raise UsageError(f"{run.name} says nothing to a leaderboard: {error}") from error
    manifest = loaded.manifest
    reasons = row_reasons([loaded]) or loaded.short
    state = "preliminary" if row_reasons([loaded]) else "partial" if loaded.short else "valid"
    policy, world = str(manifest["policy"]["name"]), str(manifest["world"])
    return Arrival(loaded.name, policy, world, len(loaded.trials), state, tuple(reasons))


def _take(found: Arrival, run: Path, place: Path) -> Arrival:
    """Move a run where it belongs, the starts first; what is there is never changed."""
    known = Arrival(**{**found.__dict__, "folder": place})
    if place.exists():
        if (place / SEAL).is_file() and _hash(place / SEAL) == _hash(run / SEAL):
            return Arrival(**{**known.__dict__, "already": True})
        raise UsageError(f"{place} is another run of this name: take this one into other --results")
    place.parent.mkdir(exist_ok=True)
    for starts in run.parent.glob("starts-*.xz"):
        if not (place.parent / starts.name).is_file():
            shutil.copyfile(starts, place.parent / starts.name)
    run.replace(place)
    return known


def _hash(path: Path) -> str:
    return digest(path.read_bytes())
