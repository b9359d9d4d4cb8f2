"""What training does to images, and how they are made numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor


def as_float(images: Tensor) -> Tensor:
    """Return images as float 0..1: uint8 is divided by 255, float is taken as it is."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def crop_size(side: int, crop: float) -> int:
    """Return how many of ``side`` pixels a crop of fraction ``crop`` keeps."""
    return max(1, round(side * crop))


@dataclass(frozen=True)
class AugmentConfig:
    """What training does to images.

    Attributes:
        crop: fraction of each side kept by the random crop; the encoder's.
        brightness: largest relative change, as are ``contrast`` and ``saturation``.
        contrast: about the mean of the image.
        saturation: about the grey image.
        cutout: side of the rectangle painted over, as a fraction of the image; 0 for none.
        cutout_rate: share of the images that get one.
    """

    crop: float = 76 / 84
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    cutout: float = 0.2
    cutout_rate: float = 0.3


def augment(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Crop, recolour and cover images at random, each row on its own, its time steps alike.

    Args:
        images: (B, T, h, w, 3) uint8 or float 0..1, of one camera.
        config: how much.
        generator: the only source of randomness.

    Returns:
        (B, T, h', w', 3) float 0..1.
    """
    out = as_float(random_crop(images, config.crop, generator))
    return cutout(jitter(out, config, generator), config, generator)


def random_crop(images: Tensor, crop: float, generator: torch.Generator) -> Tensor:
    """Cut a window at a random place out of each row of images (B, T, h, w, 3)."""
    rows, _, height, width, _ = images.shape
    tall, wide = crop_size(height, crop), crop_size(width, crop)
    top = torch.randint(height - tall + 1, (rows,), generator=generator)
    left = torch.randint(width - wide + 1, (rows,), generator=generator)
    windows = images.unfold(2, tall, 1).unfold(3, wide, 1).permute(0, 2, 3, 1, 5, 6, 4)
    cut: Tensor = windows[torch.arange(rows), top, left]
    return cut


def jitter(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast and saturation of images (B, T, h, w, 3), float 0..1."""
    spread = torch.tensor([config.brightness, config.contrast, config.saturation])
    draws = torch.rand((3, len(images)), generator=generator) * 2 - 1
    light, contrast, colour = (1 + draws * spread[:, None])[..., None, None, None, None]
    grey = images.mean(-1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    # grey + colour (x - grey), then mean + contrast (x - mean), then light x, in two products
    out = images * (light * contrast * colour)
    out = out + grey * (light * contrast * (1 - colour)) + mean * (light * (1 - contrast))
    clamped: Tensor = out.clamp_(0, 1)
    return clamped


def cutout(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Paint one rectangle of a random grey over some of the images (B, T, h, w, 3), float."""
    if config.cutout == 0 or config.cutout_rate == 0:
        return images
    rows, _, height, width, _ = images.shape
    chosen, y, x, grey = torch.rand((4, rows, 1), generator=generator)
    across = (torch.arange(width) / width - x).abs() < config.cutout / 2
    down = (torch.arange(height) / height - y).abs() < config.cutout / 2
    mask = (down[:, :, None] & across[:, None, :]) & (chosen < config.cutout_rate)[..., None]
    return torch.where(mask[:, None, :, :, None], grey[..., None, None, None], images)
