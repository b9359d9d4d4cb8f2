"""Pictures of a simulation, by OpenGL where it works and by the built-in ray caster elsewhere.

Quality is explicit because it costs: with software OpenGL an 84 x 84 image takes .7 ms without
shadows, about 4 ms with them.
"""

import atexit
import threading
import weakref
from collections import deque
from typing import Protocol

import mujoco
import numpy as np

from envs import gl
from envs.arm import Array
from envs.raycast import RayCaster
from envs.samples import Sample, samples


def shadow_size(size: tuple[int, int]) -> int:
    """Return the width of the shadow map [px] that suits an image of ``size``."""
    return 512 if max(size) <= 256 else 2048


_SPARE_GEOMS = 64
"""Room in the abstract scene beside the model's geoms."""


class _Painter(Protocol):
    """What draws: OpenGL or the ray caster."""

    def draw(self, model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> Array:
        """Return an image (h, w, 3) uint8."""

    def upload_texture(self, model: mujoco.MjModel, texture: int) -> None:
        """Take over changed pixels of a texture."""

    def close(self) -> None:
        """Free what is held."""


class Renderer:
    """Draws images of one size.

    Attributes:
        backend: what draws: ``egl``, ``osmesa``, ``glfw`` or ``ray``.
        width, height: size of the images, px.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        width: int,
        height: int,
        *,
        backend: str | None = None,
        shadows: bool = False,
        antialias: int = 0,
    ) -> None:
        """Prepare to draw ``model`` and copies of it.

        Args:
            model: gives textures and the number of geoms; not kept.
            width: width of the images, px.
            height: height of the images, px.
            backend: see ``envs.gl.choose_backend``.
            shadows: whether lights cast shadows.
            antialias: k > 1 averages k x k samples a pixel, each with the light moved a little
                too, so that shadows become soft; the cost is k^2-fold.

        Raises:
            ValueError: if the size is not 1..4096 px or ``antialias`` not 0..8.
            UsageError: if the backend asked for does not work.
        """
        if not (0 < width <= 4096 and 0 < height <= 4096):
            raise ValueError(f"image size must be 1..4096 px, got {width}x{height}")
        if not 0 <= antialias <= 8:
            raise ValueError(f"antialias must be 0..8, got {antialias}")
        self.width, self.height = width, height
        self.backend = gl.choose_backend(backend)
        size, passes = (width, height), samples(antialias)
        self._painter: _Painter | None = (
            RayCaster(model, size, passes, shadows)
            if self.backend == "ray"
            else _OpenGL(model, size, passes, shadows, self.backend)
        )

    def render(self, model: mujoco.MjModel, data: mujoco.MjData, camera: str | int) -> Array:
        """Return the image (height, width, 3) uint8 RGB that ``camera`` sees.

        Args:
            model: the model given at first or a copy of it; its present colours, lights, cameras
                and materials are used, its textures only after ``upload_texture``.
            data: the state; positions of geoms, cameras and lights must be up to date
                (``mj_forward``, or ``mj_kinematics`` and ``mj_camlight``).
            camera: name or index of a camera of the model.

        Raises:
            ValueError: if the camera does not exist, or after ``close``.
        """
        index = model.camera(camera).id if isinstance(camera, str) else camera
        if not 0 <= index < model.ncam:
            raise ValueError(f"camera must be 0..{model.ncam - 1}, got {camera}")
        return self._open().draw(model, data, index)

    def upload_texture(self, model: mujoco.MjModel, name: str) -> None:
        """Take over the pixels of texture ``name`` after ``model.tex_data`` was changed."""
        self._open().upload_texture(model, model.texture(name).id)

    def close(self) -> None:
        """Free the buffers; closing twice does nothing."""
        if self._painter is not None:
            self._painter.close()
        self._painter = None

    def _open(self) -> _Painter:
        if self._painter is None:
            raise ValueError("the renderer must be open, got a closed one")
        return self._painter

    def __enter__(self) -> "Renderer":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class _OpenGL:
    """Draws with MuJoCo's own renderer, in the process's one context."""

    def __init__(
        self,
        model: mujoco.MjModel,
        size: tuple[int, int],
        passes: tuple[Sample, ...],
        shadows: bool,
        backend: str,
    ) -> None:
        self._backend = backend
        context = _current(backend)
        self._context = _make_buffers(model, size, shadows)
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + _SPARE_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._area = mujoco.MjrRect(0, 0, *size)
        self._pixels = np.empty((size[1], size[0], 3), np.uint8)
        self._passes = passes
        # Buffers must go before the context, also when the process ends.
        self._release = weakref.finalize(self, _free, context, self._context)
        _watch_the_end(context)

    def draw(self, model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> Array:
        _current(self._backend)
        # Another size's renderer in the same context may have bound its own buffer.
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._camera.fixedcamid = camera
        self._context.mat_texid[: model.mat_texid.size] = model.mat_texid.ravel()
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            model, data, self._option, None, self._camera, everything, self._scene
        )
        if len(self._passes) == 1:
            return self._draw_once()
        total: Array = np.zeros(self._pixels.shape, np.uint16)
        for sample in self._passes:
            total += self._draw_moved(sample)
        return ((total + len(self._passes) // 2) // len(self._passes)).astype(np.uint8)

    def _draw_once(self) -> Array:
        mujoco.mjr_render(self._area, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._area, self._context)
        return self._pixels[::-1].copy()  # OpenGL's rows run upwards

    def _draw_moved(self, sample: Sample) -> Array:
        """Draw with the image plane and the lights shifted by ``sample``, then shift them back."""
        scene, height = self._scene, self._pixels.shape[0]
        frames = [(c.frustum_center, c.frustum_top, c.frustum_bottom) for c in scene.camera]
        lights = [light.dir.copy() for light in scene.lights[: scene.nlight]]
        for eye in scene.camera:
            pixel = (eye.frustum_top - eye.frustum_bottom) / height
            eye.frustum_center += sample.x * pixel
            eye.frustum_top += sample.y * pixel
            eye.frustum_bottom += sample.y * pixel
        for light in scene.lights[: scene.nlight]:
            if not light.headlight:
                light.dir[:] = sample.tilt(light.dir)
        image = self._draw_once()
        for eye, frame in zip(scene.camera, frames, strict=True):
            eye.frustum_center, eye.frustum_top, eye.frustum_bottom = frame
        for light, direction in zip(scene.lights, lights, strict=False):
            light.dir[:] = direction
        return image

    def upload_texture(self, model: mujoco.MjModel, texture: int) -> None:
        _current(self._backend)
        mujoco.mjr_uploadTexture(model, self._context, texture)

    def close(self) -> None:
        if self._release.alive:
            _current(self._backend)
            self._release()


def _make_buffers(model: mujoco.MjModel, size: tuple[int, int], shadows: bool) -> mujoco.MjrContext:
    """Create MuJoCo's buffers for exactly one size and quality; the model is left as it was."""
    visual = model.vis
    kept = (
        visual.global_.offwidth,
        visual.global_.offheight,
        visual.quality.shadowsize,
        visual.quality.offsamples,
    )
    visual.global_.offwidth, visual.global_.offheight = size
    visual.quality.shadowsize = shadow_size(size) if shadows else 0
    visual.quality.offsamples = 0
    try:
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
    finally:
        visual.global_.offwidth, visual.global_.offheight = kept[:2]
        visual.quality.shadowsize, visual.quality.offsamples = kept[2:]
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    return context


_left: deque[mujoco.MjrContext] = deque()
"""Buffers of renderers that were collected in a thread that does not draw."""
_ending = threading.Event()


def _watch_the_end(context: gl.Context) -> None:
    """Have all buffers freed before the context when the process ends."""
    atexit.unregister(_end)
    atexit.register(_end, context)


def _end(context: gl.Context) -> None:
    _ending.set()
    while _left:
        context.make_current()
        _left.pop().free()


def _current(backend: str) -> gl.Context:
    """Return the process's context, current in this thread, and free what others left."""
    context = gl.shared_context(backend)
    while _left:
        _left.pop().free()
    return context


def _free(context: gl.Context, buffers: mujoco.MjrContext) -> None:
    """Free buffers; in a thread that does not draw, leave them to one that does.

    The garbage collector may call this in any thread, and a context that it took there would be
    missing where pictures are drawn.
    """
    if not (gl.holds() or _ending.is_set()):
        _left.append(buffers)
        return
    context.make_current()
    buffers.free()
