"""The log of a deployment, read again: outcomes, interventions, recoveries."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.arm import ArmSpec, Array, InitialCondition
from envs.episode import Episode, episode_files, fingerprint, inspect_file, read_episode
from envs.errors import UsageError
from envs.marks import Marks
from envs.recorder import INTERRUPTED
from envs.robots import ROBOTS
from real.teleop.album import FAILED

INTERVENTION, RECOVERY, SUCCESS = "intervention", "recovery", "success"
KINDS = (INTERVENTION, RECOVERY, SUCCESS)
"""What of a log can be learned from: a person's steps, the policy's own second try, all of it."""
SHUT = 0.5
"""Opening below which a gripper closes."""


@dataclass(frozen=True)
class Entry:
    """One logged episode.

    Attributes:
        path: its file.
        fingerprint: of its content.
        index: its number in the log.
        start: where it began.
        success: whether it succeeded, whoever drove.
        failure: label where it did not.
        policy: hash of the artefact that drove.
        sim: whether it was on a twin.
        interventions: first step and end of every stretch that a person drove.
        recovery: from where on the policy tried again, and succeeded; None where it did not have
            to, or a person helped.
        steps: control periods.
    """

    path: Path
    fingerprint: str
    index: int
    start: InitialCondition | None
    success: bool
    failure: str
    policy: str
    sim: bool
    interventions: tuple[tuple[int, int], ...]
    recovery: int | None
    steps: int

    @property
    def alone(self) -> bool:
        """Whether the policy succeeded without help."""
        return self.success and not self.interventions

    @property
    def outcome(self) -> str:
        """How it ended, for a table: by the policy alone, with help, or the failure's label."""
        if self.alone:
            return "success" if self.recovery is None else "success at the second try"
        return "success with help" if self.success else self.failure or "other"

    @property
    def kind(self) -> str:
        """What of it can be learned from; empty: nothing."""
        if not self.success:
            return ""
        if self.interventions:
            return INTERVENTION
        return SUCCESS if self.recovery is None else RECOVERY


def read_entries(logs: Sequence[Path], closings: int) -> list[Entry]:
    """Read the whole episodes of some deployments; those cut off are left out.

    Args:
        logs: folders of ``armtrials deploy``.
        closings: how often a gripper closes in a demonstration; more often is a second try.

    Raises:
        UsageError: a folder that is no log.
    """
    found = [entry for log in logs for path in _files(log) for entry in _entry(path, closings)]
    if not found:
        raise UsageError(f"{', '.join(map(str, logs))}: no episode in it ran to its end")
    return sorted(found, key=lambda one: (str(one.path.parent), one.index))


def _files(log: Path) -> Iterator[Path]:
    """Yield the episodes of a log, failures too."""
    failed = log / FAILED
    paths = [p for folder in (log, failed) for p in sorted(folder.glob("*.hdf5"))]
    if not paths:
        raise UsageError(f"{log}: must be a log of armtrials deploy, and holds no episode")
    yield from paths


def _entry(path: Path, closings: int) -> Iterator[Entry]:
    episode = read_episode(path)
    meta, log = episode.meta, episode.log
    if log is None or not meta.deployment:
        raise UsageError(f"{path}: is a demonstration, not an episode that armtrials deploy logged")
    if meta.failure == INTERRUPTED:
        return
    spec = ROBOTS[meta.robot].spec()
    again = None if log.interventions or not meta.success else second_try(episode, spec, closings)
    yield Entry(
        path, fingerprint(episode), int(meta.index or 0), meta.start, bool(meta.success),
        meta.failure, str(json.loads(meta.deployment)["policy"]["artefact"]), meta.sim,
        tuple(log.interventions), again, len(episode),
    )  # fmt: skip


def closings_of(actions: Array, arm: ArmSpec) -> list[int]:
    """Return the steps at which a gripper is told to close, the first step left out."""
    shut = actions[:, list(arm.grippers)] < SHUT
    steps = np.flatnonzero((shut[1:] & ~shut[:-1]).any(axis=1)) + 1
    return [int(step) for step in steps]


def usual_closings(data: Path) -> int:
    """Return how often a gripper closes in a demonstration of ``data``, at most."""
    most = 0
    for path in episode_files(data):
        meta = inspect_file(path).meta
        if meta.success is False:
            continue
        episode = read_episode(path, ())
        most = max(most, len(closings_of(episode.actions, ROBOTS[meta.robot].spec())))
    return most


def second_try(episode: Episode, arm: ArmSpec, closings: int) -> int | None:
    """Return from which step on an episode makes up for what went wrong in it, or None.

    A gripper that closes once more than in any demonstration had missed or lost its object: from
    where it opens again, what the policy does is a correction.
    """
    found = closings_of(episode.actions, arm)
    if len(found) <= closings:
        return None
    before = found[-closings - 1] if closings else found[-1]
    grippers = list(arm.grippers)
    opened = (episode.actions[before:, grippers] >= SHUT).any(axis=1)
    return before + int(np.argmax(opened))


def lesson(entry: Entry) -> Episode:
    """Return what of a logged episode is to be learned, as a demonstration.

    Of an intervention these are the person's steps, of a recovery those from the second try on;
    the others stay, for what was seen before, and are not learned.

    Raises:
        ValueError: nothing of it is to be learned.
    """
    if not entry.kind:
        raise ValueError(f"{entry.path}: nothing is to be learned from a failure")
    episode = read_episode(entry.path)
    steps: Sequence[tuple[int, int]] = ((0, len(episode)),)
    marks = None
    if entry.kind != SUCCESS:
        steps = entry.interventions or ((entry.recovery or 0, len(episode)),)
        asked = np.zeros(len(episode), bool)
        for begin, end in steps:
            asked[begin:end] = True
        marks = Marks(episode.actions, asked, asked)
    told: dict[str, Any] = json.loads(episode.meta.deployment)
    source = {**source_of(entry), "steps": [list(pair) for pair in steps]}
    about = json.dumps({"policy": told["policy"], "taken": source}, sort_keys=True)
    meta = replace(episode.meta, deployment=about)
    return replace(episode, marks=marks, log=None, meta=meta)


def source_of(entry: Entry) -> dict[str, Any]:
    """Return, for a ledger, which episode of which log it is."""
    return {
        "log": str(entry.path.parent),
        "episode": entry.index,
        "fingerprint": entry.fingerprint,
        "policy": entry.policy,
    }
