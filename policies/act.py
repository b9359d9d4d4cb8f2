"""Action Chunking with Transformers (Zhao et al. 2023, "Learning fine-grained manipulation").

A conditional variational auto-encoder. In training, a style encoder reads [CLS, joints, actions]
and gives a latent z ~ N(mean, variance); an encoder reads z and the observation; a decoder, whose
queries stand for times, gives the chunk of actions. At test time z = 0.
Loss: L1 + kl_weight KL(z || N(0, 1)).

The presets other than ``paper`` differ in that a query stands for ``patch`` consecutive actions
(one token, one linear map), which is cheaper and learns sooner, and in that images enter as one
token of spatial-softmax points a camera rather than as feature maps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from envs.errors import UsageError
from policies.attention import SMALL, LayerConfig, Stack, sinusoids
from policies.augment import AugmentConfig
from policies.base import Algorithm, AlgorithmConfig, PolicySpec, Preset, TrainDefaults, flat
from policies.vision import KEYPOINTS, RESNET18, ImageEncoder, VisionConfig


@dataclass(frozen=True)
class ActConfig(AlgorithmConfig):
    """Settings of ACT.

    Attributes:
        patch: consecutive actions in one token; 1 in the paper.
        layer: shape of every transformer layer.
        style_layers: layers of the style encoder.
        encoder_layers: layers over the observation.
        decoder_layers: layers over the queries. The paper's code builds 7 and uses the first.
        latent: size of z.
        kl_weight: of the Kullback-Leibler divergence, summed over z, averaged over the batch.
        hidden: hidden size of the network that makes one token of all vectors together; 0: each
            vector is a token of its own, by a linear map (the paper).
        maps: whether every place of the feature maps is a token (the paper) or a camera is one.
        vision: image encoder of the pixel track.
    """

    chunk: int = 100
    execute: int = 40
    patch: int = 10
    layer: LayerConfig = SMALL
    style_layers: int = 1
    encoder_layers: int = 4
    decoder_layers: int = 1
    latent: int = 32
    kl_weight: float = 10.0
    hidden: int = 256
    maps: bool = False
    vision: VisionConfig = KEYPOINTS

    def __post_init__(self) -> None:
        """Refuse a chunk that does not divide into tokens."""
        super().__post_init__()
        if self.chunk % self.patch:
            raise UsageError(f"chunk must be a multiple of patch={self.patch}, got {self.chunk}")

    @property
    def queries(self) -> int:
        """Tokens of a chunk."""
        return self.chunk // self.patch


def patches(x: Tensor, size: int) -> Tensor:
    """(B, T, d) -> (B, T / size, size d)."""
    return x.reshape(len(x), -1, size * x.shape[-1])


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Module:
    """Return two linear layers with SiLU between them, or one if ``hidden`` is 0."""
    if not hidden:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


class Style(nn.Module):
    """The posterior q(z | joints, actions)."""

    def __init__(self, config: ActConfig, joints: int, actions: int) -> None:
        """Build the encoder for ``joints`` and ``actions`` values a step."""
        super().__init__()
        width = config.layer.width
        self.patch = config.patch
        self.cls = nn.Parameter(torch.randn(width) * 0.02)
        self.joints = nn.Linear(joints, width)
        self.actions = nn.Linear(actions * config.patch, width)
        self.position: Tensor
        times = torch.arange(2 + config.queries)
        self.register_buffer("position", sinusoids(times, width), persistent=False)
        self.stack = Stack(config.layer, config.style_layers)
        self.out = nn.Linear(width, 2 * config.latent)
        nn.init.zeros_(self.out.weight)  # KL starts at 0; else its gradient drowns that of L1
        nn.init.zeros_(self.out.bias)

    def forward(self, joints: Tensor, actions: Tensor, pad: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of z, each (B, latent) in fp32.

        Args:
            joints: (B, j).
            actions: (B, chunk, n).
            pad: (B, chunk), True beyond the end of the episode.
        """
        actions = actions.masked_fill(pad[..., None], 0.0)
        tokens = [self.cls.expand(len(joints), 1, -1), self.joints(joints)[:, None]]
        tokens.append(self.actions(patches(actions, self.patch)))
        absent = pad.reshape(len(pad), -1, self.patch).all(-1)
        absent = torch.cat([absent.new_zeros(len(pad), 2), absent], dim=1)
        read = self.stack(torch.cat(tokens, dim=1) + self.position, pad=absent)
        mean, log_variance = self.out(read[:, 0]).float().chunk(2, dim=-1)
        return mean, log_variance


QUICK = TrainDefaults(
    steps=1200,
    batch=64,
    lr=1e-3,
    schedule="constant",
    ema_power=0.75,
    ema_max=0.997,
    normalization="meanstd",
)
CPU = replace(QUICK, steps=3000, ema_max=0.999)
"""A constant rate and averaged weights: with the cosine, training longer made success fall."""

SEEING = ActConfig(execute=100)
"""From pixels, to predict anew within a chunk costs success: 94 of 100 with 100 actions executed,
90 with 80, 76 with 40, a few with 20 (4000 steps, starts of the ``dev`` kind)."""

