"""The main job as a chain of stages, each of which knows whether its output is complete."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.protocol import NOMINAL, PROTOCOLS
from policies.naming import BLIND, policy_name
from scripts.collect import Collect
from scripts.evaluate import Evaluate
from scripts.inspect import Inspect
from scripts.jobs import Job, run_jobs
from scripts.leaderboard import Leaderboard
from scripts.presets import FLOORS, MAIN, Preset
from scripts.progress import progress
from scripts.scale import Scale

Track = Literal["state", "pixels"]
TRACKS = ("state", "pixels")
FILMS = 8
"""Demonstrations to watch on the page about them."""
CHECKPOINT = "provenance.json"
"""Written last: a checkpoint folder that has it is complete."""


@dataclass(frozen=True)
class Stage:
    """One link of the chain.

    Attributes:
        title: for the plan and the messages.
        minutes: expected on two cores.
        complete: whether its output is there.
        work: makes the output; continues where an interrupted one stopped.
    """

    title: str
    minutes: float
    complete: Callable[[], bool]
    work: Callable[[], object]


@dataclass(frozen=True)
class Training:
    """One policy to train.

    Attributes:
        algorithm: registered algorithm.
        seed: of the training.
        variant: of the preset: ``epsilon`` of ``cpu`` is the preset ``cpu-epsilon``.
        blind: leaves out what shows the scene.
    """

    algorithm: str
    seed: int
    variant: str = ""
    blind: bool = False

    @classmethod
    def reference(cls, name: str, seed: int) -> "Training":
        """Return what ``<algorithm>-<variant>`` or ``<algorithm>-blind`` means."""
        algorithm, _, variant = name.partition("-")
        if variant == BLIND:
            return cls(algorithm, seed, blind=True)
        return cls(algorithm, seed, variant)

    @property
    def name(self) -> str:
        """As its row is called."""
        return policy_name(self.algorithm, self.variant, self.blind)

    def preset(self, size: str) -> str:
        """Return the algorithm's preset of a size."""
        return f"{size}-{self.variant}" if self.variant else size


