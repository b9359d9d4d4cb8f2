"""A compact vision-language-action model: told in words, it acts on the objects that it finds.

Everything is a token. A *sentence encoder* turns the instruction into one a word. The *trunk*, a
transformer, holds a few readout tokens (Octo, 2024), one of the joints, and what shows the scene:
on the state track one token an object, its pose, the words of its name and how many of them the
instruction has; on the pixel track, of each camera's residual network, a grid of features (what is
about where) and one token of keypoints (where exactly). Its layers read the words. A task's objects
may be any and of any number, so one network learns several tasks and goes on with others.

An *action head* reads the readouts: the flow matching of ``policies.flow`` (pi0, Black et al.
2024), or a distribution over 256 bins an action (OpenVLA, Kim et al. 2024), all actions of a chunk
at once (OpenVLA-OFT, Kim et al. 2025).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import UsageError
from policies.action_tokens import BINS, to_actions, to_tokens
from policies.attention import LayerConfig, Stack
from policies.augment import AugmentConfig
from policies.base import Algorithm, PolicySpec, Preset, TrainDefaults
from policies.configs import LATER
from policies.denoiser import choose, mean_error
from policies.flow import FlowConfig, FlowPolicy
from policies.sentences import (
    GRAMS,
    NGRAMS,
    SentenceConfig,
    SentenceEncoder,
    pieces,
    words_of,
)
from policies.torch_build import tracing
from policies.transformer import MemoryTransformer, TransformerConfig
from policies.vision import RESNET18, ImageEncoder, grid_means

HEADS = ("flow", "tokens")
OBJECTS = "objects/"
POSE = 7
"""Numbers of an object: position and quaternion."""
NAME = 4
"""Most words of an object's name."""

WORDS = SentenceConfig()
TRUNK = LayerConfig(width=320, heads=8, feedforward=896, dropout=0.0, pre_norm=True)
HEAD = TransformerConfig(
    layers=4,
    layer=LayerConfig(width=256, heads=8, feedforward=512, dropout=0.0, pre_norm=True),
    memory=True,
)


@dataclass(frozen=True)
class VlaConfig(FlowConfig):
    """Settings of the model, beside those of flow matching.

    Attributes:
        head: ``"flow"`` or ``"tokens"``.
        sentence: how the instruction is read.
        trunk: shape of a layer of the trunk.
        layers: how many.
        readouts: tokens of the trunk that the action head reads.
        grid: rows and columns of tokens a camera.
        bins: an action's range has so many, with ``"tokens"``.
        mentions: an object's token says what share of its name's words the instruction has. To
            find that out by attention takes more steps than the rest of a task.
    """

    execute: int = 48
    denoiser: str = "transformer"
    condition: tuple[int, ...] = ()
    transformer: TransformerConfig = HEAD
    head: str = "flow"
    sentence: SentenceConfig = WORDS
    trunk: LayerConfig = TRUNK
    layers: int = 4
    readouts: int = 4
    grid: int = 4
    bins: int = BINS
    mentions: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        """Refuse unknown heads and numbers that cannot be."""
        super().__post_init__()
        choose("head", self.head, HEADS)
        if min(self.readouts, self.grid, self.layers) < 1 or self.bins < 2:
            found = (self.readouts, self.grid, self.layers, self.bins)
            raise UsageError(
                f"readouts, grid, layers and bins must be at least 1, 1, 1, 2: {found}"
            )


TRAINING = TrainDefaults(steps=6000, batch=64, lr=1e-3, ema_power=0.75, ema_max=0.995)
SMALL = VlaConfig(
    trunk=replace(TRUNK, width=192, feedforward=384),
    layers=3,
    sentence=SentenceConfig(buckets=2048, width=128, layers=1),
    transformer=replace(HEAD, layers=3, layer=replace(HEAD.layer, width=192, feedforward=384)),
)
HEARD = replace(SMALL, mentions=True)
SEEING = VlaConfig(execute=96, draws=4)
STAGES = replace(RESNET18, widths=RESNET18.widths[:3], strides=RESNET18.strides[:3])
"""ResNet-18 without its last stage, which has three quarters of the weights and of a small picture
a map coarser than the grid."""
PAPER = VlaConfig(
    prediction="direction",
    chunk=50, execute=25, patch=1, denoise=10, tilt=0.5, layers=8,
    trunk=replace(TRUNK, width=448, feedforward=1120), vision=STAGES,
)  # fmt: skip
PAPER_TRAINING = replace(TRAINING, steps=100_000, batch=256, lr=1e-4, warmup=1000, precision="fp32")


