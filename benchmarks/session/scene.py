"""Where things of a task must be, from above: shapes, the camera, the operator's picture."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.session.rig import Placing
from envs.arm import Array, CameraSpec, InitialCondition
from envs.world import World
from real.pinhole import FROM_MUJOCO, Intrinsics, Pose
from real.reset_check import ResetReport, Shape, Tolerance, check_reset, words
from real.reset_overlay import overlay
from real.tags import Sighting

CAMERA = CameraSpec("overhead", 480, 360)
"""From which the operator's picture is drawn where the arm has no camera of its own."""

ROUND = 0  # turns of what looks the same from all sides


@dataclass(frozen=True, eq=False)
class Eye:
    """A camera that looks at the table: its lens, and its pose in the arm's frame."""

    lens: Intrinsics
    pose: Pose

    @classmethod
    def simulated(cls, world: World, camera: CameraSpec = CAMERA) -> "Eye":
        """Return a fixed camera of a simulated scene."""
        found = world.model.camera(camera.name)
        pose = Pose.from_array([*found.pos, *found.quat]) @ Pose(quaternion=FROM_MUJOCO)
        fovy = float(found.fovy[0])
        return cls(Intrinsics.simulated(camera.width, camera.height, fovy), pose)


def shapes_of(world: World) -> dict[str, Shape]:
    """Return the shapes of a task's things: the box around their geometry, zones as discs.

    What is equally long along x and y looks the same after a quarter turn, else after a half.
    """
    found = {}
    for name in world.task.objects:
        low, high = _bounds(world, name)
        half = np.maximum(np.abs(low), np.abs(high))
        if name in world.zones:
            radius = float(half[:2].max())
            found[name] = Shape((radius, radius, max(float(half[2]), 0.0005)), ROUND)
        else:
            turns = 4 if abs(half[0] - half[1]) < 1e-4 else 2
            found[name] = Shape((float(half[0]), float(half[1]), float(half[2])), turns)
    return found


def _bounds(world: World, name: str) -> tuple[Array, Array]:
    """Return the corners of the box around a body's geometry, in its frame [m]."""
    model = world.model
    body = model.body(name)
    first, count = int(body.geomadr[0]), int(body.geomnum[0])
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).T.reshape(-1, 3)
    for geom in range(first, first + count):
        middle, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        pose = Pose.from_array([*model.geom_pos[geom], *model.geom_quat[geom]])
        corners = pose.apply(middle + signs * half)
        low, high = np.minimum(low, corners.min(axis=0)), np.maximum(high, corners.max(axis=0))
    if not count:
        return np.zeros(3), np.zeros(3)
    return low, high


@dataclass(frozen=True, eq=False)
class Judge:
    """Compares a scene with a start, in numbers, words and a picture."""

    world: World
    eye: Eye
    shapes: Mapping[str, Shape]
    tolerance: Tolerance

    def placing(
        self,
        start: InitialCondition,
        qpos: Array,
        seen: Mapping[str, Sighting],
        picture: Array | None,
    ) -> Placing:
        """Return how the scene compares with ``start``.

        Args:
            start: what is wanted.
            qpos: where the joints are (n,).
            seen: the objects that were seen.
            picture: what the eye sees (h, w, 3) uint8; None: no picture is made.
        """
        wanted = {name: start.objects[name] for name in self.shapes}
        asked = replace(start, objects=wanted)
        report = check_reset(asked, self.world.arm, qpos, seen, self.shapes, self.tolerance)
        lines = tuple(text for right, text in words(report, self.eye.pose) if right is not True)
        png = b"" if picture is None else self._drawn(picture, report)
        return Placing(report.ok, lines, _numbers(report), png)

    def _drawn(self, picture: Array, report: ResetReport) -> bytes:
        drawn = overlay(picture, report, self.eye.lens, self.eye.pose, self.shapes)
        buffer = io.BytesIO()
        Image.fromarray(drawn).save(buffer, "PNG")
        return buffer.getvalue()


def _numbers(report: ResetReport) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in report.objects:
        off = None if item.found is None else round(1e3 * float(np.hypot(*item.off)), 2)
        turn = round(float(np.degrees(item.turn)), 2)
        found[item.name] = {"off_mm": off, "turn_deg": turn, "ok": item.ok}
    return found
