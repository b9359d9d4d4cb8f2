"""What a policy is, what a learning algorithm is, and the algorithms by name."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from envs.arm import Array
from envs.errors import UsageError
from envs.registry import Registry
from policies.augment import AugmentConfig
from policies.configs import LATER

TRACKS = ("state", "pixels")
ACTIONS = ("absolute", "delta")
TASKS = "+"
"""Between the names of the tasks of a policy that was trained on several."""
DELTA = "-delta"
"""Ends the name of any preset whose actions are to be offsets: ``cpu-delta``."""
Memory = tuple[Tensor, ...]
"""What a recurrent policy keeps from one prediction to the next; the first axis is the row."""


@dataclass(frozen=True)
class PolicySpec:
    """What a policy was made for and how it is called.

    Attributes:
        arm: name of the arm, as in its ``ArmSpec``.
        joints: names of its joints, grippers included, in the order of an action.
        control_hz: actions a second [Hz].
        task: name of the task it was trained on.
        track: ``"state"`` or ``"pixels"``.
        observations: the keys the policy reads, kept sorted, with the shape of one observation;
            images (h, w, 3).
        n_obs: observation steps the policy sees, the present one last.
        chunk: actions predicted at once.
        execute: of these, how many are executed before the next prediction.
        language: acts on an instruction, which every trial must have, and on any objects.
    """

    arm: str
    joints: tuple[str, ...]
    control_hz: float
    task: str
    track: str
    observations: Mapping[str, tuple[int, ...]]
    n_obs: int
    chunk: int
    execute: int
    language: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        """Sort the observations; refuse a track that is not known and numbers that cannot be."""
        object.__setattr__(self, "observations", dict(sorted(self.observations.items())))
        if self.track not in TRACKS:
            raise UsageError(f"unknown track {self.track!r}; known: {', '.join(TRACKS)}")
        if self.n_obs < 1:
            raise ValueError(f"n_obs must be at least 1, got {self.n_obs}")
        if not 1 <= self.execute <= self.chunk:
            raise ValueError(f"execute must be in 1..chunk={self.chunk}, got {self.execute}")

    @property
    def n(self) -> int:
        """Size of an action."""
        return len(self.joints)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks it was trained on."""
        return tuple(self.task.split(TASKS))

    @property
    def images(self) -> tuple[str, ...]:
        """Keys of the images, in order."""
        return tuple(key for key in self.observations if key.startswith("images/"))

    @property
    def vectors(self) -> tuple[str, ...]:
        """Keys of everything but the images, in order."""
        return tuple(key for key in self.observations if not key.startswith("images/"))

    @property
    def width(self) -> int:
        """Size of all vectors of one observation step together."""
        return sum(self.observations[key][0] for key in self.vectors)

    def with_images(self, size: tuple[int, int] | None) -> "PolicySpec":
        """Return the spec with images resized to (height, width); ``None`` leaves them."""
        if size is None:
            return self
        shapes = {
            key: (*size, 3) if key in self.images else s for key, s in self.observations.items()
        }
        return replace(self, observations=shapes)


class Policy(Protocol):
    """Something that chooses actions for a batch of independent trials."""

    name: str
    spec: PolicySpec

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials, one a seed; what is random in a row comes from its seed alone."""

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return a chunk of actions for every row.

        Args:
            obs: the keys of ``spec.observations``, each (batch, n_obs, ...), in physical units,
                images uint8.

        Returns:
            (batch, chunk, n) float32: absolute joint targets [rad] and gripper openings 0..1.
        """


@dataclass(frozen=True)
class AlgorithmConfig:
    """Settings every algorithm has; each adds its own in a frozen subclass.

    Attributes:
        n_obs: observation steps seen.
        chunk: actions predicted at once.
        execute: actions executed before the next prediction.
        actions: what the network learns: ``"absolute"`` joint targets, or ``"delta"``, offsets from
            the joints' position when the chunk is predicted (see ``policies.offsets``).
    """

    n_obs: int = 1
    chunk: int = 1
    execute: int = 1
    actions: str = field(default="absolute", metadata=LATER)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if self.actions not in ACTIONS:
            known = ", ".join(ACTIONS)
            raise UsageError(f"unknown actions {self.actions!r}; known: {known}")
        if self.n_obs < 1:
            raise ValueError(f"n_obs must be at least 1, got {self.n_obs}")
        if not 1 <= self.execute <= self.chunk:
            raise ValueError(f"execute must be in 1..chunk={self.chunk}, got {self.execute}")


