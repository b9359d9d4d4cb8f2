"""What a camera would see of tags and boards, rendered by MuJoCo, with the truth beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from PIL import Image, ImageFilter
from scipy.spatial.transform import Rotation

from envs.arm import Array, InitialCondition
from envs.pictures import Picture, add_picture, with_pictures
from envs.render import Renderer
from envs.robot_builder import look_at
from envs.tasks.pick_place import HALF, PickPlace
from envs.world import World
from real.charuco import Board
from real.emulators.twin_tags import tag_pictures
from real.pinhole import FROM_MUJOCO, Intrinsics, Pose
from real.tags import tagged_box

NOISE, BLUR = 2.0, 0.5
"""Standard deviations of a pixel's noise [of 255] and of the lens' blur [px]."""

CUBE = tagged_box("cube", (HALF, HALF, HALF), 0, 0.03)
"""The cube of pick_place with a 30 mm tag on every side but the lower one."""

TURN = Pose(quaternion=FROM_MUJOCO)


def taken(picture: Array, rng: np.random.Generator, blur: float = BLUR) -> Array:
    """Return a picture (h, w, 3) uint8 as a camera takes it."""
    soft = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(blur)), float)
    return np.asarray((soft + rng.normal(0, NOISE, soft.shape)).clip(0, 255), np.uint8)


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture with the truth: where the cube and the camera are, in the arm's frame."""

    image: Array
    cube: Pose
    camera: Pose
    lens: Intrinsics


class TaggedScene:
    """The pick_place scene of the ViperX with tags on the cube, seen from above."""

    def __init__(self, width: int = 640, height: int = 480, antialias: int = 3) -> None:
        """Build it."""
        self.world = World(with_pictures(PickPlace(), tag_pictures(CUBE)))
        self.data = mujoco.MjData(self.world.model)
        self._renderer = Renderer(self.world.model, width, height, antialias=antialias)

    def see(
        self,
        rng: np.random.Generator,
        lifted: float = 0.0,
        tilt: float = 0.0,
        start: InitialCondition | None = None,
    ) -> Seen:
        """Draw a start of the task unless one is given, lift and tilt the cube [m, rad], look."""
        model, data = self.world.model, self.data
        start = start or self.world.task.sample(rng, self.world.arm)
        self.world.place(data, start)
        at = self.world.objects["cube"]
        pose = Pose.from_array(data.qpos[at : at + 7])
        away = rng.normal(size=2)
        axis = np.array([*(away / np.linalg.norm(away)), 0.0])
        turned = Rotation.from_rotvec(axis * tilt) * pose.rotation
        data.qpos[at : at + 7] = Pose.of(np.add(pose.position, (0, 0, lifted)), turned).array
        mujoco.mj_forward(model, data)
        camera = model.camera("overhead").id
        rotation = Rotation.from_matrix(data.cam_xmat[camera].reshape(3, 3))
        eye = Pose.of(data.cam_xpos[camera], rotation) @ TURN
        image = taken(self._renderer.render(model, data, camera), rng)
        size = (self._renderer.width, self._renderer.height)
        lens = Intrinsics.simulated(*size, float(model.cam_fovy[camera]))
        return Seen(image, Pose.from_array(data.qpos[at : at + 7]), eye, lens)

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()


class BoardScene:
    """A board on a table, its lower left corner in the origin, and a camera that can be moved."""

    def __init__(self, board: Board, lens: Intrinsics | None = None, antialias: int = 3) -> None:
        """Build it; the lens has no distortion and its principal point in the middle."""
        self.board = board
        self.lens = lens or Intrinsics.simulated(640, 480, 42.0)
        width, height = board.size
        spec = mujoco.MjSpec()
        spec.visual.headlight.ambient = [0.45] * 3
        spec.visual.headlight.diffuse = [0.4] * 3
        spec.visual.headlight.specular = [0.0] * 3
        spec.visual.map.znear = 0.01
        spec.stat.extent = 1.0
        spec.worldbody.add_geom(
            name="table",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.6, 0.6, 0.01],
            pos=[width / 2, height / 2, -0.011],
            rgba=[0.6, 0.52, 0.42, 1.0],
        )
        edge = 0.2 * board.square  # white paper around the pattern
        paper = np.full((8, 8), 255, np.uint8)
        middle = (width / 2, height / 2, 0.0)
        sheet = Picture(
            "paper", paper, (width / 2 + edge, height / 2 + edge), pos=(*middle[:2], -0.0003)
        )
        add_picture(spec, sheet)
        add_picture(spec, Picture("board", board.image(80), (width / 2, height / 2), pos=middle))
        spec.worldbody.add_camera(name="camera", fovy=self.lens.fovy)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        size = (self.lens.width, self.lens.height)
        self._renderer = Renderer(self.model, *size, antialias=antialias)

    def see(self, camera: Pose, rng: np.random.Generator, count: int = 1) -> list[Array]:
        """Return so many pictures from one place, each with noise of its own."""
        pose = camera @ TURN
        self.model.camera("camera").pos[:] = pose.position
        self.model.camera("camera").quat[:] = pose.quaternion
        mujoco.mj_forward(self.model, self.data)
        drawn = self._renderer.render(self.model, self.data, "camera")
        return [taken(drawn, rng) for _ in range(count)]

    def aimed(self, distance: float, tilt: float, around: float, roll: float = 0.0) -> Pose:
        """Return a camera that looks at the board's middle.

        Args:
            distance: from the middle [m].
            tilt: from the board's z [deg].
            around: where it stands, about the board's z [deg].
            roll: about the line of sight [deg].
        """
        middle = np.array([self.board.size[0] / 2, self.board.size[1] / 2, 0.0])
        t, a = np.radians([tilt, around])
        out = np.array([np.sin(t) * np.cos(a), np.sin(t) * np.sin(a), np.cos(t)])
        eye = middle + distance * out
        up: Sequence[float] = (0.0, 1.0, 0.0) if abs(out[1]) < 0.9 else (1.0, 0.0, 0.0)
        w, x, y, z = look_at(eye.tolist(), middle.tolist(), up)
        aimed = Pose.of(eye, Rotation.from_quat([x, y, z, w])) @ TURN
        return aimed @ Pose.of(np.zeros(3), Rotation.from_euler("z", roll, degrees=True))

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()
