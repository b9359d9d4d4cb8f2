"""Pictures of a simulation: sets a state in scratch data and draws it."""

from typing import TYPE_CHECKING, Any

import mujoco

from envs.arm import Array, CameraSpec, InitialCondition
from envs.optics import Lens
from envs.world import World

if TYPE_CHECKING:
    from envs.render import Renderer


class Frames:
    """Draws states of one world; renderers are made when first needed, one a frame size."""

    def __init__(self, world: World) -> None:
        """Prepare to draw ``world``."""
        self.world = world
        self.data = mujoco.MjData(world.model)
        self.model = world.model
        self._renderers: dict[tuple[Any, ...], Renderer] = {}

    def set(
        self, model: mujoco.MjModel, qpos: Array, zones: Array, start: InitialCondition
    ) -> None:
        """Take the state for the next draw.

        Args:
            model: its looks.
            qpos: joint positions (nq,).
            zones: where the zones are (nmocap, 3) [m].
            start: how the zones are turned.
        """
        self.model = model
        self.world.place(self.data, start)
        self.data.qpos[:] = qpos
        self.data.mocap_pos[:] = zones
        mujoco.mj_kinematics(model, self.data)
        mujoco.mj_comPos(model, self.data)
        mujoco.mj_camlight(model, self.data)

    def draw(
        self,
        camera: CameraSpec,
        *,
        shadows: bool = False,
        antialias: int = 0,
        lens: Lens | None = None,
    ) -> Array:
        """Return the frame (h, w, 3) uint8, as it comes through ``lens``."""
        from envs.render import Renderer

        key = (camera.width, camera.height, shadows, antialias)
        if key not in self._renderers:
            self._renderers[key] = Renderer(
                self.world.model, camera.width, camera.height, shadows=shadows, antialias=antialias
            )
        frame = self._renderers[key].render(self.model, self.data, camera.name)
        return frame if lens is None else lens.take(frame)
