"""Where the samples of an anti-aliased picture lie, the same for OpenGL and the ray caster."""

from dataclasses import dataclass

import numpy as np

from envs.arm import Array

LIGHT_RADIUS = 0.035
"""Radius of a directional light's disc as seen from the scene, rad: how soft shadows are."""

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Sample:
    """One pass over the image.

    Attributes:
        x, y: shift of the image plane to the right and up, px, within half a pixel.
        light_x, light_y: shift of the light's direction across itself, rad.
    """

    x: float = 0.0
    y: float = 0.0
    light_x: float = 0.0
    light_y: float = 0.0

    def tilt(self, direction: Array) -> Array:
        """Return the unit direction (3,) of a light, moved within the light's disc."""
        if self.light_x == 0.0 and self.light_y == 0.0:
            return direction
        side = np.cross(direction, (1.0, 0.0, 0.0) if abs(direction[0]) < 0.9 else (0.0, 1.0, 0.0))
        side /= np.linalg.norm(side)
        moved = direction + self.light_x * side + self.light_y * np.cross(direction, side)
        unit: Array = moved / np.linalg.norm(moved)
        return unit


def samples(antialias: int) -> tuple[Sample, ...]:
    """Return the passes for ``antialias`` k: a k x k grid in the pixel, a spiral on the light."""
    k = max(1, antialias)
    if k == 1:
        return (Sample(),)
    centres = (np.arange(k) + 0.5) / k - 0.5
    grid = [(float(x), float(y)) for y in centres for x in centres]
    radius = LIGHT_RADIUS * np.sqrt((np.arange(k * k) + 0.5) / (k * k))
    angle = _GOLDEN_ANGLE * np.arange(k * k)
    light = zip((radius * np.cos(angle)).tolist(), (radius * np.sin(angle)).tolist(), strict=True)
    return tuple(Sample(*at, *shift) for at, shift in zip(grid, light, strict=True))
