"""What DAgger is told: how often the expert acts, how often it is asked."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.arm import CameraSpec
from envs.collection import Collection
from envs.errors import UsageError
from envs.registry import Registry
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.base import ALGORITHMS
from policies.train_config import TrainConfig

SHARE = 4
"""A round trains for this part of the preset's steps unless another number is asked for."""
IMAGE_SIZE = 84
"""Height and width of pictures unless another is asked for [px]."""
Beta = Callable[[int, int, float], float]
SCHEDULES: Registry[Beta] = Registry("schedule")
SCHEDULES.register("indicator", lambda r, rounds, decay: float(r == 0))
SCHEDULES.register("exponential", lambda r, rounds, decay: decay**r)
SCHEDULES.register("linear", lambda r, rounds, decay: 1 - r / max(rounds, 1))
SCHEDULES.register("expert", lambda r, rounds, decay: 1.0)


@dataclass(frozen=True)
class DaggerConfig:
    """What to learn, and how much the expert may be asked.

    Attributes:
        task: registered task whose expert can label states of others.
        out: folder of data and checkpoints.
        algo: registered algorithm.
        rounds: rounds after round 0.
        labels: expert labels in all, shared equally by the rounds; None: every state is labelled.
        episodes: roll-outs of a round, more where they visit fewer states than there are labels.
        schedule: chance beta_r that the expert acts: ``exponential`` (decay^r), ``linear``
            (1 - r / rounds), ``indicator`` (in round 0 alone), ``expert`` (always).
        decay: of the exponential schedule (docs/dagger-gail.md has what .7 and .9 lead to).
        preset: named settings of the algorithm.
        steps: gradient steps a round; None: a quarter of the preset's.
        track: ``"state"`` or ``"pixels"``.
        robot: registered robot; by default the task's.
        image_size: height and width of pictures on the pixel track; None: ``IMAGE_SIZE``.
        seed: of starts, turns, questions, weights and windows.
        workers: processes that roll out; nothing depends on it.
        threads: of torch in training.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    task: str
    out: Path
    algo: str = "bc"
    rounds: int = 8
    labels: int | None = None
    episodes: int = 20
    schedule: str = "exponential"
    decay: float = 0.9
    preset: str = "cpu"
    steps: int | None = None
    track: str = "state"
    robot: str = ""
    image_size: int | None = None
    seed: int = 0
    workers: int = 1
    threads: int = 1
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be, naming the choices."""
        object.__setattr__(self, "robot", self.robot or TASKS[self.task].robot)
        SCHEDULES[self.schedule]
        if self.rounds < 0:
            raise UsageError(f"rounds must not be negative, got {self.rounds}")
        if self.labels is not None and self.labels <= self.rounds:
            raise UsageError(f"labels must be more than rounds {self.rounds}, got {self.labels}")
        if self.episodes < 1:
            raise UsageError(f"episodes must be at least 1, got {self.episodes}")
        if not 0 <= self.decay <= 1:
            raise UsageError(f"decay must be 0..1, got {self.decay}")
        self._check_pictures()
        self.training(0)
        if ALGORITHMS[self.algo].trainer:
            raise UsageError(
                f"{self.algo} does not learn from labels of single steps: choose another --algo"
            )

    def _check_pictures(self) -> None:
        size = self.image_size
        if size is not None and self.track != "pixels":
            raise UsageError(f"--image-size belongs to --track pixels, got track {self.track!r}")
        if size is not None and size < 1:
            raise UsageError(f"--image-size must be at least 1, got {size}")

    def beta(self, r: int) -> float:
        """Return the chance that the expert acts in round ``r``."""
        return SCHEDULES[self.schedule](r, self.rounds, self.decay)

    def quota(self, r: int) -> int | None:
        """Return the labels of round ``r``, None where there is no limit."""
        if self.labels is None:
            return None
        shares = self.rounds + 1
        return self.labels * (r + 1) // shares - self.labels * r // shares

    def checkpoint(self, r: int) -> Path:
        """Return the checkpoint folder of round ``r``."""
        return self.out / "rounds" / f"{r:02d}"

    def training(self, r: int) -> TrainConfig:
        """Return the training of round ``r``; it goes on from the round before."""
        config = TrainConfig(
            algo=self.algo,
            data=self.out / "data",
            out=self.checkpoint(r),
            track=self.track,
            preset=self.preset,
            seed=self.seed + r,
            steps=self.steps,
            validation=0.0,  # what a policy is worth is measured, and every label is dear
            threads=self.threads,
            device=self.device,
            initial=self.checkpoint(r - 1) if r else None,
        )
        if self.steps is None:
            whole = config.resolve().training.steps
            return dataclasses.replace(config, steps=max(1, whole // SHARE))
        config.resolve()
        return config

    def collection(self) -> Collection:
        """Return where the episodes start and what is recorded."""
        names = ROBOTS[self.robot].spec().cameras if self.track == "pixels" else ()
        size = self.image_size or IMAGE_SIZE
        cameras = tuple(CameraSpec(name, size, size) for name in names)
        return Collection(self.task, self.robot, seed=self.seed, cameras=cameras)

    def definition(self) -> dict[str, Any]:
        """Return as JSON what all that is made depends on."""
        apart = {"out", "workers", "threads", "device"}
        settings = dataclasses.asdict(self)
        made = {k: v for k, v in settings.items() if k not in apart}
        made["image_size"] = self.image_size or IMAGE_SIZE
        return {**made, "steps": self.training(0).steps, "model": self.model_hash}

    @property
    def model_hash(self) -> str:
        """Return the identity of the compiled scene."""
        return str(self.collection().definition()["model_hash"])
