"""What a camera does to a picture: exposure, focus, compression."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from envs.arm import Array
from envs.gap import WHITE, gap_of
from envs.robot_model import Vec3

BLUR_AT = 84
"""Width of a frame [px] at which a blur is stated; on a larger frame it covers as much."""


def expose(frame: Array, gain: float | Array) -> Array:
    """Return a frame (h, w, 3) uint8 exposed ``gain`` times as long; what is too bright clips.

    ``gain`` (3,) is that of each colour.
    """
    return np.asarray(np.clip(frame * gain + 0.5, 0, 255), np.uint8)


def blur(frame: Array, sigma: float) -> Array:
    """Return a frame out of focus: a Gaussian of ``sigma`` [px of an 84 px wide frame]."""
    radius = sigma * frame.shape[1] / BLUR_AT
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(radius)))


def through_jpeg(frame: Array, quality: int) -> Array:
    """Return a frame as it comes out of a JPEG of ``quality`` 1..100."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@dataclass(frozen=True)
class Lens:
    """What becomes of every frame of one episode, in this order; the defaults leave it as it is.

    Attributes:
        gain: of the exposure.
        tint: gains of red, green and blue beside it.
        sigma: of the blur [px of an 84 px wide frame].
        jpeg: quality, 100 for none.
    """

    gain: float = 1.0
    sigma: float = 0.0
    jpeg: int = 100
    tint: Vec3 = WHITE

    @classmethod
    def of(cls, factors: Mapping[str, Any]) -> "Lens":
        """Return the lens that the factors of a start ask for."""
        quality = factors.get("image_quality", {})
        jpeg = int(factors.get("observation", {}).get("jpeg", 100))
        gap = gap_of(factors)
        gain = quality.get("gain", 1.0) * gap.exposure
        return cls(gain, quality.get("blur", 0.0), jpeg, gap.tint)

    def take(self, frame: Array) -> Array:
        """Return a frame (h, w, 3) uint8 as it comes through."""
        if self.tint != WHITE:
            frame = expose(frame, self.gain * np.array(self.tint))
        elif self.gain != 1.0:
            frame = expose(frame, self.gain)
        if self.sigma > 0.0:
            frame = blur(frame, self.sigma)
        return frame if self.jpeg >= 100 else through_jpeg(frame, self.jpeg)