@dataclass(frozen=True)
class TrainDefaults:
    """How an algorithm is trained.

    Attributes:
        steps: gradient steps.
        batch: windows a step.
        lr: peak learning rate.
        schedule: ``"cosine"`` to zero or ``"constant"``, both after ``warmup`` linear steps.
        warmup: steps from zero to the peak rate.
        weight_decay: of AdamW.
        betas: of AdamW.
        clip: largest norm of the gradient; 0 for no clipping.
        ema_power: exponential moving average of the weights with decay
            ``min(ema_max, 1 - (1 + step) ** -ema_power)``; 0 for none (Chi et al.: .75).
        ema_max: largest decay.
        augment: what is done to images; ``None`` for nothing. Its crop is the encoder's.
        precision: ``"bf16"`` (autocast) or ``"fp32"``, of training; inference is fp32 always.
        normalization: ``"minmax"`` to [-1, 1] or ``"meanstd"``.
    """

    steps: int = 2000
    batch: int = 64
    lr: float = 1e-3
    schedule: str = "cosine"
    warmup: int = 100
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    ema_power: float = 0.0
    ema_max: float = 0.9999
    augment: AugmentConfig | None = None
    precision: str = "bf16"
    normalization: str = "minmax"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be, naming the choices."""
        for what in ("steps", "batch"):
            if getattr(self, what) < 1:
                raise UsageError(f"{what} must be at least 1, got {getattr(self, what)}")
        if not self.lr > 0:
            raise UsageError(f"lr must be positive, got {self.lr}")
        choices = {
            "schedule": ("cosine", "constant"),
            "precision": ("bf16", "fp32"),
            "normalization": ("minmax", "meanstd"),
        }
        for what, known in choices.items():
            if getattr(self, what) not in known:
                found = getattr(self, what)
                raise UsageError(f"unknown {what} {found!r}; known: {', '.join(known)}")


class Preset(NamedTuple):
    """A named choice of settings for one track."""

    config: AlgorithmConfig
    training: TrainDefaults


class Algorithm(nn.Module, ABC):
    """A network that learns actions from demonstrations, with its loss.

    One algorithm is one file. Normalisation, chunk execution, training loop and checkpoint are
    not its business. Vectors it sees are normalised float32; images are as the observation holds
    them, uint8 (B, n_obs, h, w, 3), or float 0..1 and cropped where training augmented them.

    Attributes:
        Config: class of ``config``.
        PRESETS: settings by (track, preset name), for ``quick``, ``cpu`` and ``paper``.
        language: it acts on instructions: it is given ``sentence``, what ``read`` makes of them,
            and NaN for ``objects/`` that are not there.
        streams: it can learn from demonstrations that are made meanwhile.
        whole: beginnings of the names of parameters that are trained entirely beside LoRA's.
    """

    Config: ClassVar[type[AlgorithmConfig]] = AlgorithmConfig
    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {}
    language: ClassVar[bool] = False
    streams: ClassVar[bool] = True
    whole: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: AlgorithmConfig, spec: PolicySpec) -> None:
        """Keep the settings; subclasses build their networks from them and from ``spec``."""
        super().__init__()
        self.config = config
        self.spec = spec

    @property
    def noise_shape(self) -> tuple[int, ...] | None:
        """Shape of the standard normal noise one row of ``predict`` takes; ``None`` for none."""
        return None

    @property
    def sequence(self) -> int:
        """Consecutive predictions, ``execute`` steps apart, that training sees together.

        More than one makes every batch of ``loss`` (B sequence, ...), predictions of a row
        following each other.
        """
        return 1

    def read(self, sentences: Sequence[str]) -> Tensor:
        """Return instructions as tokens, a row each; of an algorithm with ``language``."""
        raise ValueError(f"{type(self).__name__} reads no sentences, got {len(sentences)}")

    @abstractmethod
    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch (scalar) and what else is worth logging.

        Args:
            batch: the keys of ``spec.observations``, each (B, n_obs, ...); ``action``
                (B, chunk, n) normalised; ``pad`` (B, chunk) bool, True beyond the episode's end
                (to be masked and left out of means).
        """

    @abstractmethod
    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Return normalised actions (B, chunk, n); the same ``noise``, the same actions.

        Args:
            obs: the keys of ``spec.observations``, each (B, n_obs, ...).
            noise: (B, *noise_shape), or ``None`` where ``noise_shape`` is.
        """

    def step(
        self, obs: dict[str, Tensor], noise: Tensor | None, memory: Memory | None
    ) -> tuple[Tensor, Memory | None]:
        """Return ``predict`` and what to remember until the next call of the trial: nothing.

        A recurrent policy overrides this; ``memory`` is ``None`` at a trial's first call.
        """
        return self.predict(obs, noise), None


@dataclass(frozen=True)
class AlgorithmEntry:
    """Where an algorithm lives; it is imported when asked for.

    Attributes:
        module: of its class.
        title: its name for people.
        class_name: of its class.
        trainer: module and class of a trainer of its own, ``module:Class``; "" for the usual one.
    """

    module: str
    title: str
    class_name: str
    trainer: str = ""

    def load(self) -> type[Algorithm]:
        """Import the algorithm and return its class."""
        return cast(type[Algorithm], getattr(importlib.import_module(self.module), self.class_name))

    def load_trainer(self) -> Callable[..., Any] | None:
        """Import its own trainer and return the class, None where it has none."""
        module, _, name = self.trainer.partition(":")
        return getattr(importlib.import_module(module), name) if module else None


ALGORITHMS: Registry[AlgorithmEntry] = Registry("algorithm")
ALGORITHMS.register("bc", AlgorithmEntry("policies.bc", "BC", "BehaviorCloning"))
ALGORITHMS.register("bc_rnn", AlgorithmEntry("policies.bc_rnn", "BC-RNN", "BcRnn"))
ALGORITHMS.register("act", AlgorithmEntry("policies.act", "ACT", "ACT"))
ALGORITHMS.register(
    "diffusion", AlgorithmEntry("policies.diffusion", "Diffusion Policy", "DiffusionPolicy")
)
ALGORITHMS.register("flow", AlgorithmEntry("policies.flow", "Flow matching", "FlowPolicy"))
ALGORITHMS.register("vla", AlgorithmEntry("policies.vla", "Compact VLA", "Vla"))
ALGORITHMS.register("pi0", AlgorithmEntry("policies.pi0", "pi0", "Pi0"))
ALGORITHMS.register("vlm", AlgorithmEntry("policies.vlm", "VLM, action tokens", "Vlm"))
ALGORITHMS.register(
    "gail", AlgorithmEntry("policies.gail", "GAIL", "Gail", "policies.gail_train:GailTrainer")
)


def preset(algo: str, track: str, name: str) -> Preset:
    """Return a preset, also with ``DELTA`` after its name; ``UsageError`` lists what is known."""
    presets = ALGORITHMS[algo].load().PRESETS
    asked, name = name, name.removesuffix(DELTA)
    if track not in TRACKS:
        raise UsageError(f"unknown track {track!r}; known: {', '.join(TRACKS)}")
    known = sorted(known for where, known in presets if where == track)
    if not known:
        raise UsageError(f"{algo} does not learn on the {track} track, only on {min(presets)[0]}")
    if name not in known:
        raise UsageError(
            f"unknown preset {name!r} of {algo} on the {track} track; known: {', '.join(known)}; "
            f"each with {DELTA} after it, too"
        )
    chosen = presets[track, name]
    if asked == name:
        return chosen
    return chosen._replace(config=replace(chosen.config, actions="delta"))


def flat(obs: Mapping[str, Tensor], spec: PolicySpec) -> Tensor:
    """Concatenate the vectors of a batch: (B, n_obs, width)."""
    return torch.cat([obs[key] for key in spec.vectors], dim=-1)
