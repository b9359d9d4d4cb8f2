"""Pictures of a scene whose state is told: as its cameras see it, variations and lens included."""

from collections.abc import Mapping
from typing import Any

import mujoco

from envs.arm import Array, CameraSpec
from envs.frames import Frames
from envs.optics import Lens
from envs.variation import apply
from envs.viewer import Snapshot
from envs.world import World


class SceneView:
    """Draws snapshots of one world, in this process."""

    def __init__(self, world: World) -> None:
        """Prepare to draw ``world``."""
        self.world, self._frames = world, Frames(world)
        self._model = world.model.__copy__()
        self._factors: Mapping[str, Any] = {}

    def draw(self, shot: Snapshot, camera: CameraSpec, *, shadows: bool = False) -> Array:
        """Return what ``camera`` sees (h, w, 3) uint8; the camera ``view`` is for people."""
        if shot.start.factors != self._factors:
            apply(self._model, self.world, mujoco.MjData(self.world.model), shot.start.factors)
            self._factors = shot.start.factors
        self._frames.set(self._model, shot.qpos, shot.zones, shot.start)
        lens = Lens.of(shot.start.factors) if camera.name in self.world.arm.cameras else None
        return self._frames.draw(camera, shadows=shadows, lens=lens)
