"""The records of a session: a sealed run folder for every policy, like any evaluation's.

They are of the world ``twin`` or ``real``, and so never in a table with simulation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.latency import NOT_TIMED
from benchmarks.lines import Record
from benchmarks.manifest import SEALED_BY, make_manifest, policy_entry, run_name
from benchmarks.protocol import NOMINAL, TEST, Plan
from benchmarks.records import MANIFEST, SEAL, read_manifest
from benchmarks.session.attempt import FINAL, Attempt
from benchmarks.session.driving import NO_QUALITY
from benchmarks.session.opening import Opened
from benchmarks.session.schedule import Planned
from benchmarks.session.state import State
from benchmarks.trial import actions_digest
from benchmarks.writer import RunWriter
from envs.atomic import write_whole
from envs.errors import UsageError
from policies.base import Policy

NOTHING: Mapping[str, Any] = {
    "automatic": {"success": None, "stage": 0, "failure": None},
    "steps": 0, "duration_s": 0.0, "quality": dict(NO_QUALITY), "latency": dict(NOT_TIMED),
    "lost_ticks": 0, "clamps": 0, "ends": "", "reason": "",
    "actions_sha256": actions_digest(np.zeros((0, 1), np.float32)),
    "final_sha256": actions_digest(np.zeros((0, 1), np.float32)),
}  # fmt: skip
"""Of an attempt that was void before the policy drove."""


def seal(opened: Opened, policies: list[Policy], state: State, arm: int) -> Path:
    """Write and seal the run of policy number ``arm``; a second call finds it sealed.

    Raises:
        UsageError: no block is complete, or the folder cannot be written.
    """
    if not state.complete:
        raise UsageError("no block is complete: there is nothing to seal")
    manifest = manifest_of(opened, policies[arm], state, arm)
    parent = Path(opened.lock.terms.results) / "runs" / opened.protocol.id.replace("/", "_")
    folder = parent / str(manifest["run"])
    if (folder / SEAL).is_file():
        if read_manifest(folder)["session"] != manifest["session"]:
            raise UsageError(f"{folder} is sealed, and of another session")
        return folder
    if (folder / MANIFEST).is_file():  # begun before a crash, maybe with other code
        manifest = read_manifest(folder)
    records = [
        record_of(opened, manifest, trial, attempt, number)
        for trial, number, attempt in attempts(state)
        if trial.arm == arm and trial.block < state.complete
    ]
    with RunWriter(folder, manifest) as writer:
        films = [_film(opened, folder, record) for record in records if record["video"]]
        writer.append(records[len(writer.trials) :])
        writer.seal(SEALED_BY, films)
    return folder


def attempts(state: State) -> list[tuple[Planned, int, Attempt]]:
    """Return all attempts in the order in which they were made: trial, number, attempt."""
    found = [
        (state.lock.planned(code), number, attempt)
        for code, tried in state.attempts.items()
        for number, attempt in enumerate(tried)
    ]
    return sorted(found, key=lambda item: item[2].order)


def manifest_of(opened: Opened, policy: Policy, state: State, arm: int) -> dict[str, Any]:
    """Return the manifest of a policy's run: of its complete blocks."""
    lock, driver = opened.lock, opened.key.drivers[arm]
    entry = policy_entry(driver.source, policy, driver.name)
    execution = lock.terms.wanted.execution(policy.spec)
    plan = Plan(TEST, ((NOMINAL, state.complete),))
    manifest = make_manifest(policy, entry, opened.protocol, plan, execution)
    real = {"model_hash": ""} if lock.terms.world == "real" else {}
    session = {
        "name": lock.terms.name,
        "lock": lock.hash,
        "seed": lock.terms.seed,
        "policies": lock.arms,
        "stopping": {"alpha": lock.terms.alpha, "n_max": lock.terms.blocks},
        "ended": state.ended,
        "operator": state.operator,
        "calibration": lock.body["calibration"],
        "permission": opened.permission[arm].to_json(),
    }
    manifest |= {"world": lock.terms.world, **real, "session": session}
    return {**manifest, "run": f"{run_name(manifest)}-{lock.hash[:6]}"}


def record_of(
    opened: Opened, manifest: Mapping[str, Any], trial: Planned, attempt: Attempt, number: int
) -> Record:
    """Return the record of an attempt; the operator's labels count."""
    ran = attempt.ran or NOTHING
    valid = attempt.step == FINAL
    labels: Mapping[str, Any] = attempt.labels if valid else NO_LABELS
    goal = len(opened.lock.stages)
    film = opened.folder / f"films/{trial.code}.mp4"
    return {
        "key": {
            "policy": manifest["policy"]["name"],
            "task": opened.protocol.task,
            "protocol": opened.protocol.id,
            "condition": NOMINAL,
            "ic": trial.ic,
            "repeat": 0,
        },
        "seeds": opened.protocol.seeds(trial.ic),
        "start": opened.start(trial.ic).to_json(),
        "status": "valid" if valid else "invalid",
        "reason": (ran["reason"] or None) if valid else (attempt.void or "not finished"),
        "success": labels["success"],
        "success_any": labels["success"],
        "success_final": labels["success"],
        "stage": labels["stage"],
        "progress": labels["stage"] / goal,
        "failure": labels["failure"],
        "tags": [],
        **{name: ran[name] for name in COPIED},
        "video": f"videos/{trial.code}.mp4" if valid and film.is_file() else None,
        "operator": {**labels, "who": attempt.who} if valid else None,
        "automatic": dict(ran["automatic"]),
        "placed": dict(attempt.placed),
        "accepted": attempt.accepted,
        "permission": manifest["session"]["permission"],
        "session": {
            "code": trial.code, "block": trial.block, "order": attempt.order, "attempt": number,
        },
    }  # fmt: skip


NO_LABELS: Mapping[str, Any] = {"success": False, "stage": 0, "failure": None}

COPIED = (
    *("steps", "duration_s", "quality", "latency", "clamps", "lost_ticks"),
    *("actions_sha256", "final_sha256"),
)
"""What a record takes from what ran."""


def _film(opened: Opened, folder: Path, record: Record) -> str:
    """Copy the film of a trial into its run; return its name there."""
    name: str = record["video"]
    write_whole(folder / name, (opened.folder / "films" / Path(name).name).read_bytes())
    return name
