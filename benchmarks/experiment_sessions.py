"""An experiment on an arm: its policies are trained here, and tried by sessions at the arm.

A session knows its policies by their files, so they are matched to the cells by the hash of their
weights, wherever their folders lie now.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.evaluated import valid
from benchmarks.execution import Wanted
from benchmarks.experiment import Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Conclusion
from benchmarks.experiment_run import (
    PROVENANCE,
    Bar,
    Place,
    check_algorithms,
    checkpoint_of,
    compared,
    make,
    run_of,
    summed,
    work_of,
)
from benchmarks.records import Run, read_run, verify_run
from benchmarks.session.closed import Closed
from benchmarks.session.closing import read_closed
from envs.errors import UsageError
from policies.checkpoint_files import MODEL

FAR = 1_000_000
"""Distance of the numbers of the starts of two sessions: only trials of one session are a pair."""


@dataclass(frozen=True)
class Tried:
    """What sessions tried of an experiment.

    Attributes:
        results: of every cell, in the order of the grid; those that nobody tried have no trials.
        sessions: what is told of each session, as JSON.
        said: sentences for the page.
    """

    results: Sequence[Result]
    sessions: Sequence[Mapping[str, Any]] = ()
    said: Sequence[str] = ()

    def told_by(self, experiment: Experiment) -> Experiment:
        """Return ``experiment`` with what is told of the sessions among its conclusions."""

        def conclude(ask: Ask, results: Sequence[Result]) -> Conclusion:
            found = experiment.conclude(ask, results)
            return replace(found, said=[*self.said, *found.said], sessions=self.sessions)

        return replace(experiment, conclude=conclude)


def train_for(experiment: Experiment, ask: Ask, place: Place, bar: Bar) -> Tried:
    """Train the policies of all cells that are missing; none of them is tried.

    Raises:
        UsageError: an algorithm that cannot be trained so, before anything is made; from the grid
            or the trainings: what was completed is kept.
    """
    check_algorithms(experiment, ask)
    cells = experiment.grid(ask)
    make(work_of(cells), place, bar, ask.real)
    return Tried([_untried(experiment, cell, place) for cell in cells])


def read_sessions(experiment: Experiment, ask: Ask, place: Place, folders: Sequence[Path]) -> Tried:
    """Return what closed sessions say of the cells; nothing is trained.

    Raises:
        UsageError: a session that is not closed, was edited, is of another task, arm or policies,
            is named twice, or of another world than the first.
    """
    cells = experiment.grid(ask)
    weights = {cell.key: _weights(checkpoint_of(cell, place.root)) for cell in cells}
    known = {sha for sha in weights.values() if sha}
    read = [_read(folder, ask.protocol) for folder in folders]
    _check_alike(read)
    for one in read:
        if not known & set(one.runs):
            raise UsageError(
                f"{one.closed.folder} is of other policies: none of {', '.join(one.names)} has "
                f"the weights of a cell in {place.root}; give the options and the --out that the "
                "cells were trained with"
            )
    results = [_result(experiment, cell, weights[cell.key], read, place) for cell in cells]
    return Tried(compared(results), [_about(one) for one in read], _said(ask, read, known))


@dataclass(frozen=True)
class _Session:
    """A closed session, and its sealed runs by the hash of their policy's weights."""

    closed: Closed
    runs: Mapping[str, Run] = field(repr=False)

    @property
    def names(self) -> list[str]:
        return sorted(self.closed.policies)

    @property
    def world(self) -> str:
        return self.closed.world

    @property
    def where(self) -> str:
        """The world, and of a twin how it differs from the simulation."""
        gap = str(self.closed.lock["terms"]["reach"].get("gap", "none"))
        return self.world if gap == "none" else f"{self.world} (gap {gap})"

    @property
    def execution(self) -> str:
        """How chunks were carried out, where it was not as the checkpoints say."""
        given = Wanted(**self.closed.lock["terms"].get("execution", {})).to_json()
        return ", ".join(f"{name} {value}" for name, value in given.items()) or "as saved"


def _read(folder: Path, protocol: str) -> _Session:
    """Read a closed session of ``protocol``."""
    closed = read_closed(folder)
    terms = closed.lock["terms"]
    if terms["protocol"] != protocol:
        raise UsageError(
            f"{folder} is of another task or arm: {terms['protocol']} on the {terms['robot']}; "
            f"the demonstrations are of {protocol}"
        )
    if not closed.runs:
        raise UsageError(f"{folder}: no block of it was complete, so it has no trial that counts")
    runs: dict[str, Run] = {}
    for name, path in closed.runs.items():
        found = read_run(path)
        manifest = found.manifest
        problems = verify_run(path)
        if (manifest["session"]["lock"], manifest["world"]) != (closed.lock["hash"], closed.world):
            problems = [f"it is not of this session and the world {closed.world!r}"]
        if problems:
            raise UsageError(f"{folder}: its run {path} cannot be used: {problems[0]}")
        sha = str(manifest["policy"]["hashes"]["weights"])
        if sha in runs:
            raise UsageError(f"{folder} tried the weights of {name} under two names")
        runs[sha] = found
    return _Session(closed, runs)


