"""What a run was made with: written before its first trial."""

import functools
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.execution import Execution
from benchmarks.lines import canonical, digest
from benchmarks.protocol import EvalProtocol, Plan
from benchmarks.records import MANIFEST, SCHEMA, made_in, read_manifest
from envs.gl import choose_backend
from envs.tasks import TASKS
from envs.world import world
from policies.base import Policy
from policies.checkpoint import manifest_entry
from policies.floors import FLOOR

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("envs", "policies", "real", "benchmarks", "scripts")


def package_version(name: str) -> str:
    """Return the installed version of a distribution, or ``unknown``."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


SEALED_BY = f"armtrials {package_version('armtrials')}"


def make_manifest(
    policy: Policy,
    entry: Mapping[str, Any],
    protocol: EvalProtocol,
    plan: Plan,
    execution: Execution,
) -> dict[str, Any]:
    """Describe a run: the same command on the same machine gives the same manifest.

    Args:
        policy: as loaded.
        entry: what is known of the policy: see ``policy_entry``.
        protocol: what is run.
        plan: which part of it.
        execution: how chunks are carried out.
    """
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "world": protocol.world,
        "protocol": {
            "id": protocol.id,
            "hash": protocol.hash,
            "definition": protocol.definition(),
        },
        "plan": plan.to_json(),
        "task": protocol.task,
        "track": policy.spec.track,
        "robot": protocol.robot,
        "policy": dict(entry),
        "execution": {"chunk": policy.spec.chunk, **execution.to_json()},
        "versions": versions(policy.spec.track == "pixels"),
        "model_hash": world(TASKS[protocol.task], protocol.robot).model_hash,
        "code": code_state(),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count() or 1},
    }
    return {**manifest, "run": run_name(manifest)}


def run_name(manifest: Mapping[str, Any]) -> str:
    """Name a run by what decides its trials: ``act-s0-1a2b3c4d5e``."""
    policy = manifest["policy"]
    remote = {"remote": True} if policy.get("remote") else {}
    identity = {
        "policy": {k: policy[k] for k in ("name", "algorithm", "seed", "hashes")} | remote,
        "protocol": manifest["protocol"]["hash"],
        **{k: manifest[k] for k in ("world", "robot", "plan", "execution")},
    }
    seed = "" if policy["seed"] is None else f"s{policy['seed']}-"
    return f"{file_name(policy['name'])}-{seed}{digest(canonical(identity))[:10]}"


def file_name(name: str) -> str:
    """Return a policy's name as a folder may be called."""
    return "".join(c if c.isalnum() or c in "-._" else "-" for c in name)


def place_run(parent: Path, manifest: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Return the folder of a run and its manifest, which names it.

    The same trials in another simulated world (its model changed, or what draws its pictures) are
    another run: its name ends with the hash of that world, and the folder of the first stays.

    Raises:
        UsageError: the folder holds a broken manifest.
    """
    folder = parent / manifest["run"]
    if (folder / MANIFEST).is_file() and made_in(read_manifest(folder)) != made_in(manifest):
        folder = parent / f"{folder.name}-{digest(canonical(made_in(manifest)))[:6]}"
    return folder, {**manifest, "run": folder.name}


def policy_entry(source: str, policy: Policy, name: str | None) -> dict[str, Any]:
    """Return the manifest's entry of a policy from its checkpoint folder, or of a floor.

    Args:
        source: checkpoint folder or ``floor:<kind>``.
        policy: as loaded from it.
        name: row on the leaderboard, or None for the policy's own name.
    """
    entry = manifest_entry(policy)
    if source.startswith(FLOOR):
        kind = source.removeprefix(FLOOR).partition(":")[0]
        data = dict(getattr(policy, "data", {}))
        hashes = {"weights": digest(canonical({"floor": kind, "data": data}))}
        entry |= {"preset": "", "seed": 0, "hashes": hashes, "data": data, "training": {}}
    return {**entry, "name": name or policy.name}


def versions(renders: bool) -> dict[str, str]:
    """Return the versions that can change a trial, and the renderer where frames matter."""
    found = {name: package_version(name) for name in ("numpy", "torch", "mujoco", "armtrials")}
    renderer = choose_backend() if renders else "none"
    return {"python": platform.python_version(), **found, "renderer": renderer}


def code_state() -> dict[str, Any]:
    """Return the commit of the source and whether it was edited since; None outside of git."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *SOURCES)
    return {"commit": commit, "dirty": bool(changed)}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@functools.cache
def cpu_name() -> str:
    """Return the processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
