"""What can be said of a checkpoint without running it: files, specification, statistics."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gate.check import Check, failed, passed, skipped
from benchmarks.gate.recorded import learned_of
from benchmarks.trial import check_seen
from envs.arm import ArmSpec
from envs.errors import UsageError
from envs.task import Task
from policies.checkpoint import stored_observations
from policies.dataset import EpisodeSet
from policies.normalize import Normalizer, Stats
from policies.offsets import action_stats
from policies.trained import LearnedPolicy, scaled
from policies.windows import Sampler

SAME = 1e-5
"""Largest relative difference of statistics that are the same."""

NO_BASE = (
    "the policy keeps the scaling of the demonstrations that it was pre-trained on: name their "
    "folders with --base-data, in the order of that training"
)
UNTOLD = "it began with another checkpoint, and does not tell whose scaling it keeps: train it anew"
TWO_ARMS = "its scaling is of the demonstrations of two arms: {}"

LOADING = (
    ("does not act as when it was saved", "canary", "acts otherwise than when it was saved"),
    ("statistics of another data set", "statistics", "statistics of another data set"),
    ("cannot be read", "artefact", "a file is missing"),
    (
        "is not the file this checkpoint",
        "artefact",
        "a file was edited or truncated",
    ),
    ("two checkpoints are mixed", "artefact", "files of two checkpoints"),
)


def check_loading(error: UsageError) -> Check:
    """Say which check a checkpoint that does not load has failed."""
    told = str(error)
    for text, name, cause in LOADING:
        if text in told:
            return failed(name, cause, told)
    return failed("artefact", "broken file", told)


def check_spec(policy: LearnedPolicy, task: Task, arm: ArmSpec) -> Check:
    """Compare what the policy was made for with where it is to act."""
    spec = policy.spec
    pairs = (
        ("another task's policy", spec.task, task.name),
        ("another robot's policy", spec.arm, arm.name),
        ("joint order", spec.joints, arm.joints),
        ("wrong rate", spec.control_hz, arm.control_hz),
    )
    for cause, found, wanted in pairs:
        if found != wanted:
            told = f"it was made for {_told(found)}, this is {_told(wanted)}"
            return failed("artefact", cause, told)
    try:
        check_seen(spec, task, arm)
    except UsageError as error:
        return failed("artefact", "another task's policy", str(error))
    shown = {"files": [{"file": k, "SHA-256": v} for k, v in policy.provenance["hashes"].items()]}
    told = f"every file is as saved; made for {spec.task} on {spec.arm}, {spec.track} track"
    return passed("artefact", told, **shown)


def _told(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def check_statistics(
    policy: LearnedPolicy,
    data: EpisodeSet,
    offsets: tuple[int, ...],
    base: EpisodeSet | None = None,
    base_told: str = "",
) -> Check:
    """Compute the statistics of the training split anew and compare.

    Args:
        policy: as loaded.
        data: the demonstrations it is said to have learned from.
        offsets: columns of an action that are learned as offsets.
        base: those that it was pre-trained on, where it kept their scaling.
        base_told: why there is no ``base``.
    """
    name, origin = "statistics", policy.provenance["data"]
    if other := _others(origin, data):
        return other
    began = "initial" in policy.provenance.get("identity", {})
    kept = policy.provenance.get("scaling", {} if began else None)
    if kept is not None:
        if base is None or not kept.get("fingerprint"):
            return skipped(name, f"not run: {_why_none(kept, base_told)}")
        if other := _others(kept, base):
            return other
        origin, data = kept, base
    train = learned_of(origin, data)
    mine = policy.normalizer.stats
    worst, key = _difference(mine, _stats(policy, data, train, offsets))
    if worst <= SAME:
        whose = "" if kept is None else " that it was pre-trained on"
        told = f"equal to those of the {len(train)} training episodes{whose}, computed anew"
        return passed(name, told, keys=sorted(mine.keys), **{"largest difference": worst})
    every, _ = _difference(mine, _stats(policy, data, tuple(range(len(data))), offsets))
    cause = "statistics over held-out episodes, too" if every <= SAME else "wrong statistics"
    told = f"{key} differs by {worst:.2g} of its spread from the training split's: {cause}"
    return failed(name, cause, told, key=key)


def _why_none(kept: Mapping[str, Any], told: str) -> str:
    """Say why there is nothing to hold a scaling that was kept against."""
    if arms := kept.get("arms"):
        return TWO_ARMS.format(", ".join(arms))
    return told or NO_BASE if kept else UNTOLD


def _others(origin: Mapping[str, Any], data: EpisodeSet) -> Check | None:
    """Refuse demonstrations that are not those that the checkpoint names."""
    named = str(origin.get("fingerprint"))
    if named == data.fingerprint:
        return None
    told = "the demonstrations are not those that the checkpoint names, or in another order"
    if "stream" in origin:
        told = "the checkpoint learned from a stream, which is made again: leave --data out"
    return failed("statistics", "other training data", told, ours=data.fingerprint[:16],
                  checkpoint=named[:16])  # fmt: skip


def _stats(
    policy: LearnedPolicy, data: EpisodeSet, episodes: tuple[int, ...], offsets: tuple[int, ...]
) -> Stats:
    rows = data.steps(episodes)
    found = EpisodeSet.stats(_of(data, episodes))
    if offsets and len(rows):
        spec = policy.spec
        windows = Sampler(data, episodes, spec.n_obs, spec.chunk, offsets)
        found = Stats({**found.keys, "action": action_stats(windows)})
    if policy.spec.language and "scaling" in policy.provenance:  # one scale for all objects
        return scaled(Normalizer(found, policy.normalizer.mode), policy.spec).stats
    return found


def _of(data: EpisodeSet, episodes: tuple[int, ...]) -> EpisodeSet:
    return replace(data, train=episodes)


def _difference(mine: Stats, other: Stats) -> tuple[float, str]:
    """Return the largest difference in shares of the spread, and where it is."""
    worst, where = 0.0, ""
    for key, ours in mine.keys.items():
        theirs = other.keys.get(key)
        if theirs is None or len(theirs.mean) != len(ours.mean):
            return float("inf"), key
        scale = np.maximum(np.array(theirs.std), 1e-2)
        for what in ("minimum", "maximum", "mean", "std"):
            gap = np.abs(np.array(getattr(ours, what)) - np.array(getattr(theirs, what))) / scale
            if gap.max() > worst:
                worst, where = float(gap.max()), key
    return worst, where


def check_canary(policy: LearnedPolicy, folder: Path) -> Check:
    """Say that the stored observation was answered as stored: loading compares it."""
    keys = sorted(stored_observations(folder))
    told = "the stored observations are answered as when the checkpoint was saved"
    return passed("canary", told, observations=keys)
