"""How the scene looks: light, table top, background, cameras. Nothing here is felt."""

from collections.abc import Sequence

import mujoco
import numpy as np

from envs.arm import Array
from envs.robot_builder import look_at
from envs.robot_model import Table, View

_WOOD = (0.79, 0.67, 0.52)
_WOOD_SIZE = 256
_PLANKS = 4


def set_looks(spec: mujoco.MjSpec, table: Table) -> None:
    """Set light, depth range and textures; sizes and quality belong to the renderer.

    The lights add up to one on a surface that faces them, so that nothing saturates and pictures
    with and without shadows agree.
    """
    visual = spec.visual
    visual.headlight.ambient = [0.34] * 3
    visual.headlight.diffuse = [0.17] * 3
    visual.headlight.specular = [0.05] * 3
    # Coarse tessellation is enough under directional light, and twice as fast in software.
    visual.quality.numslices, visual.quality.numstacks, visual.quality.numquads = 20, 8, 1
    visual.map.znear, visual.map.zfar = 0.01, 10.0
    visual.map.shadowclip = table.shadows
    spec.stat.extent = 1.0
    spec.stat.center = [*table.centre, 0.15]
    spec.worldbody.add_light(
        name="key",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.9 + (table.centre[0] - Table().centre[0]), -0.8, 1.9],  # shadows are drawn below it
        dir=[-0.35, 0.45, -1.0],
        diffuse=[0.60] * 3,
        specular=[0.12] * 3,
        castshadow=True,
    )
    _add_table_tops(spec)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        width=64,
        height=64 * 6,
        rgb1=[0.86, 0.88, 0.90],
        rgb2=[0.62, 0.64, 0.67],
    )


def add_cameras(spec: mujoco.MjSpec, overhead: View, view: View) -> None:
    """Add ``overhead``, which sees the workspace from above its far edge, and ``view``.

    ``overhead`` looks back at the robot, steeply down: the arm comes from the top of the image and
    hides little of what it works on. ``view`` is for people.
    """
    for name, at, fovy in (("overhead", overhead, 36.0), ("view", view, 38.0)):
        spec.worldbody.add_camera(
            name=name, pos=list(at.eye), quat=list(look_at(at.eye, at.target)), fovy=fovy
        )


def add_table_legs(
    spec: mujoco.MjSpec, half: Sequence[float], centre: Sequence[float], floor: float
) -> None:
    """Add four legs below a table of half extents ``half`` (3,) [m] whose top is z = 0."""
    height = -floor - 2 * half[2]
    for x in (-1, 1):
        for y in (-1, 1):
            spec.worldbody.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=[0.025, 0.025, height / 2],
                pos=[
                    centre[0] + x * (half[0] - 0.05),
                    centre[1] + y * (half[1] - 0.05),
                    floor + height / 2,
                ],
                rgba=[0.30, 0.31, 0.33, 1.0],
                contype=0,
                conaffinity=0,
                group=1,
            )


def _add_table_tops(spec: mujoco.MjSpec) -> None:
    """Add the table's material, and the two that only the texture variation gives it."""
    wood = spec.add_texture(
        name="table",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=_WOOD_SIZE,
        height=_WOOD_SIZE,
        nchannel=3,
    )
    wood.data = (255 * _wood()).astype(np.uint8).tobytes()
    spec.add_texture(
        name="table_checker",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        width=64,
        height=64,
        rgb1=[1.0, 1.0, 1.0],
        rgb2=[0.45, 0.45, 0.45],
    )
    spec.add_material(name="table_plain", specular=0.1, shininess=0.3)
    for name, repeat in (("table", 1), ("table_checker", 12)):
        material = spec.add_material(
            name=name, specular=0.1, shininess=0.3, texrepeat=[repeat, repeat]
        )
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _wood() -> Array:
    """Return boards with grain along y, (h, w, 3) in 0..1; always the same."""
    rng = np.random.default_rng(7)
    size, board = _WOOD_SIZE, _WOOD_SIZE // _PLANKS
    grain = rng.normal(size=(size, size))
    frequency = np.fft.fftfreq(size)
    # Long waves along the boards, short ones across: streaks.
    keep = np.exp(-((frequency[:, None] * 90) ** 2) - (frequency[None, :] * 6) ** 2)
    grain = np.fft.ifft2(np.fft.fft2(grain) * keep).real
    tone = 1.0 + 0.035 * grain / grain.std()
    tone *= np.repeat(1.0 + 0.03 * rng.normal(size=_PLANKS), board)[None, :]
    tone[:, ::board] *= 0.86
    image: Array = np.clip(tone[:, :, None] * np.array(_WOOD), 0.0, 1.0)
    return image
