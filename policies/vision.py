"""Image encoders, shared by all algorithms.

Images come as the observation holds them, (..., h, w, 3), uint8 or float 0..1. Inside they are
convolved in channels-last memory, which with bf16 is what makes a CPU fast. The networks are
written here because torchvision does not load beside every CPU build of torch; they are trained
from scratch with group normalisation (Chi et al. 2023), no downloaded weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.augment import as_float, crop_size
from policies.torch_build import tracing

IMAGES = "images/"
INSTRUCTION = "instruction"


@dataclass(frozen=True)
class VisionConfig:
    """An image encoder.

    Attributes:
        crop: side kept of an image, as a fraction: a random crop of this size in training, the
            central one at evaluation. 76 of 84 px in Chi et al.; without it half the success goes.
        widths: channels of the residual stages; ResNet-18 has (64, 128, 256, 512).
        blocks: residual blocks a stage; 2 in ResNet-18.
        strides: stride of each stage.
        stem: kernel and stride of the first convolution; (7, 2) in ResNet-18.
        pool: max-pool by 2 after the first convolution, as ResNet does.
        keypoints: points of the spatial softmax (Finn et al. 2016).
        features: size of one camera's feature vector.
    """

    crop: float = 76 / 84
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    strides: tuple[int, ...] = (1, 2, 1)
    stem: tuple[int, int] = (4, 4)
    pool: bool = False
    keypoints: int = 32
    features: int = 64

    def __post_init__(self) -> None:
        """Refuse a crop that is no part of the image and stages without a stride."""
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop must be in (0, 1], got {self.crop}")
        if len(self.widths) != len(self.strides):
            raise ValueError(f"strides must be one a stage of {self.widths}, got {self.strides}")


KEYPOINTS = VisionConfig()
RESNET18 = VisionConfig(
    widths=(64, 128, 256, 512), blocks=2, strides=(1, 2, 2, 2), stem=(7, 2), pool=True
)


class _Norm(nn.GroupNorm):
    """Group normalisation with about 16 channels a group, computed in fp32."""

    def __init__(self, channels: int) -> None:
        super().__init__(max(1, channels // 16), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, h, w)."""
        return functional.group_norm(x.float(), self.num_groups, self.weight, self.bias, self.eps)


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a short cut (He et al. 2016, basic block)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = _Norm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = _Norm(outputs)
        same = inputs == outputs and stride == 1
        self.short = nn.Identity() if same else _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, C, h, w)."""
        y = functional.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return functional.relu(y + self.short(x))


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), _Norm(outputs))


class ResNet(nn.Module):
    """A residual network without its classifier: (B, 3, h, w) -> (B, channels, h', w')."""

    def __init__(self, config: VisionConfig) -> None:
        """Build the stages that ``config`` describes."""
        super().__init__()
        self.channels = config.widths[-1]
        kernel, stride = config.stem
        pad = 0 if kernel == stride else kernel // 2
        self.stem = nn.Conv2d(3, config.widths[0], kernel, stride, pad, bias=False)
        self.norm = _Norm(config.widths[0])
        self.pool = nn.MaxPool2d(3, 2, 1) if config.pool else nn.Identity()
        blocks: list[nn.Module] = []
        before = config.widths[0]
        for width, stride in zip(config.widths, config.strides, strict=True):
            for i in range(config.blocks):
                blocks.append(_Block(before, width, stride if i == 0 else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map of images (B, 3, h, w) in -1..1."""
        out: Tensor = self.blocks(self.pool(functional.relu(self.norm(self.stem(x)))))
        return out