@dataclass(frozen=True)
class Chain:
    """The stages of one preset on one task.

    Attributes:
        preset: how much of everything on the main task.
        out: folder of demonstrations and checkpoints.
        results: folder of the runs and the leaderboard.
        track: what the policies see.
        workers: processes at a time.
        task: registered task.
        count: demonstrations; None: as many as the preset says.
        where: where the processes run.
    """

    preset: Preset
    out: Path
    results: Path
    track: Track
    workers: int
    task: str = MAIN
    count: int | None = None
    where: Scale = field(default_factory=Scale)

    @property
    def protocol(self) -> str:
        """The protocol of the trials."""
        return f"{self.task}/v1"

    @property
    def extent(self) -> Preset:
        """How much of everything on this task."""
        return self.preset.on(self.task, TRACKS.index(self.track), self.count)

    @property
    def data(self) -> Path:
        """Folder of the demonstrations."""
        few = "" if self.count is None else f"-{self.count}"
        return self.out / "data" / f"{self.task}-{self.track}{few}"

    @property
    def episodes(self) -> int:
        """Number of demonstrations."""
        return self.extent.episodes[0]

    @property
    def checkpoints(self) -> dict[Path, Training]:
        """Checkpoint folder -> what is trained there, in order of training."""
        folder = self.out / "policies"
        own = "" if self.task == MAIN else f"{self.task}-"
        few = "" if self.count is None else f"-{self.count}"
        kind = f"{self.preset.training}-{self.track}{few}"
        extent = self.extent
        trainings = [
            *(Training.reference(name, extent.seeds[0][0]) for name in extent.references[0]),
            *(
                Training.reference(name, seed)
                for seed in extent.seeds[0]
                for name in self.preset.algorithms
            ),
        ]
        return {folder / f"{own}{t.name}-{kind}-{t.seed}": t for t in trainings}

    def stages(self) -> list[Stage]:
        """Return the chain in order, the leaderboard last."""
        return [*self.links(), Stage("leaderboard", 0.2, lambda: False, self.rank)]

    def links(self, name: str = "") -> list[Stage]:
        """Return the chain up to the trials; ``name`` stands before each title."""
        collect, train, evaluate = self.extent.minutes[0]
        count = len(self.checkpoints)
        trials = "paired trials of all and of floors" if self.count is None else "paired trials"
        return [
            Stage(f"{name}{self.episodes} demonstrations", collect, self.collected, self.collect),
            Stage(f"{name}a page about them", 0.2, self.page.is_file, self.inspect),
            Stage(f"{name}training of {count} policies", train, self.trained, self.train),
            Stage(f"{name}{trials}", evaluate, self.evaluated, self.evaluate),
        ]

    def collected(self) -> bool:
        """Whether all demonstrations are there."""
        return len(list(self.data.glob("episode_*.hdf5"))) >= self.episodes

    def collect(self) -> None:
        """Record the demonstrations that are missing."""
        Collect(
            task=self.task,
            episodes=self.episodes,
            out=self.data,
            pixels=self.track == "pixels",
            workers=self.workers,
            scale=self.where,
        ).run()

    @property
    def page(self) -> Path:
        """The page about the demonstrations."""
        return self.data.with_name(f"{self.data.name}.html")

    def inspect(self) -> None:
        """Check the demonstrations and write the page about them."""
        Inspect(data=self.data, out=self.page, films=FILMS, rows=0, workers=self.workers).run()

    def missing(self) -> dict[Path, Training]:
        """Return the checkpoints that are not complete."""
        return {f: c for f, c in self.checkpoints.items() if not (f / CHECKPOINT).is_file()}

    def trained(self) -> bool:
        """Whether every checkpoint is complete."""
        return not self.missing()

    def train(self) -> None:
        """Train the policies that are missing side by side, one core each."""
        from policies.base import preset  # with torch, which takes seconds to import

        missing = self.missing()
        size, jobs, total = self.preset.training, [], 0
        for folder, choice in missing.items():
            usual = preset(choice.algorithm, self.track, choice.preset(size)).training.steps
            steps = self.preset.steps or usual * self.preset.longer.get(self.task, 1)
            jobs.append(self._training(folder, choice, steps))
            total += steps
        seen = 0
        with progress("training steps", total) as advance:

            def watch() -> None:
                nonlocal seen
                before, seen = seen, sum(map(steps_done, missing))
                advance(seen - before)

            lock = self.out / "policies" / ".lock"
            run_jobs(jobs, self.workers, lock, watch, self.where.place())
            watch()

    def _training(self, folder: Path, chosen: Training, steps: int) -> Job:
        options: dict[str, object] = {
            "--algo": chosen.algorithm,
            "--data": self.data,
            "--out": folder,
            "--track": self.track,
            "--preset": chosen.preset(self.preset.training),
            "--seed": chosen.seed,
            "--steps": steps,
        }
        words = [str(word) for option in options.items() for word in option]
        words += ["--blind"] if chosen.blind else []
        return Job(f"training of {folder.name}", ("train", *words), Path(f"{folder}.log"))

    def evaluations(self) -> "list[Evaluate]":
        """Return the evaluations: of the first seed, which is filmed, of others, and of floors.

        A floor of another task than the main one is a mark beside the nominal trials only.
        """
        first = self.extent.seeds[0][0]
        filmed = [str(folder) for folder, t in self.checkpoints.items() if t.seed == first]
        others = [str(folder) for folder in self.checkpoints if str(folder) not in filmed]
        floors = [name.format(data=self.data) for name in FLOORS if self.count is None]
        made = [self._evaluation(filmed, self.preset.videos)]
        if others:
            made.append(self._evaluation(others, "none"))
        if floors:
            made.append(self._evaluation(floors, "none", only_nominal=self.task != MAIN))
        return made

    def _evaluation(
        self,
        policies: list[str],
        videos: Literal["some", "few", "none"],
        only_nominal: bool = False,
    ) -> Evaluate:
        return Evaluate(
            policy=tuple(policies),
            protocol=self.protocol,
            trials=self.preset.trials,
            conditions=(NOMINAL,) if only_nominal else self._conditions(),
            workers=self.workers,
            videos=videos,
            track=self.track,
            results=self.results,
            scale=self.where,
        )

    def _conditions(self) -> tuple[str, ...]:
        """Return the conditions of the preset that the track has; few demonstrations: nominal."""
        if self.count is not None:
            return (NOMINAL,)
        wanted = self.extent.conditions
        return tuple(
            name for name in wanted if self.track in PROTOCOLS[self.protocol].condition(name).tracks
        )

    def evaluated(self) -> bool:
        """Whether every run is sealed."""
        if not self.trained() or not self.collected():
            return False
        from benchmarks.records import SEAL
        from benchmarks.run import prepare  # with torch: only once there are checkpoints

        configs = [config for e in self.evaluations() for config in e.configs()]
        return all((prepare(config).folder / SEAL).is_file() for config in configs)

    def evaluate(self) -> None:
        """Run the trials that are missing."""
        for evaluation in self.evaluations():
            evaluation.run()

    def rank(self) -> None:
        """Make the leaderboard of all sealed runs."""
        Leaderboard(results=self.results).run()


def join(chains: Sequence[Chain]) -> list[Stage]:
    """Return the stages of several chains, one after the other, with one leaderboard at the end."""
    if len(chains) == 1:
        return chains[0].stages()
    named = [(f"{chain.task.replace('_', ' ')}: ", chain) for chain in chains]
    stages = [stage for name, chain in named for stage in chain.links(name)]
    return [*stages, chains[0].stages()[-1]]


def steps_done(folder: Path) -> int:
    """Return the last step in the log of a training, 0 if there is none yet."""
    try:
        with (folder / "log.jsonl").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().split(b"\n")[:-1]
    except OSError:
        return 0
    return int(json.loads(lines[-1])["step"]) if lines else 0
