"""Run policies on a protocol and seal the records."""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from scripts.options import RESULTS
from scripts.progress import progress
from scripts.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from benchmarks.evaluated import Evaluated
    from benchmarks.run import EvaluateConfig, Job, Workers

EXAMPLES = """
armtrials evaluate --policy runs/act
armtrials evaluate --policy runs/act runs/bc floor:hold --trials 50 --conditions object_pose/L2
armtrials evaluate --policy runs/act --split dev --trials 50 --videos none
armtrials evaluate --policy runs/act --delay 5 --trials 50
armtrials evaluate --policy remote:ws://localhost:8765 --trials 50
armtrials evaluate --policy runs/act --executor ray --workers 64
armtrials evaluate --policy floor:random --env gym:Pendulum-v1 --success "return>-200"
"""


@dataclass(frozen=True)
class Evaluate:
    """Run policies on a protocol: batched trials, a sealed run folder for each policy.

    Interrupted, it keeps every completed wave of trials; the same command continues.
    """

    policy: tuple[str, ...]
    """Checkpoint folders, floors (floor:hold, floor:random, floor:replay:DATA), or policies that
    are served elsewhere: remote:ws://HOST:PORT."""
    protocol: str = "pick_place/v1"
    """Registered protocol."""
    name: str | None = None
    """Row on the leaderboard (one policy only); default: the policy's own name."""
    trials: int | None = None
    """Initial conditions of each condition; default: all that the protocol has."""
    conditions: tuple[str, ...] = ()
    """Conditions such as object_pose/L2, the nominal one is always there; default: all."""
    split: Literal["test", "dev"] = "test"
    """dev: to choose between checkpoints; kept out of the leaderboard."""
    execute: int | None = None
    """Actions of a chunk before the next prediction; default: as the checkpoint says."""
    ensemble: float | None = None
    """Decay of the temporal ensemble; default: none."""
    delay: int = 0
    """Control steps that a prediction takes while the actions before it run on."""
    ddim_steps: int | None = None
    """Denoising steps of a diffusion policy or of flow; default: as the checkpoint says."""
    sampler: Literal["ddim", "dpm"] | None = None
    """How a diffusion policy denoises; default: as the checkpoint says."""
    batch: int = 50
    """Trials stepped together."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes (default: one a core); the records do not depend on it."""
    videos: Literal["some", "few", "all", "none"] = "some"
    """some: of each condition the first successes and one failure of each kind; few: the same of
    the whole run, and smaller; others with `armtrials view`."""
    track: Literal["state", "pixels"] = "state"
    """Track of the floors; a checkpoint has its own."""
    patience: float = 60.0
    """Seconds to wait for the server of a remote policy, for an answer or when it is gone."""
    results: Path = RESULTS
    """Folder that takes the runs."""
    env: str | None = None
    """Somebody else's environment instead of a protocol: gym:ID or dm:DOMAIN/TASK; its
    own pictures make the videos."""
    success: str | None = None
    """With --env, what counts as success: a key of info, return>NUMBER or return>=NUMBER."""
    horizon: int | None = None
    """With --env: steps after which an episode is cut off, if its own limit is not reached."""
    scale: tyro.conf.OmitArgPrefixes[Scale] = field(default_factory=Scale)
    """Where the --workers run."""

    def run(self) -> int:
        """Evaluate one policy after the other; return 0."""
        from rich.console import Console

        from benchmarks.run import evaluate
        from envs.errors import UsageError

        if not self.policy:
            raise UsageError("--policy needs a checkpoint folder or a floor, got none")
        if self.name is not None and len(self.policy) != 1:
            raise UsageError(f"--name takes one policy, got {len(self.policy)}")
        console = Console(highlight=False, soft_wrap=True, emoji=False)
        with self._pool() as pool:
            for config in self.configs():
                job = self._prepare(config, console.print)
                title = f"{job.manifest['run']} on {job.protocol.id}"
                with progress(title, job.plan.trials) as bar:
                    done = evaluate(config, bar, job, pool, console.print)
                self._say(console, done)
        return 0

    def _pool(self) -> "Workers":
        from benchmarks.foreign import foreign_workers
        from benchmarks.run import workers_of

        hire = workers_of if self.env is None else foreign_workers
        return hire(self.workers, self.scale.place())

    def _prepare(self, config: "EvaluateConfig", say: "Callable[[str], None]") -> "Job":
        """Plan the run, under a protocol or in somebody else's environment."""
        from benchmarks.foreign import ForeignConfig, prepare_foreign
        from benchmarks.run import prepare
        from envs.errors import UsageError

        if self.env is None:
            if self.success is not None or self.horizon is not None:
                raise UsageError("--success and --horizon belong to --env: a protocol has its own")
            return prepare(config)
        if self.success is None:
            raise UsageError(
                "--env needs --success: a key of info, return>NUMBER or return>=NUMBER"
            )
        settings = {f.name: getattr(config, f.name) for f in fields(config)}
        return prepare_foreign(
            ForeignConfig(**settings, env=self.env, success=self.success, horizon=self.horizon),
            say,
        )

    @staticmethod
    def _say(console: "Console", done: "Evaluated") -> None:
        """Print where the run is, and a line a condition."""
        state = "sealed already" if done.sealed_before else "sealed"
        console.print(f"{state}: {done.folder} ({done.trials} trials, {done.ran} run now)")
        for line in done.summary():
            console.print(f"  {line}", markup=False)

    def configs(self) -> "list[EvaluateConfig]":
        """Return one configuration a policy; commas separate conditions as well as spaces do."""
        from benchmarks.run import EvaluateConfig

        names = [name for text in self.conditions for name in text.split(",") if name]
        return [
            EvaluateConfig(
                policy=policy,
                protocol=self.protocol,
                name=self.name,
                results=self.results,
                conditions=tuple(names),
                trials=self.trials,
                split=self.split,
                execute=self.execute,
                ensemble=self.ensemble,
                delay=self.delay,
                ddim_steps=self.ddim_steps,
                sampler=self.sampler,
                batch=self.batch,
                workers=self.workers,
                videos=self.videos,
                track=self.track,
                patience=self.patience,
            )
            for policy in self.policy
        ]