class Vla(FlowPolicy):
    """Sentence encoder, trunk, action head."""

    Config: ClassVar = VlaConfig
    config: VlaConfig
    language: ClassVar[bool] = True
    whole: ClassVar[tuple[str, ...]] = ("scene.", "readout", "denoiser.token", "denoiser.out")
    reach: ClassVar[float] = 1.5  # a new task may go beyond the range that the scaling is from

    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(HEARD, replace(TRAINING, steps=3000, batch=32)),
        ("state", "cpu"): Preset(VlaConfig(mentions=True), TRAINING),
        ("state", "paper"): Preset(replace(PAPER, mentions=True), PAPER_TRAINING),
        ("state", "quick-tokens"): Preset(
            replace(HEARD, head="tokens"), replace(TRAINING, steps=1200)
        ),
        ("state", "cpu-tokens"): Preset(VlaConfig(head="tokens", mentions=True), TRAINING),
        ("pixels", "quick"): Preset(
            replace(SMALL, execute=96), replace(TRAINING, steps=1200, augment=AugmentConfig())
        ),
        ("pixels", "cpu"): Preset(SEEING, replace(TRAINING, steps=8000, augment=AugmentConfig())),
        ("pixels", "paper"): Preset(
            PAPER, replace(PAPER_TRAINING, batch=64, augment=AugmentConfig())
        ),
    }

    def __init__(self, config: VlaConfig, spec: PolicySpec) -> None:
        """Build the three parts."""
        Algorithm.__init__(self, config, spec)  # its own observation encoder
        width = config.trunk.width
        self.sentence = SentenceEncoder(config.sentence, width)
        self.scene = Scene(config, spec, self.sentence)
        self.readout = nn.Parameter(torch.randn(config.readouts, width) * 0.02)
        self.trunk = Stack(config.trunk, config.layers, cross=True)
        shape, steps = config.transformer, config.chunk // config.patch
        features = config.patch * spec.n
        self.denoiser: nn.Module
        if config.head == "flow":
            seen = (config.readouts, width)
            self.denoiser = MemoryTransformer(features, seen, steps, shape)
        else:
            self.denoiser = TokenHead(features, width, steps, config)

    def read(self, sentences: Sequence[str]) -> Tensor:
        """Return instructions as tokens (B, words, k)."""
        return self.sentence.read(sentences)

    def observe(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Encode what is seen and told into the readouts, (B, readouts * width)."""
        words, beyond = self.sentence(obs["sentence"])
        scene, absent = self.scene(obs)
        readout = self.readout.expand(scene.shape[0], -1, -1)
        there = torch.zeros((scene.shape[0], self.config.readouts), dtype=torch.bool)
        pad = torch.cat([there.to(absent.device), absent], dim=1)
        x = self.trunk(torch.cat([readout, scene], dim=1), words, pad, beyond)
        out: Tensor = x[:, : self.config.readouts].flatten(1)
        return out

    @property
    def noise_shape(self) -> tuple[int, ...] | None:  # type: ignore[override]
        """(chunk, n): what the flow starts from; the tokens need none."""
        return super().noise_shape if self.config.head == "flow" else None

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the error of the direction, or the cross-entropy of the bins; padding left out."""
        if self.config.head == "flow":
            return super().loss(batch)
        logits = self.denoiser(self.observe(batch)).float()
        wanted = to_tokens(batch["action"], self.config.bins)
        error = functional.cross_entropy(logits.flatten(0, 2), wanted.flatten(), reduction="none")
        return mean_error(error.reshape(wanted.shape), batch["pad"]), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Follow the field from ``noise`` (B, chunk, n), or take the likeliest bins."""
        if self.config.head == "flow":
            return super().predict(obs, noise)
        return to_actions(self.denoiser(self.observe(obs)).argmax(-1), self.config.bins)


class Scene(nn.Module):
    """Joints, objects and pictures as tokens of one width."""

    def __init__(self, config: VlaConfig, spec: PolicySpec, sentence: SentenceEncoder) -> None:
        """Build what makes the tokens; names of objects are read with the sentence's table."""
        super().__init__()
        self.spec, self.grid = spec, config.grid
        self.words = [sentence.words]  # in a list: its parameters are the sentence encoder's
        width = config.trunk.width
        free = [k for k in spec.vectors if not k.startswith(OBJECTS)]
        self.free = {key: config.n_obs * spec.observations[key][0] for key in free}
        self.joints = nn.Linear(sum(self.free.values()), width)
        self.pose = nn.Linear(config.n_obs * POSE, width)
        self.name = nn.Linear(config.sentence.width, width)
        self.images = ImageEncoder(spec.observations, config.vision)
        self.patch = nn.Linear(self.images.channels, width)
        features = config.vision.features
        named = config.mentions and config.sentence.encoder == NGRAMS
        self.asked = nn.Linear(1, width, bias=False) if named else None
        self.point = nn.Linear(features, width) if self.images.shapes else nn.Identity()
        cells = len(self.images.shapes) * config.n_obs * (config.grid**2 + 1)
        self.cell = nn.Parameter(torch.randn(cells, width) * 0.02)

    def forward(self, obs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return tokens (B, T, width), and which are none: objects not there, (B, T) bool."""
        joints = self.joints(torch.cat([obs[key].flatten(1) for key in self.free], dim=1))
        tokens = [joints[:, None], *self._pictures(obs)]
        absent = torch.zeros((joints.shape[0], sum(t.shape[1] for t in tokens)), dtype=torch.bool)
        absent = absent.to(joints.device)
        if keys := [key for key in sorted(obs) if key.startswith(OBJECTS)]:
            objects, none = self._objects(obs, keys)
            tokens, absent = [*tokens, objects], torch.cat([absent, none], dim=1)
        return torch.cat(tokens, dim=1), absent

    def _objects(self, obs: Mapping[str, Tensor], keys: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return a token an object, those of a row that are there first, and which are none."""
        poses = torch.stack([obs[key].flatten(1) for key in keys], dim=1)
        told, none = self._told(keys).to(poses.device), poses.isnan().any(-1)
        tokens = self.pose(poses.masked_fill(none[..., None], 0.0)) + self._named(told)
        if self.asked is not None:
            tokens = tokens + self.asked(mentioned(told, obs["sentence"])[..., None])
        if tracing():  # a graph has one way for all values: those not there stay
            return tokens, none
        most = int((~none).sum(1).max())
        order = none.int().argsort(dim=1, stable=True)[:, :most]
        where = order[..., None].expand(-1, -1, tokens.shape[2])
        return tokens.gather(1, where), none.gather(1, order)

    def _told(self, keys: Sequence[str]) -> Tensor:
        """Return the words of each object's name as tokens (objects, NAME, GRAMS)."""
        told = [(words_of(key.removeprefix(OBJECTS)) or [key])[:NAME] for key in keys]
        rows = [[pieces(word, self.words[0].buckets) for word in name] for name in told]
        return torch.tensor([[*row, *[(0,) * GRAMS] * (NAME - len(row))] for row in rows])

    def _named(self, told: Tensor) -> Tensor:
        """Return objects' names as tokens (objects, width): the mean of their words."""
        found = self.words[0](told)  # one look-up: its gradient is large
        mean = found.sum(1) / (told != 0).any(-1).sum(-1, keepdim=True)
        named: Tensor = self.name(mean)
        return named

    def _pictures(self, obs: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the tokens of all cameras: keypoints, then grids; nothing without cameras."""
        if not self.images.shapes:
            return []
        maps = self.images.maps(obs)
        pooled = [grid_means(m.flatten(0, 1), self.grid) for m in maps]
        rows = maps[0].shape[0]
        cells = torch.cat(
            [p.permute(0, 2, 3, 1).reshape(rows, -1, self.images.channels) for p in pooled], dim=1
        )
        points = self.point(self.images.vectors(maps).flatten(1, 2))
        return [torch.cat([points, self.patch(cells)], dim=1) + self.cell]


def mentioned(names: Tensor, sentence: Tensor) -> Tensor:
    """Return the share of each name's words that stand in each sentence (B, objects), 0..1.

    Args:
        names: words as tokens (objects, NAME, GRAMS), zeros behind the last.
        sentence: words as tokens (B, W, GRAMS), zeros behind the last.
    """
    there = (names != 0).any(-1)
    same = (names[None, :, :, None] == sentence[:, None, None]).all(-1)
    return (same.any(-1) & there).sum(-1) / there.sum(-1)


class TokenHead(nn.Module):
    """Reads the readouts and gives logits over the bins of every action of a chunk."""

    def __init__(self, features: int, width: int, steps: int, config: VlaConfig) -> None:
        """Build a decoder of ``steps`` time steps of ``features`` numbers each."""
        super().__init__()
        shape = config.transformer
        inner = shape.layer.width
        self.seen = (config.readouts, width)
        self.shape = (config.chunk, features // config.patch, config.bins)
        self.memory = nn.Linear(width, inner)
        self.query = nn.Parameter(torch.randn(steps, inner) * 0.02)
        self.stack = Stack(shape.layer, shape.layers, cross=True)
        self.out = nn.Linear(inner, features * config.bins)

    def forward(self, condition: Tensor) -> Tensor:
        """Return logits (B, chunk, n, bins) under ``condition`` (B, readouts * width)."""
        memory = self.memory(condition.reshape(-1, *self.seen))
        x = self.stack(self.query.expand(memory.shape[0], -1, -1), memory)
        logits: Tensor = self.out(x).reshape(-1, *self.shape)
        return logits
