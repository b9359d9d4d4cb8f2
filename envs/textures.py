"""Look-up of a model's textures for the ray caster."""

import mujoco
import numpy as np

from envs.arm import Array


class Texture:
    """A 2-D texture with its smaller copies, so that it does not flicker at a distance."""

    def __init__(self, model: mujoco.MjModel, index: int) -> None:
        """Copy texture ``index`` of ``model`` and halve it down to one pixel."""
        image = _pixels(model, index)
        self.shape = image.shape[:2]
        levels = [image]
        while min(levels[-1].shape[:2]) > 1:
            big = levels[-1]
            h, w = big.shape[0] // 2 * 2, big.shape[1] // 2 * 2
            levels.append(big[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean(axis=(1, 3)))
        sizes = np.array([level.shape[:2] for level in levels], np.int32)
        self._height, self._width = sizes[:, 0], sizes[:, 1]
        self._start = np.cumsum([0, *(sizes[:-1].prod(axis=1))], dtype=np.int32)
        self._texels = np.concatenate([level.reshape(-1, 3) for level in levels])

    def look_up(self, uv: Array, texels: Array) -> Array:
        """Return the colours (n, 3) float32 at points of a surface.

        Args:
            uv: texture coordinates (n, 2); the texture repeats at every integer.
            texels: width (n,) of an image pixel at the point, in texels.
        """
        level: Array = np.frexp(np.maximum(texels, 1.0))[1] - 1  # floor of log2
        np.minimum(level, len(self._start) - 1, out=level)
        uv = uv - np.floor(uv)
        width, height = self._width[level], self._height[level]
        column = (uv[:, 0] * width).astype(np.int32)
        row = (uv[:, 1] * height).astype(np.int32)
        np.minimum(column, width - 1, out=column)
        np.minimum(row, height - 1, out=row)
        row *= width
        row += column
        row += self._start[level]
        return self._texels.take(row, axis=0)


class Sky:
    """The background: the skybox as a gradient over elevation."""

    _STEPS = 181

    def __init__(self, model: mujoco.MjModel) -> None:
        """Read the skybox of ``model``; black where it has none."""
        self._gradient = np.zeros((self._STEPS, 3), np.float32)
        skybox = int(mujoco.mjtTexture.mjTEXTURE_SKYBOX)
        for index in np.flatnonzero(model.tex_type == skybox)[:1]:
            self._read(_pixels(model, int(index)))

    def _read(self, image: Array) -> None:
        """Sample the middle of a side face below 45 degrees, of top and bottom beyond."""
        side = image.shape[1]
        top, bottom, front = (image[k * side : (k + 1) * side] for k in (2, 3, 5))
        for step, elevation in enumerate(np.linspace(-np.pi / 2, np.pi / 2, self._STEPS)):
            slope = np.tan(elevation)
            if abs(slope) <= 1:
                row = int((1 - slope) / 2 * (side - 1))
                self._gradient[step] = front[row, side // 2]
            else:
                face = top if slope > 0 else bottom
                self._gradient[step] = face[int((1 + 1 / abs(slope)) / 2 * (side - 1)), side // 2]

    def colour(self, rays: Array) -> Array:
        """Return the colours (n, 3) float32 in the directions of unit ``rays`` (n, 3)."""
        elevation = np.arcsin(np.clip(rays[:, 2], -1.0, 1.0)) / np.pi + 0.5
        colours: Array = self._gradient[(elevation * (self._STEPS - 1)).astype(np.int64)]
        return colours


def _pixels(model: mujoco.MjModel, index: int) -> Array:
    """Return the pixels (h, w, 3) float32 in 0..1 of a texture."""
    h, w = int(model.tex_height[index]), int(model.tex_width[index])
    channels, start = int(model.tex_nchannel[index]), int(model.tex_adr[index])
    flat = model.tex_data[start : start + h * w * channels]
    image: Array = flat.reshape(h, w, channels)[..., :3].astype(np.float32) / 255.0
    return image if channels >= 3 else np.repeat(image[..., :1], 3, axis=2)