def _check_alike(read: Sequence[_Session]) -> None:
    """Refuse sessions of several worlds, and one that is named twice."""
    for i, one in enumerate(read):
        folder, first = one.closed.folder, read[0]
        if one.where != first.where:
            raise UsageError(
                f"{folder} is of the world {one.where}, {first.closed.folder} of {first.where}: "
                "they are never in one table; give them to a command each"
            )
        if one.execution != first.execution:
            raise UsageError(
                f"{folder} carried chunks out otherwise ({one.execution}) than "
                f"{first.closed.folder} ({first.execution}): give them to a command each"
            )
        if one.closed.lock["hash"] in [other.closed.lock["hash"] for other in read[:i]]:
            raise UsageError(f"{folder} is the same session as one before it: name it once")


def _weights(policy: Path) -> str:
    """Return the hash of a checkpoint's weights; empty where it is not trained here."""
    path = policy / PROVENANCE
    return str(json.loads(path.read_text())["hashes"][MODEL]) if path.is_file() else ""


def _untried(experiment: Experiment, cell: Cell, place: Place) -> Result:
    """Return the result of a cell that nobody tried, maybe without a checkpoint."""
    policy = checkpoint_of(cell, place.root)
    if (policy / PROVENANCE).is_file():
        return summed(experiment, cell, policy, [], [])
    return Result(cell, "", 0, 0, 0.0, 1.0, {}, None, None, {"flags": [], "ics": []})


def _result(
    experiment: Experiment, cell: Cell, sha: str, read: Sequence[_Session], place: Place
) -> Result:
    """Sum up the trials of a cell in all sessions; void ones say nothing."""
    found = [(number, one.runs[sha]) for number, one in enumerate(read) if sha in one.runs]
    if not found:
        return _untried(experiment, cell, place)
    pairs = [
        (number * FAR + int(trial["key"]["ic"]), trial)
        for number, run in found
        for trial in valid(run.trials)
    ]
    policy = checkpoint_of(cell, place.root)
    ids, trials = [number for number, _ in pairs], [trial for _, trial in pairs]
    result = summed(experiment, cell, policy, trials, ids)
    names = ", ".join(run_of(run.folder) for _, run in found)
    return replace(result, run=names, world=read[0].world)


def _about(one: _Session) -> dict[str, Any]:
    """Return what is told of a session."""
    closed = one.closed
    return {
        "folder": str(closed.folder),
        "name": closed.name,
        "lock": closed.lock["hash"],
        "world": closed.world,
        "reach": dict(closed.lock["terms"]["reach"]),
        "calibration": closed.lock["calibration"],
        "blocks": len({trial.block for trial in closed.trials if trial.counted}),
        "planned": closed.lock["terms"]["blocks"],
        "execution": one.execution,
        "void": sum(bool(trial.void) for trial in closed.trials),
        "deviations": len(closed.deviations),
        "ended": closed.ended,
        "started": closed.started,
        "ended_at": closed.ended_at,
    }


def _said(ask: Ask, read: Sequence[_Session], known: set[str]) -> list[str]:
    """Say how the trials were made."""
    said = []
    for one in read:
        about = _about(one)
        said.append(
            f"session {about['name']}, {one.where}, {about['started'][:10]}: {about['blocks']} "
            f"complete blocks, {about['void']} void attempts that count for nothing, "
            f"{about['deviations']} deviations; chunks carried out: {one.execution}; it ended: "
            f"{about['ended']}"
        )
        if about["blocks"] < about["planned"]:
            said.append(
                f"it ended before its {about['planned']} blocks, which the intervals take no "
                "account of"
            )
        others = [name for name in one.names if _sha(one, name) not in known]
        if others:
            said.append(f"it also tried {', '.join(others)}: of no cell here, left out")
    if ask.real is not None and ask.real.sim and read[0].world == "real":
        said.append(
            "the demonstrations were not recorded on a real arm, by their own metadata, and the "
            "trials are real: fine-tuning was on another arm than the one that was tried"
        )
    return said


def _sha(one: _Session, name: str) -> str:
    return str(one.closed.policies[name]["hashes"]["weights"])
