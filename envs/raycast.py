"""A renderer that needs no OpenGL: MuJoCo's ray casting, shaded as OpenGL would.

Colour = surface colour x texture x (ambient + sum over lights of diffuse x cosine), where the
headlight shines along the camera's axis. Left out, as hardly visible here: specular highlights,
reflections, positional falloff (all lights count as directional).
"""

from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np

from envs.arm import Array
from envs.ray_bounds import VISIBLE, widen_bounds
from envs.samples import Sample
from envs.textures import Sky, Texture

_FAR = 50.0
"""Distance from which shadow rays start, m: rays to the scene are then almost parallel."""

_NEAR_SURFACE = 2e-3
"""A shadow ray that gets this close to a point has reached it, m."""

_UNSET = np.array([0.5, 0.5, 0.5, 1.0], np.float32)
"""Colour of a geom that leaves it to its material."""

_RGB = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)


@dataclass(frozen=True)
class _Hits:
    """What the rays met: geom (n,) or -1; distance (n,) m; unit normal (n, 3); ray (n, 3)."""

    geom: Array
    distance: Array
    normal: Array
    ray: Array
    origin: Array


class RayCaster:
    """Draws by casting a ray for each pixel; deterministic."""

    def __init__(
        self,
        model: mujoco.MjModel,
        size: tuple[int, int],
        passes: tuple[Sample, ...],
        shadows: bool,
    ) -> None:
        """Prepare to draw ``model`` and its copies.

        Args:
            model: gives the textures.
            size: width and height of the images, px.
            passes: samples over which a picture is averaged.
            shadows: whether lights cast shadows (one more set of rays a light).
        """
        self._size, self._passes, self._shadows = size, passes, shadows
        n = size[0] * size[1]
        self._geom = np.empty(n, np.int32)
        self._distance = np.empty(n)
        self._normal = np.empty(3 * n)
        flat = np.flatnonzero(model.tex_type == int(mujoco.mjtTexture.mjTEXTURE_2D))
        self._textures = {int(index): Texture(model, int(index)) for index in flat}
        self._sky = Sky(model)
        self._wide = widen_bounds(model)

    def draw(self, model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> Array:
        """Return the image (h, w, 3) uint8; see ``envs.render.Renderer.render``."""
        for name in ("geom_type", "geom_size", "geom_aabb"):
            getattr(self._wide, name)[:] = getattr(model, name)
        total = self._draw_once(model, data, camera, self._passes[0])
        for sample in self._passes[1:]:
            total += self._draw_once(model, data, camera, sample)
        total *= 255.0 / len(self._passes)
        total += 0.5
        image: Array = total.astype(np.uint8).reshape(self._size[1], self._size[0], 3)
        return image

    def upload_texture(self, model: mujoco.MjModel, texture: int) -> None:
        """Take over changed pixels of a texture."""
        self._textures[texture] = Texture(model, texture)

    def close(self) -> None:
        """Nothing is held."""

    def _draw_once(
        self, model: mujoco.MjModel, data: mujoco.MjData, camera: int, sample: Sample
    ) -> Array:
        """Return linear colours (n, 3) float32 in 0..1 of one pass."""
        hits = self._cast(model, data, camera, sample)
        colour = self._light(model, data, camera, sample, hits)
        colour *= _surface(model, hits)
        if not self._shadows:  # OpenGL clamps before texturing; with shadows each light apart
            np.minimum(colour, 1.0, out=colour)
        self._paint(model, data, hits, float(model.cam_fovy[camera]), colour)
        missed = np.flatnonzero(hits.geom < 0)
        if missed.size:
            colour[missed] = self._sky.colour(hits.ray[missed])
        return np.minimum(colour, 1.0, out=colour)

    def _cast(
        self, model: mujoco.MjModel, data: mujoco.MjData, camera: int, sample: Sample
    ) -> _Hits:
        fovy = float(model.cam_fovy[camera])
        rays = (
            _directions(*self._size, fovy, sample.x, sample.y)
            @ data.cam_xmat[camera].reshape(3, 3).T
        )
        origin = data.cam_xpos[camera]
        self._shoot(data, origin, rays, self._normal)
        normal = self._normal.reshape(-1, 3).astype(np.float32)
        return _Hits(self._geom.copy(), self._distance.copy(), normal, rays, origin)

    def _shoot(self, data: mujoco.MjData, origin: Array, rays: Array, normal: Array | None) -> None:
        mujoco.mj_multiRay(
            self._wide,
            data,
            origin,
            rays.ravel(),
            VISIBLE,
            True,
            -1,
            self._geom,
            self._distance,
            normal,
            len(rays),
            mujoco.mjMAXVAL,
        )

    def _light(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        camera: int,
        sample: Sample,
        hits: _Hits,
    ) -> Array:
        """Return the light (n, 3) float32 that each point sends back."""
        head = model.vis.headlight
        ambient = np.array(head.ambient, np.float32) * head.active
        directions = [-data.cam_xmat[camera].reshape(3, 3)[:, 2]]
        colours = [np.array(head.diffuse) * head.active]
        shadows: list[Array | None] = [None]
        for i in np.flatnonzero(model.light_active):
            direction = sample.tilt(data.light_xdir[i])
            ambient += model.light_ambient[i]
            directions.append(direction)
            colours.append(model.light_diffuse[i])
            casts = self._shadows and bool(model.light_castshadow[i])
            shadows.append(self._reached(model, data, direction, hits) if casts else None)
        cosine = hits.normal @ -np.array(directions, np.float32).T
        np.maximum(cosine, 0.0, out=cosine)
        for column, reached in enumerate(shadows):
            if reached is not None:
                cosine[:, column] *= reached
        light: Array = cosine @ np.array(colours, np.float32)
        light += ambient
        return light

    def _reached(
        self, model: mujoco.MjModel, data: mujoco.MjData, direction: Array, hits: _Hits
    ) -> Array:
        """Tell for each point whether light along ``direction`` gets there, (n,) bool."""
        source = np.asarray(model.stat.center) - _FAR * direction
        rays = hits.origin - source + hits.ray * hits.distance[:, None]
        far = np.sqrt(np.einsum("ij,ij->i", rays, rays))
        self._shoot(data, source, rays / far[:, None], None)
        reached: Array = (self._distance > far - _NEAR_SURFACE) | (self._geom < 0)
        return reached

    def _paint(
        self, model: mujoco.MjModel, data: mujoco.MjData, hits: _Hits, fovy: float, colour: Array
    ) -> None:
        """Multiply ``colour`` (n, 3) by the textures of the geoms that have one."""
        pixel = 2.0 * np.tan(np.radians(fovy) / 2) / self._size[1]
        for geom in np.flatnonzero(model.geom_matid >= 0):
            texture = int(model.mat_texid[model.geom_matid[geom], _RGB])
            rows = np.flatnonzero(hits.geom == geom)
            if texture < 0 or not rows.size:
                continue
            image = self._textures[texture]
            to_uv, origin_uv = _texture_frame(model, data, hits.origin, int(geom))
            distance = hits.distance.take(rows).astype(np.float32)
            uv = hits.ray.take(rows, axis=0).astype(np.float32) @ to_uv
            uv *= distance[:, None]
            uv += origin_uv
            distance *= pixel * image.shape[1] * np.linalg.norm(to_uv[:, 0])  # now in texels
            colour[rows] *= image.look_up(uv, distance)


def _surface(model: mujoco.MjModel, hits: _Hits) -> Array:
    """Return the colour (n, 3) float32 of the surface at each point, without texture."""
    rgb = model.geom_rgba[:, :3].copy()
    plain = (model.geom_rgba == _UNSET).all(axis=1) & (model.geom_matid >= 0)
    rgb[plain] = model.mat_rgba[model.geom_matid[plain], :3]
    colour: Array = rgb.take(hits.geom, axis=0, mode="wrap")
    return colour


def _texture_frame(
    model: mujoco.MjModel, data: mujoco.MjData, origin: Array, geom: int
) -> tuple[Array, Array]:
    """Return the map (3, 2) of world directions to texture coordinates, and the origin's (2,).

    The texture lies on the geom's x and y; the depth below its top is added, so that the sides of
    a box show no stripes.
    """
    repeat = model.mat_texrepeat[model.geom_matid[geom]]
    scale = repeat / (2 * model.geom_size[geom, :2]) * (1, -1)  # rows run against y
    axes = data.geom_xmat[geom].reshape(3, 3)
    to_uv = (axes[:, :2] + axes[:, 2:]) * scale
    top = data.geom_xpos[geom] + axes[:, 2] * model.geom_size[geom, 2]
    offset = (origin - top) @ to_uv
    offset += repeat / 2
    return to_uv.astype(np.float32), offset.astype(np.float32)


@lru_cache(maxsize=64)
def _directions(width: int, height: int, fovy: float, x: float, y: float) -> Array:
    """Return unit rays (h * w, 3) through the pixels, camera frame, rows from the top."""
    pixel = 2.0 * np.tan(np.radians(fovy) / 2) / height
    right = (np.arange(width) + 0.5 - width / 2 + x) * pixel
    up = (height / 2 - np.arange(height) - 0.5 + y) * pixel
    rays = np.empty((height, width, 3))
    rays[..., 0], rays[..., 1], rays[..., 2] = right, up[:, None], -1.0
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    flat = rays.reshape(-1, 3)
    flat.setflags(write=False)
    return flat
