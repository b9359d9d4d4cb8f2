"""Pictures in a scene: tags on objects, calibration boards. No task has any unless it is asked to.

A picture is the upper side of a thin plate that touches nothing and weighs nothing: what happens
in the scene is the same with and without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import mujoco
import numpy as np

from envs.arm import Array
from envs.task import Task

THICKNESS = 0.00005  # half of a plate's [m]: paper, lying on the surface


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in a scene.

    Attributes:
        name: of its plate, texture and material.
        image: (h, w) or (h, w, 3) uint8; first row at the plate's +y, first column at its -x.
        half: half of its width and height [m].
        body: what it is fixed to, by name; ``world`` for the table.
        pos: of its middle, in the body's frame [m].
        quat: wxyz; its z points at who looks at it.
    """

    name: str
    image: Array
    half: tuple[float, float]
    body: str = "world"
    pos: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)


def add_picture(spec: mujoco.MjSpec, picture: Picture) -> None:
    """Add ``picture`` to a scene that has its body.

    Raises:
        ValueError: there is no such body.
    """
    body = spec.worldbody if picture.body == "world" else spec.body(picture.body)
    if body is None:
        raise ValueError(f"a picture must be fixed to a body of the scene, got {picture.body!r}")
    image = picture.image
    image = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
    texture = spec.add_texture(
        name=picture.name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=image.shape[1],
        height=image.shape[0],
        nchannel=3,
    )
    texture.data = np.ascontiguousarray(image).tobytes()
    material = spec.add_material(name=picture.name, specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = picture.name
    lift = np.zeros(3)
    mujoco.mju_rotVecQuat(lift, np.array([0.0, 0.0, THICKNESS]), np.array(picture.quat))
    body.add_geom(
        name=picture.name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[*picture.half, THICKNESS],
        pos=(np.array(picture.pos) + lift).tolist(),
        quat=list(picture.quat),
        material=picture.name,
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def with_pictures(task: Task, pictures: Sequence[Picture]) -> Task:
    """Return ``task`` with pictures in its scene; all else is the same."""
    kind = type(task)

    def build(self: Task, spec: mujoco.MjSpec) -> None:
        kind.build(self, spec)
        for picture in pictures:
            add_picture(spec, picture)

    pictured = type(f"Pictured{kind.__name__}", (kind,), {"build": build, "__doc__": kind.__doc__})
    made: Task = pictured(**{field.name: getattr(task, field.name) for field in fields(task)})
    return made
