"""Trials in somebody else's environment: the records of any other run, a protocol of their own.

The protocol is nominal: the environment as it comes, each trial from a seed that follows from the
protocol and the number of the trial, the same for every policy. Its definition says how success is
read, so runs that judge differently are never in one table.
"""

import functools
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.execution import Execution
from benchmarks.film import format_of
from benchmarks.foreign_film import UnfilmableError, film_foreign, why_not
from benchmarks.foreign_protocol import ForeignProtocol
from benchmarks.foreign_trial import ForeignRunner
from benchmarks.lines import Record
from benchmarks.manifest import (
    code_state,
    cpu_name,
    package_version,
    place_run,
    policy_entry,
    run_name,
)
from benchmarks.manifest import versions as common_versions
from benchmarks.protocol import TEST, Plan, Wave, make_plan
from benchmarks.records import SCHEMA
from benchmarks.run import EvaluateConfig, Job, Piece, Workers, execution_of, load_unplaced
from benchmarks.trajectories import trajectory
from benchmarks.trial import WaveResult
from benchmarks.writer import refuse_disk_errors
from envs.adapters import Foreign, adapt
from envs.errors import UsageError
from envs.executor import Executor
from envs.local_workers import LOCAL
from envs.pool import Pool
from envs.success import Success
from policies.base import Policy
from policies.checkpoint import Deployment, check_compatible, load_policy
from policies.floors import FLOOR

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForeignConfig(EvaluateConfig):
    """What to evaluate in which environment; ``protocol`` does not apply.

    Attributes:
        env: ``gym:<id>`` or ``dm:<domain>/<task>``.
        success: an ``info`` key, ``return>NUMBER`` or ``return>=NUMBER``.
        horizon: steps until an episode is cut off, where the environment's own limit is longer.
    """

    env: str = ""
    success: str = ""
    horizon: int | None = None


@dataclass(frozen=True)
class ForeignJob(Job):
    """A run in a foreign environment."""

    own: ForeignProtocol
    foreign: ForeignConfig

    @property
    def protocol(self) -> ForeignProtocol:
        """The protocol that is run."""
        return self.own


def prepare_foreign(config: ForeignConfig, say: Callable[[str], None] = log.info) -> ForeignJob:
    """Make the environment, load the policy and name the run, without writing anything.

    Args:
        config: what and how.
        say: told why there will be no videos, where an environment cannot be filmed.

    Raises:
        UsageError: an unknown environment, a success that cannot be read, or a policy that was
            made for something else.
    """
    env = adapt(config.env, config.horizon, draws=config.videos != "none")
    protocol = ForeignProtocol.of(env, Success(config.success))
    policy = load_for(config, env)
    plan = make_plan(protocol, policy.spec.track, config.conditions, config.trials, config.split)
    execution = execution_of(config, policy.spec)
    manifest = _manifest(config, env, policy, (protocol, plan, execution))
    kind = "runs" if config.split == TEST else config.split
    place = re.sub(r"[^A-Za-z0-9.-]+", "_", protocol.id)
    parent = Path(config.results) / kind
    reason = None if config.videos == "none" else why_not(env)
    env.close()
    if reason is not None:
        say(f"no videos: {reason}")
        config = replace(config, videos="none")
    folder, manifest = place_run(parent / f"{place}-{protocol.hash[:8]}", manifest)
    return ForeignJob(config, plan, execution, manifest, folder, protocol, config)


def load_for(config: ForeignConfig, env: Foreign) -> Policy:
    """Load the policy to act in ``env``; refuse one that reads or sends something else."""
    if config.policy.startswith(FLOOR):
        return load_policy(config.policy, Deployment(env.spec, env.name, config.track))
    policy = load_unplaced(config)
    check_compatible(policy.spec, Deployment(env.spec, env.name, policy.spec.track))
    if policy.spec.language:
        raise UsageError(
            f"{policy.name} acts on an instruction, and {env.name} gives none: it acts in tasks of "
            "ArmTrials, which say what is asked"
        )
    for key, shape in policy.spec.observations.items():
        if env.shapes.get(key) != shape:
            known = ", ".join(f"{k} {v}" for k, v in env.shapes.items())
            raise UsageError(f"the policy reads {key} {shape}, {env.name} gives {known}")
    return policy


def foreign_workers(count: int, executor: Executor = LOCAL) -> Workers:
    """Return ``count`` processes that do the waves of foreign runs; use it in a ``with``."""
    return Pool(_ready, count, executor)


def _ready() -> Callable[[Piece], WaveResult | str | None]:
    return _work


def _work(piece: Piece) -> WaveResult | str | None:
    """Run a wave or film a trial, in a worker process; return why there is no film."""
    job, what = piece.job, piece.what
    if not isinstance(job, ForeignJob):
        raise ValueError(f"not a piece of a foreign run: {piece}")
    return _runner(job).run(what) if isinstance(what, Wave) else _film(job, what)


def _film(job: ForeignJob, record: Record) -> str | None:
    """Film a trial in an environment of its own; return the reason where that cannot be."""
    actions = trajectory(job.folder, record, job.execution.batch)
    env = adapt(job.foreign.env, job.foreign.horizon, draws=True)
    try:
        with refuse_disk_errors(job.folder):
            film_foreign(
                env, record, actions, job.folder / record["video"], format_of(job.config.videos)
            )
    except UnfilmableError as error:
        return str(error)
    finally:
        env.close()
    return None


@functools.lru_cache(maxsize=1)
def _runner(job: ForeignJob) -> ForeignRunner:
    config = job.foreign
    make = functools.partial(adapt, config.env, config.horizon)
    policy = load_for(config, make())
    return ForeignRunner(
        policy,
        job.manifest["policy"]["name"],
        job.own,
        job.execution,
        config.split,
        make,
    )


def _manifest(
    config: ForeignConfig,
    env: Foreign,
    policy: Policy,
    what: tuple[ForeignProtocol, Plan, Execution],
) -> dict[str, Any]:
    protocol, plan, execution = what
    package = type(env.env.unwrapped).__module__.partition(".")[0]
    makers = {"gymnasium", "dm_control" if package == "envs" else package} - {"envs"}
    packages = {name: package_version(name) for name in sorted(makers)}
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "world": "sim",
        "protocol": {"id": protocol.id, "hash": protocol.hash, "definition": protocol.definition()},
        "plan": plan.to_json(),
        "task": protocol.task,
        "track": policy.spec.track,
        "robot": protocol.robot,
        "policy": policy_entry(config.policy, policy, config.name),
        "execution": {"chunk": policy.spec.chunk, **execution.to_json()},
        "versions": {**common_versions(policy.spec.track == "pixels"), **packages},
        "model_hash": None,
        "code": code_state(),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count() or 1},
    }
    return {**manifest, "run": run_name(manifest)}