PAPER = ActConfig(
    execute=100,
    patch=1,
    layer=LayerConfig(width=512, feedforward=3200),
    style_layers=4,
    hidden=0,
    maps=True,
    vision=replace(RESNET18, crop=1.0),
)
PAPER_TRAINING = TrainDefaults(
    steps=10_000,
    batch=8,
    lr=1e-5,
    schedule="constant",
    warmup=0,
    clip=0.0,
    precision="fp32",
    normalization="meanstd",
)
"""10 k steps are about 2000 epochs of 50 episodes."""


class ACT(Algorithm):
    """Style encoder, observation encoder, action decoder."""

    Config: ClassVar = ActConfig
    config: ActConfig

    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("state", "quick"): Preset(ActConfig(), QUICK),
        ("state", "cpu"): Preset(ActConfig(), CPU),
        ("state", "paper"): Preset(PAPER, PAPER_TRAINING),
        ("pixels", "quick"): Preset(SEEING, replace(QUICK, augment=AugmentConfig())),
        ("pixels", "cpu"): Preset(SEEING, replace(CPU, steps=6000, augment=AugmentConfig())),
        ("pixels", "paper"): Preset(PAPER, PAPER_TRAINING),
    }

    def __init__(self, config: ActConfig, spec: PolicySpec) -> None:
        """Build the networks."""
        super().__init__(config, spec)
        width = config.layer.width
        sizes = {key: spec.observations[key][0] for key in spec.vectors}
        self.style = Style(config, sizes["qpos"], spec.n)
        self.latent = nn.Linear(config.latent, width)
        if config.hidden:
            sizes = {"all": spec.width}
        self.vectors = nn.ModuleList(
            perceptron(config.n_obs * size, config.hidden, width) for size in sizes.values()
        )
        self.images = ImageEncoder(spec.observations, config.vision, vectors=not config.maps)
        channels = self.images.channels if config.maps else config.vision.features
        self.image = nn.Linear(config.n_obs * channels, width) if spec.images else nn.Identity()
        kinds = 1 + len(self.vectors) + len(spec.images)
        self.kind = nn.Parameter(torch.randn(kinds, width) * 0.02)
        self.encoder = Stack(config.layer, config.encoder_layers)
        self.query = nn.Parameter(torch.randn(config.queries, width) * 0.02)
        self.decoder = Stack(config.layer, config.decoder_layers, cross=True)
        self.out = nn.Linear(width, config.patch * spec.n)

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """L1 with the padding masked and left out of the mean, and the weighted KL."""
        action, pad = batch["action"], batch["pad"]
        mean, log_variance = self.style(batch["qpos"][:, -1], action, pad)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        error = (self.decode(batch, z).float() - action).abs().mean(-1)
        l1 = error.masked_fill(pad, 0.0).sum() / (~pad).sum()
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(-1).mean()
        return l1 + self.config.kl_weight * kl, {"l1": l1.item(), "kl": kl.item()}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Decode z = 0; there is no noise."""
        like = obs["qpos"]
        return self.decode(obs, like.new_zeros(like.shape[0], self.config.latent))

    def decode(self, obs: Mapping[str, Tensor], z: Tensor) -> Tensor:
        """Return the chunk (B, chunk, n) for observations and latent (B, latent)."""
        memory = self.encoder(torch.cat(self.tokens(obs, z), dim=1))
        out: Tensor = self.out(self.decoder(self.query.expand(z.shape[0], -1, -1), memory))
        return out.reshape(z.shape[0], self.config.chunk, -1)

    def tokens(self, obs: Mapping[str, Tensor], z: Tensor) -> list[Tensor]:
        """Return what the encoder reads: z, each vector, each camera, all (B, s, width)."""
        one = [flat(obs, self.spec)]
        vectors = one if self.config.hidden else [obs[key] for key in self.spec.vectors]
        out = [self.latent(z)[:, None]]
        for vector, net in zip(vectors, self.vectors, strict=True):
            out.append(net(vector.flatten(1))[:, None])
        if self.spec.images:
            out += self.camera_tokens(obs)
        return [tokens + kind for tokens, kind in zip(out, self.kind, strict=True)]

    def camera_tokens(self, obs: Mapping[str, Tensor]) -> list[Tensor]:
        """Return one token a camera, or one a place of its feature map; (B, s, width) each."""
        if not self.config.maps:
            points = self.images(obs).permute(2, 0, 1, 3).flatten(2)  # (cameras, B, n_obs f)
            return [self.image(one)[:, None] for one in points]
        out = []
        for maps in self.images.maps(obs):  # (B, n_obs, C, h, w)
            places = maps.permute(0, 3, 4, 1, 2).flatten(3)
            codes = plane(places.shape[1], places.shape[2], self.kind.shape[-1])
            out.append(self.image(places) + codes.to(places.device))
        return [tokens.flatten(1, 2) for tokens in out]


def plane(height: int, width: int, size: int) -> Tensor:
    """Return sine and cosine codes (height, width, size) of places in a map: row, then column."""
    rows = sinusoids(torch.arange(height), size // 2)[:, None].expand(-1, width, -1)
    columns = sinusoids(torch.arange(width), size // 2)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=-1)
