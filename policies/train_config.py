"""What to train: the settings of one training run."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.errors import UsageError
from policies.base import ALGORITHMS, AlgorithmConfig, Preset, preset
from policies.hub_model import with_weights
from policies.lora import LoraConfig
from policies.sentences import with_encoder
from policies.stream import StreamConfig


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and where to put it.

    Attributes:
        algo: registered algorithm.
        data: folder of demonstrations; None with ``stream``.
        out: checkpoint folder.
        track: ``"state"`` or ``"pixels"``.
        preset: named settings of the algorithm; with ``initial`` only how it is trained.
        seed: of weights, windows and noise; the split of the data is the same for all seeds.
        steps: gradient steps; ``None``: the preset's, as are ``batch``, ``lr``, ``normalization``.
        batch: windows a step.
        lr: peak learning rate.
        normalization: ``"minmax"`` or ``"meanstd"``.
        validation: share of the episodes held out.
        image_size: (height, width) of the images the policy sees; ``None``: as recorded.
        blind: leave out what shows the scene: a floor.
        threads: of torch; one lets several trainings run side by side.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        resume: continue an interrupted run; ``False`` starts over.
        stream: demonstrations that are made while training, instead of ``data``.
        initial: checkpoint whose weights training begins with, and whose network and scaling it
            keeps; of another arm only with an algorithm with ``language``.
        also: more folders of demonstrations, of other tasks, of an algorithm with ``language``.
        lora: keep the weights of ``initial`` and learn small ones beside them.
        weights: model of ``transformers`` that an algorithm around one starts from: a folder, or a
            name in the local cache.
        sentences: text model of ``transformers`` that reads instructions: a folder, or a name in
            the local cache; ``None``: the preset's reader.
        chunk: actions predicted at once; ``None``: the preset's.
        keep: steps after which a checkpoint is kept in ``out/steps``, again and again; 0: none.
    """

    algo: str
    data: Path | None
    out: Path
    track: str = "state"
    preset: str = "cpu"
    seed: int = 0
    steps: int | None = None
    batch: int | None = None
    lr: float | None = None
    normalization: str | None = None
    validation: float = 0.12
    image_size: tuple[int, int] | None = None
    blind: bool = False
    threads: int = 1
    device: str = "auto"
    resume: bool = True
    stream: StreamConfig | None = None
    initial: Path | None = None
    also: tuple[Path, ...] = ()
    lora: LoraConfig | None = None
    weights: str | None = None
    sentences: str | None = None
    chunk: int | None = None
    keep: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be, naming the choices."""
        self._check_sources()
        if self.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"unknown device {self.device!r}; known: auto, cpu, cuda")
        for name, least in (("threads", 1), ("seed", 0), ("keep", 0), ("chunk", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} must be at least {least}, got {value}")
        if self.image_size is not None and min(self.image_size) < 1:
            raise UsageError(f"image_size must be at least 1 x 1, got {self.image_size}")
        if self.image_size is not None and self.track != "pixels":
            raise UsageError(f"--image-size belongs to --track pixels, got track {self.track!r}")

    def _check_sources(self) -> None:
        """Refuse demonstrations that cannot be what is learned from."""
        if (self.data is None) == (self.stream is None):
            raise UsageError("training needs one of --data FOLDER and --stream TASK")
        if any(Path(one).resolve() == Path(self.out).resolve() for one in self.folders):
            raise UsageError(f"--out must be another folder than --data, got {self.out} for both")
        if self.also and not ALGORITHMS[self.algo].load().language:
            raise UsageError(
                f"{self.algo} learns one task, got {len(self.folders)} folders of demonstrations; "
                "vla learns several, told apart by their instructions"
            )
        if self.stream and not ALGORITHMS[self.algo].load().streams:
            raise UsageError(
                f"{self.algo} compares with fixed demonstrations, and these are made while it "
                "learns: --data instead of --stream"
            )
        if self.lora and not (self.initial or self.weights):
            raise UsageError(
                "--lora needs weights to adapt: --from CHECKPOINT, or --weights FOLDER"
            )

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of demonstrations."""
        return (*([] if self.data is None else [self.data]), *self.also)

    def resolve(self) -> Preset:
        """Return the preset with what is overridden; ``initial`` has a network of its own."""
        config, training = preset(self.algo, self.track, self.preset)
        names = ("steps", "batch", "lr", "normalization")
        changes = {k: getattr(self, k) for k in names if getattr(self, k) is not None}
        if self.weights or not self.initial:
            config = with_weights(config, self.weights)
        config = with_encoder(config, self.sentences)
        if self.chunk and not self.initial:
            config = chunked(config, self.chunk)
        return Preset(config, dataclasses.replace(training, **changes))


def chunked(config: AlgorithmConfig, chunk: int) -> AlgorithmConfig:
    """Return settings that predict ``chunk`` actions at once.

    No more are executed; actions that share a token are as many as divide the chunk.
    """
    changes: dict[str, Any] = {"chunk": chunk, "execute": min(config.execute, chunk)}
    if patch := getattr(config, "patch", None):
        changes["patch"] = math.gcd(patch, chunk)
    return dataclasses.replace(config, **changes)