class SpatialSoftmax(nn.Module):
    """Expected image coordinates of K learnt points (Levine et al. 2016, Finn et al. 2016)."""

    def __init__(self, channels: int, keypoints: int) -> None:
        """Map ``channels`` to one score map a point."""
        super().__init__()
        self.score = nn.Conv2d(channels, keypoints, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 2 K): x and y of each point, in -1..1."""
        scores = self.score(maps).float()
        height, width = scores.shape[-2:]
        weight = scores.flatten(2).softmax(-1).unflatten(-1, (height, width))
        across = torch.linspace(-1, 1, width, device=maps.device)
        down = torch.linspace(-1, 1, height, device=maps.device)
        x = (weight.sum(-2) * across).sum(-1)
        y = (weight.sum(-1) * down).sum(-1)
        return torch.cat([x, y], dim=-1)


class Film(nn.Module):
    """Scales and shifts the channels of feature maps by what was asked for (Perez et al. 2018).

    As in BC-Z (Jang et al. 2022) and RT-1 (Brohan et al. 2022): with it the keypoints are those of
    the object that is meant. It begins as the identity.
    """

    def __init__(self, told: int, channels: int) -> None:
        """Read an instruction of ``told`` numbers."""
        super().__init__()
        self.change = nn.Linear(told, 2 * channels)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(self, maps: Tensor, told: Tensor) -> Tensor:
        """Change (B, T, C, h, w) by (B, T, k)."""
        scale, shift = self.change(told)[..., None, None].chunk(2, dim=-3)
        return functional.relu(maps * (1 + scale) + shift)


class ImageEncoder(nn.Module):
    """One residual network a camera, and keypoints, of a task with instructions those asked for."""

    def __init__(
        self,
        observations: Mapping[str, tuple[int, ...]],
        config: VisionConfig,
        *,
        vectors: bool = True,
    ) -> None:
        """Build the networks.

        Args:
            observations: shapes of a policy's observations; the images (h, w, 3) among them are
                encoded, in this order. There may be none.
            config: the same for every camera.
            vectors: whether feature vectors are wanted, or ``maps`` alone.
        """
        super().__init__()
        self.shapes = {k: v for k, v in observations.items() if k.startswith(IMAGES)}
        self.config = config
        self.channels = config.widths[-1]
        self.nets = nn.ModuleList(ResNet(config) for _ in self.shapes)
        points = config.keypoints
        pooled = self.shapes if vectors else {}
        self.points = nn.ModuleList(SpatialSoftmax(self.channels, points) for _ in pooled)
        self.heads = nn.ModuleList(nn.Linear(2 * points, config.features) for _ in pooled)
        told = observations.get(INSTRUCTION, (0,))[0]
        self.films = nn.ModuleList(Film(told, self.channels) for _ in pooled if told)
        for net in self.nets:
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def size(self) -> int:
        """Size of the feature vectors of all cameras together."""
        return len(self.shapes) * self.config.features

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Return one feature vector a camera.

        Args:
            obs: holds ``images/<camera>`` (B, T, h, w, 3) for every camera, whole or cropped, and
                ``instruction`` (B, T, k) where the task has one.

        Returns:
            (B, T, cameras, features).
        """
        return self.vectors(self.maps(obs), obs.get(INSTRUCTION))

    def vectors(self, maps: Sequence[Tensor], told: Tensor | None = None) -> Tensor:
        """Return one feature vector a camera, (B, T, cameras, features).

        Args:
            maps: what ``maps`` gave.
            told: (B, T, k), of an encoder that is told what is meant.
        """
        if told is not None:
            maps = [film(found, told) for film, found in zip(self.films, maps, strict=True)]
        out = []
        for found, points, head in zip(maps, self.points, self.heads, strict=True):
            features = head(points(found.flatten(0, 1)))
            out.append(features.reshape(*found.shape[:2], -1))
        return torch.stack(out, dim=2)

    def maps(self, obs: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the feature maps (B, T, channels, h', w'), one a camera."""
        out = []
        for (key, shape), net in zip(self.shapes.items(), self.nets, strict=True):
            images = obs[key]
            pixels = as_float(self._cropped(images.flatten(0, 1), shape)) * 2 - 1
            found = net(pixels.permute(0, 3, 1, 2))
            out.append(found.reshape(*images.shape[:2], *found.shape[1:]))
        return out

    def _cropped(self, images: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the centre of whole images (B, h, w, 3); cropped ones pass as they are."""
        height, width = (crop_size(side, self.config.crop) for side in shape[:2])
        if tuple(images.shape[1:3]) == (height, width):
            return images
        if tuple(images.shape[1:3]) != tuple(shape[:2]):
            expected = f"{shape[0]}x{shape[1]} or, cropped, {height}x{width}"
            raise ValueError(f"images must be {expected}, got {tuple(images.shape[1:3])}")
        top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
        return images[:, top : top + height, left : left + width]


def grid_means(maps: Tensor, grid: int) -> Tensor:
    """Return the means (B, c, grid, grid) of maps (B, c, h, w) over a grid of windows.

    In a graph these are two matrix products: ONNX pools windows of one size only.
    """
    if not tracing():
        return functional.adaptive_avg_pool2d(maps, grid)
    rows, columns = (_windows(int(size), grid).to(maps.dtype) for size in maps.shape[-2:])
    means: Tensor = rows @ maps @ columns.T
    return means


def _windows(size: int, grid: int) -> Tensor:
    """Return the weights (grid, size) of adaptive windows, from i size / grid to the next."""
    weights = torch.zeros(grid, size)
    for i in range(grid):
        begin, end = i * size // grid, -(-(i + 1) * size // grid)
        weights[i, begin:end] = 1 / (end - begin)
    return weights
