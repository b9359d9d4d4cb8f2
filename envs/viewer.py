"""Live pictures of a simulation, drawn in a process of their own.

Drawing takes longer than a control period; here it costs the control loop nothing.
"""

import io
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import mujoco
import numpy as np
from PIL import Image

from envs.arm import Array, CameraSpec, InitialCondition
from envs.frames import Frames
from envs.gl import choose_backend
from envs.task import Task
from envs.tasks import TASKS
from envs.threads import one_thread
from envs.variation import apply
from envs.world import World, world

QUALITY = 80  # of the JPEGs
SLOW_S = 0.2  # drawing takes too long for a hand that watches [s]
PATIENCE = 20  # pictures that may be late before shadows are given up


@dataclass(frozen=True)
class Snapshot:
    """What a picture needs: the episode's start, ``qpos`` (nq,) and ``zones`` (nmocap, 3)."""

    start: InitialCondition
    qpos: Array
    zones: Array


class Viewer:
    """Draws JPEGs of snapshots; the process starts with the first one."""

    def __init__(
        self, task: str, robot: str, distractors: int, cameras: Sequence[CameraSpec]
    ) -> None:
        """Prepare to draw what ``cameras`` see in the scene of ``task`` with ``robot``."""
        self._scene = (task, robot, distractors, tuple(cameras))
        self._process: SpawnProcess | None = None

    def _start(self) -> None:
        choose_backend()  # tried once, here; the child finds the answer in its environment
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_draw_all, args=(*self._scene, other), daemon=True)
        with one_thread():
            self._process.start()
        other.close()

    def draw(self, snapshot: Snapshot) -> tuple[bytes, ...]:
        """Return a JPEG for each camera; the first call takes a second or two.

        Raises:
            ConnectionError: the process has ended.
        """
        if self._process is None:
            self._start()
        try:
            self._pipe.send(snapshot)
            drawn: tuple[bytes, ...] = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ConnectionError("the process that draws the views has ended") from error
        return drawn

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(5)
            self._pipe.close()


def _draw_all(
    task: str, robot: str, distractors: int, cameras: Sequence[CameraSpec], pipe: Connection
) -> None:
    """Answer snapshots with pictures until the other side hangs up."""
    painter = _Painter(TASKS[task], robot, distractors)
    try:
        while True:
            pipe.send(painter.paint(pipe.recv(), cameras))
    except (EOFError, OSError, KeyboardInterrupt):
        return


class _Painter:
    def __init__(self, task: Task, robot: str, distractors: int) -> None:
        self.world = world(task, robot, distractors)
        self.frames = Frames(self.world)
        self.model = self.world.model.__copy__()
        self.factors: Mapping[str, object] = {}
        # The ray caster is slow enough without shadows.
        self.patience = 0 if choose_backend() == "ray" else PATIENCE

    def paint(self, shot: Snapshot, cameras: Sequence[CameraSpec]) -> tuple[bytes, ...]:
        """Draw all cameras, the first with shadows as long as that is fast enough."""
        began = time.monotonic()
        self.take(shot)
        shadows = self.patience > 0
        drawn = tuple(self.jpeg(c, shadows and i == 0) for i, c in enumerate(cameras))
        if time.monotonic() - began > SLOW_S:
            self.patience -= 1
        return drawn

    def take(self, shot: Snapshot) -> None:
        if shot.start.factors != self.factors:
            self.factors = shot.start.factors
            apply(self.model, self.world, mujoco.MjData(self.model), self.factors)
        self.frames.set(self.model, shot.qpos, shot.zones, shot.start)

    def jpeg(self, camera: CameraSpec, shadows: bool) -> bytes:
        return to_jpeg(self.frames.draw(camera, shadows=shadows))


def to_jpeg(frame: Array) -> bytes:
    """Return a frame (h, w, 3) uint8 as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def facing(world: World, camera: str = "view") -> float:
    """Return where a person looks who sees the table as ``camera`` does, in quarter turns [rad].

    0: the way the arm looks; pi: towards it.
    """
    right = _axes(world, camera)[0]
    return float(np.round((np.arctan2(right[1], right[0]) + np.pi / 2) / (np.pi / 2)) * np.pi / 2)


def compass(world: World, camera: str, facing: float) -> tuple[tuple[float, float], ...] | None:
    """Return how far away, left and up point in the picture, (right, down) each; longest 1.

    None for a camera that moves.
    """
    if world.model.camera(camera).bodyid[0] != 0:
        return None
    box = world.arm.workspace
    centre = np.array([sum(box.x) / 2, sum(box.y) / 2, box.hover / 2])
    cos, sin = np.cos(facing), np.sin(facing)
    steps = 0.05 * np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    ways = [_seen(world, camera, centre + step) - _seen(world, camera, centre) for step in steps]
    longest = max(float(np.linalg.norm(way)) for way in ways)
    return tuple((float(x / longest), float(y / longest)) for x, y in ways)


def pixel_of(world: World, camera: CameraSpec, point: Array) -> tuple[int, int]:
    """Return the column and row where a point (3,) [m] is seen by a camera that does not move."""
    half = np.tan(np.radians(float(world.model.camera(camera.name).fovy[0])) / 2)
    right, down = _seen(world, camera.name, point) / half * camera.height / 2
    return round(camera.width / 2 + float(right)), round(camera.height / 2 + float(down))


def _seen(world: World, camera: str, point: Array) -> Array:
    """Return how far right and down a point lies in a picture, as tangents of the angles (2,)."""
    right, up, back = _axes(world, camera)
    ray = point - world.model.camera(camera).pos
    place: Array = np.array([ray @ right, -(ray @ up)]) / -(ray @ back)
    return place


def _axes(world: World, camera: str) -> Array:
    """Return the camera's right, up and backward directions (3, 3) at its place in its body."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, world.model.camera(camera).quat)
    return matrix.reshape(3, 3).T
