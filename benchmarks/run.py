"""One run: a policy on a protocol, from the checkpoint to a sealed folder of records.

The work is cut into waves of trials that never depend on each other, so any number of processes
gives the same records. What is on disk is always a prefix of the plan: a run that was interrupted
goes on where it stopped when the same command is given again.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import film
from benchmarks.evaluated import Evaluated, valid
from benchmarks.execution import Execution, Wanted
from benchmarks.lines import Record
from benchmarks.manifest import SEALED_BY, make_manifest, place_run, policy_entry
from benchmarks.protocol import BATCH, PROTOCOLS, TEST, EvalProtocol, Plan, Wave, make_plan
from benchmarks.records import MANIFEST, SEAL, read_manifest
from benchmarks.trajectories import trajectory, write_trajectories
from benchmarks.trial import Runner, WaveResult, check_seen
from benchmarks.writer import RunWriter, refuse_disk_errors
from envs.errors import UsageError
from envs.executor import Executor
from envs.local_workers import LOCAL
from envs.pool import Pool
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.base import Policy, PolicySpec
from policies.checkpoint import Deployment, check_compatible, load_policy
from policies.floors import FLOOR
from policies.remote import PATIENCE_S, RemotePolicy
from policies.trained import placed

log = logging.getLogger(__name__)

Progress = Callable[[int], None]
"""Called with a number of trials (or films) that are done."""


@dataclass(frozen=True)
class EvaluateConfig:
    """What to evaluate, and how.

    Attributes:
        policy: checkpoint folder, or ``floor:hold``, ``floor:random``, ``floor:replay:<data>``.
        protocol: registered protocol.
        name: row on the leaderboard; default: the policy's own name.
        results: where the runs are kept.
        conditions: which conditions; empty: all that apply to the policy's track.
        trials: initial conditions of each; None: as many as the protocol has.
        split: ``test``, or ``dev`` to choose between checkpoints (kept out of the leaderboard).
        execute: actions of a chunk before the next prediction; None: as the checkpoint says,
            or 1 with an ensemble.
        ensemble: decay of the temporal ensemble; None: no ensemble.
        delay: control steps that a prediction takes.
        ddim_steps: denoising steps of a prediction; None: the policy's own.
        sampler: ``ddim`` or ``dpm``; None: the policy's own.
        batch: trials stepped together.
        workers: processes.
        videos: ``some``, ``few``, ``all`` or ``none``, see ``film.Chooser``.
        track: of a floor; a checkpoint has its own.
        patience: how long the server of a remote policy is waited for [s].
    """

    policy: str
    protocol: str = "pick_place/v1"
    name: str | None = None
    results: Path = Path("evaluations")
    conditions: tuple[str, ...] = ()
    trials: int | None = None
    split: str = TEST
    execute: int | None = None
    ensemble: float | None = None
    delay: int = 0
    ddim_steps: int | None = None
    sampler: str | None = None
    batch: int = BATCH
    workers: int = 1
    videos: str = "some"
    track: str = "state"
    patience: float = PATIENCE_S

    def __post_init__(self) -> None:
        """Refuse an unknown protocol or choice of videos, naming the known ones."""
        PROTOCOLS[self.protocol]
        if self.videos not in film.MODES:
            raise UsageError(f"unknown videos {self.videos!r}; known: {', '.join(film.MODES)}")
        if self.workers < 1:
            raise UsageError(f"workers must be at least 1, got {self.workers}")
        if self.name is not None and not self.name.strip():
            raise UsageError("name must not be empty: it is the row on the leaderboard")

    @property
    def wanted(self) -> Wanted:
        """How chunks are to be carried out."""
        return Wanted(self.execute, self.ensemble, self.delay, self.ddim_steps, self.sampler)


@dataclass(frozen=True)
class Job:
    """Everything a run is made from.

    Attributes:
        config: as asked for.
        plan: the trials.
        execution: how chunks are carried out.
        manifest: as it will be written.
        folder: the run folder.
    """

    config: EvaluateConfig
    plan: Plan
    execution: Execution
    manifest: dict[str, Any] = field(repr=False, compare=False)
    folder: Path

    @property
    def protocol(self) -> EvalProtocol:
        """The protocol that is run."""
        return PROTOCOLS[self.config.protocol]


@dataclass(frozen=True)
class Piece:
    """A piece of work for one process: a wave of a run, or a record of it to film."""

    job: Job
    what: Wave | Record

    def __str__(self) -> str:
        """Name it in messages."""
        name = self.what.name if isinstance(self.what, Wave) else self.what["video"]
        return f"{name} of {self.job.folder.name}"


Workers = Pool[Piece, Any]


def workers_of(count: int, executor: Executor = LOCAL) -> Workers:
    """Return ``count`` processes that do the pieces of any runs; use it in a ``with``."""
    return Pool(_ready, count, executor)


def _ready() -> Callable[[Piece], WaveResult | None]:
    return work


def prepare(config: EvaluateConfig) -> Job:
    """Load the policy, plan its trials and name the run, without writing anything.

    Raises:
        UsageError: a policy that does not load or was made for another arm or task, an unknown
            condition, or runs of an edited protocol or broken ones among the results.
    """
    protocol = PROTOCOLS[config.protocol]
    policy = load(config)
    plan = make_plan(protocol, policy.spec.track, config.conditions, config.trials, config.split)
    execution = execution_of(config, policy.spec)
    entry = policy_entry(config.policy, policy, config.name)
    manifest = make_manifest(policy, entry, protocol, plan, execution)
    kind = "runs" if config.split == TEST else config.split
    parent = Path(config.results) / kind / protocol.id.replace("/", "_")
    _refuse_edited(parent, protocol)
    folder, manifest = place_run(parent, manifest)
    return Job(config, plan, execution, manifest, folder)


def execution_of(config: EvaluateConfig, spec: PolicySpec) -> Execution:
    """Return how chunks are carried out; refuse to execute more than is predicted."""
    return config.wanted.execution(spec, config.batch)


def load(config: EvaluateConfig) -> Policy:
    """Load the policy to act under the protocol; refuse one of another arm or task."""
    protocol = PROTOCOLS[config.protocol]
    arm = ROBOTS[protocol.robot].spec()
    if config.policy.startswith(FLOOR):
        return load_policy(config.policy, Deployment(arm, protocol.task, config.track))
    policy = load_unplaced(config)
    check_compatible(policy.spec, Deployment(arm, protocol.task, policy.spec.track))
    check_seen(placed(policy, TASKS[protocol.task]).spec, TASKS[protocol.task], arm)
    return policy


def load_unplaced(config: EvaluateConfig) -> Policy:
    """Load a checkpoint or a served policy, to act as ``config`` says, wherever that is."""
    policy = load_policy(config.policy, patience=config.patience)
    config.wanted.use(policy)
    if isinstance(policy, RemotePolicy):
        policy.check_batch(config.batch)
    return policy


def _refuse_edited(parent: Path, protocol: EvalProtocol) -> None:
    """Refuse to add to results of a protocol with this id but another definition."""
    for path in sorted(parent.glob(f"*/{MANIFEST}")):
        stated = read_manifest(path.parent)["protocol"]["hash"]
        if stated != protocol.hash:
            raise UsageError(
                f"protocol {protocol.id} was edited after runs were made with it: {path.parent} "
                f"has {stated[:12]}, it is now {protocol.hash[:12]}; give the edited protocol a "
                "new id, or keep its runs in other --results"
            )


def evaluate(
    config: EvaluateConfig,
    progress: Progress = lambda n: None,
    job: Job | None = None,
    pool: Workers | None = None,
    say: Callable[[str], None] = log.info,
) -> Evaluated:
    """Run what is missing of a run, film some trials, seal it.

    Args:
        config: what and how.
        progress: called as trials end, first with those an earlier call completed.
        job: ``prepare(config)``, where the caller has it already.
        pool: ``workers_of(count)``, where several runs share their processes.
        say: told what takes time besides the trials.

    Raises:
        UsageError: see ``prepare``, ``RunWriter`` and ``Pool``; completed waves are kept.
    """
    job = job or prepare(config)
    with refuse_disk_errors(job.folder):
        sealed = (job.folder / SEAL).is_file()
    if sealed:
        progress(job.plan.trials)
        return Evaluated(job.folder, job.plan.trials, 0, sealed_before=True)
    with (
        RunWriter(job.folder, job.manifest) as writer,
        contextlib.nullcontext(pool) if pool else workers_of(config.workers) as workers,
    ):
        before = len(valid(writer.trials))
        progress(before)
        _run_waves(job, writer, workers, progress)
        _run_films(job, writer.trials, workers, say)
        writer.seal(SEALED_BY, _artefacts(job.folder))
    return Evaluated(job.folder, job.plan.trials, job.plan.trials - before, sealed_before=False)


def _run_waves(job: Job, writer: RunWriter, pool: Workers, progress: Progress) -> None:
    """Run the waves that are not on disk in full, and append their trials in order."""
    _check_prefix(job, valid(writer.trials))
    chooser = film.Chooser(job.config.videos, writer.trials)
    first, done, waves = 0, len(valid(writer.trials)), []
    for wave in job.plan.waves(job.execution.batch):
        if first + wave.count > done:
            waves.append((Piece(job, wave), max(0, done - first)))
        first += wave.count
    results: Iterator[WaveResult] = pool.run([piece for piece, _ in waves])
    for (_, present), result in zip(waves, results, strict=True):
        writer.append(result.void)
        if result.gone:
            raise UsageError(result.gone)
        with refuse_disk_errors(job.folder):
            write_trajectories(job.folder, result)
        new = result.records[present:]
        chooser.choose(new)
        writer.append(new)
        progress(len(new))


def _check_prefix(job: Job, trials: Sequence[Record]) -> None:
    """Refuse an unfinished run whose trials are not the first ones of the plan."""
    found = [(t["key"]["condition"], t["key"]["ic"]) for t in trials]
    if found != list(job.plan.keys())[: len(found)]:
        raise UsageError(f"the trials in {job.folder} do not follow its plan: move it away")


def _run_films(
    job: Job, trials: Sequence[Record], pool: Workers, say: Callable[[str], None]
) -> None:
    """Render the chosen videos that are not there yet."""
    wanted = [t for t in trials if t["video"] and not (job.folder / t["video"]).is_file()]
    if wanted:
        say(f"filming {len(wanted)} trials")
    told: set[str] = set()
    for problem in pool.run([Piece(job, record) for record in wanted]):
        if problem is not None and problem not in told:
            told.add(problem)
            say(f"no video: {problem}")


def _artefacts(folder: Path) -> list[str]:
    """List the videos and trajectories of a run, relative to its folder."""
    return sorted(
        path.relative_to(folder).as_posix()
        for kind in ("videos/*.mp4", "trajectories/*.npz")
        for path in folder.glob(kind)
    )


def work(piece: Piece) -> WaveResult | None:
    """Run a wave, or film a trial; in a worker process."""
    job, what = piece.job, piece.what
    if isinstance(what, Wave):
        return _runner(job).run(what)
    actions = trajectory(job.folder, what, job.execution.batch)
    with refuse_disk_errors(job.folder):
        form = film.format_of(job.config.videos)
        film.film(what, actions, job.folder / what["video"], job.protocol.robot, form)
    return None


@functools.lru_cache(maxsize=1)
def _runner(job: Job) -> Runner:
    """Return what runs the waves of a job; the policy is loaded once in a process."""
    name = job.manifest["policy"]["name"]
    return Runner(load(job.config), name, job.protocol, job.execution, job.config.split)
