"""What the policies of an experiment are made from: demonstrations and trainings, named by hash."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envs.collection import Collection
from policies.configs import LATER, canonical, to_json
from policies.lora import LoraConfig
from policies.stream import StreamConfig


def _named(about: str, made_of: Any) -> str:  # noqa: ANN401  (any dataclass)
    """Return a name for a folder: what people call it, and the hash of what it is made from."""
    mark = hashlib.sha256(canonical(to_json(made_of))).hexdigest()[:8]
    return f"{about}-{mark}"


@dataclass(frozen=True)
class Demos:
    """Demonstrations in a folder.

    Attributes:
        collection: how they are made.
        episodes: how many.
    """

    collection: Collection
    episodes: int

    @property
    def task(self) -> str:
        """What is demonstrated."""
        return self.collection.task

    def folder(self, root: Path) -> Path:
        """Return where they are kept."""
        made = self.collection
        about = "-".join(n for n in (made.task, made.gap, made.operator, str(self.episodes)) if n)
        return root / "data" / _named(about, self)


@dataclass(frozen=True)
class Recorded:
    """Demonstrations that were recorded on an arm, by their content: none can be made here.

    Attributes:
        task: what was demonstrated.
        robot: the arm.
        episodes: how many.
        sha256: of the fingerprints of the episodes, in their order.
    """

    task: str
    robot: str
    episodes: int
    sha256: str

    def folder(self, root: Path) -> Path:
        """Return where they are kept."""
        about = f"{self.task}-{self.robot}-recorded-{self.episodes}"
        return root / "data" / _named(about, self)


@dataclass(frozen=True)
class Fit:
    """One training.

    Attributes:
        algo: registered algorithm.
        preset: of the algorithm.
        demos: what it learns from; None with ``stream``.
        stream: demonstrations made while training, instead.
        track: ``state`` or ``pixels``.
        seed: of the training.
        steps: gradient steps; None: the preset's.
        initial: what training begins with; None: fresh weights.
        chunk: actions predicted at once; None: the preset's.
        keep: steps after which a checkpoint is kept, again and again; 0: the last alone.
        also: more demonstrations, of other tasks.
        lora: small weights beside those of ``initial`` are learned, which stay.
    """

    algo: str
    preset: str
    demos: Demos | Recorded | None = None
    stream: StreamConfig | None = None
    track: str = "state"
    seed: int = 0
    steps: int | None = None
    initial: "Fit | None" = None
    chunk: int | None = None
    keep: int = 0
    also: tuple[Demos, ...] = field(default=(), metadata=LATER)
    lora: LoraConfig | None = field(default=None, metadata=LATER)

    @property
    def sources(self) -> tuple[Demos | Recorded, ...]:
        """All demonstrations in folders that it learns from."""
        return (*([] if self.demos is None else [self.demos]), *self.also)

    def folder(self, root: Path) -> Path:
        """Return where its checkpoint is kept."""
        return root / "policies" / _named(f"{self.algo}-{self.preset}-{self.track}", self)

    @property
    def depth(self) -> int:
        """How many trainings come before it."""
        return 0 if self.initial is None else 1 + self.initial.depth

    def chain(self) -> list["Fit"]:
        """Return it after those that it builds on."""
        return [*(self.initial.chain() if self.initial else []), self]
