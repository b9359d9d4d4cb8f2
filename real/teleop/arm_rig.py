"""A real arm, or its twin, as what a person drives from the page: views, time, emergency stop."""

from collections.abc import Mapping, Sequence
from typing import Any

from envs.arm import Array, CameraSpec, InitialCondition
from envs.collection import Collection
from envs.errors import UsageError
from envs.tasks import TASKS
from envs.viewer import Snapshot, Viewer, compass, facing, to_jpeg
from envs.world import world
from real.real_arm import RealArm, fit
from real.scene_words import scene
from real.stop import StopBoard
from real.teleop.rig import LONGEST_S, MAIN, SMALL, ArmRig, Seat


class RealRig(ArmRig):
    """A ``RealArm``: whoever drives it passes its safety chain, and anybody may stop it.

    Attributes:
        arm: what is driven.
        board: where an emergency stop is asked for.
    """

    timed = True
    stops = True
    arm: RealArm

    def __init__(
        self,
        arm: RealArm,
        collection: Collection,
        limit_s: float,
        board: StopBoard,
        emulated: bool = False,
    ) -> None:
        """Drive ``arm``; its cameras are the views. An episode is over after ``limit_s`` [s].

        ``emulated``: nothing of it is real, and its files say so.

        Raises:
            UsageError: a limit that cannot be.
        """
        if not 0 < limit_s <= LONGEST_S:
            raise UsageError(f"--limit must be above 0, to {LONGEST_S:g} s, got {limit_s:g}")
        made = world(TASKS[collection.task], collection.robot)
        looks, views = facing(made), self._views(arm)
        ways = tuple(
            compass(made, view.name, looks) if view.name in _cameras(made.model) else None
            for view in views
        )
        limit = round(limit_s * arm.spec.control_hz)
        super().__init__(arm, collection, limit, Seat(looks, views, ways))
        self.board, self.sim = board, emulated or self.sim
        self._first: float | None = None

    def _views(self, arm: RealArm) -> tuple[CameraSpec, ...]:
        """Return what the person sees: every camera, the first one large."""
        names = [*arm.senses.frames()]
        sizes = [MAIN] + [SMALL] * len(names)
        return tuple(CameraSpec(name, *size) for name, size in zip(names, sizes, strict=False))

    def begin(self, index: int) -> InitialCondition:
        """Go to the start of episode ``index`` on a slow ramp; see ``RealArm.home``."""
        self._first = None
        start = super().begin(index)
        self.scene = "" if self.judges else scene(start)
        return start

    @property
    def stage(self) -> int:
        """Stages of the task that were seen to be reached."""
        return self.arm.stage

    @property
    def numbers(self) -> Mapping[str, int]:
        """Number of every camera's picture in the present observation."""
        return self.arm.numbers

    def moment(self, step: int) -> float:
        """Return when the present observation was made, from the first recorded one on [s]."""
        if step == 0 or self._first is None:
            self._first = self.arm.stamp
        return self.arm.stamp - self._first

    def stop(self, message: Mapping[str, Any]) -> None:
        """Ask for an emergency stop; see ``StopBoard.event``."""
        self.board.event(message)

    def snapshot(self) -> Mapping[str, Array]:
        """Return the newest picture of every camera."""
        return {name: frame.image for name, frame in self.arm.senses.frames().items()}

    def draw(self, snapshot: Mapping[str, Array]) -> tuple[bytes, ...]:
        """Return a JPEG for each view."""
        return tuple(to_jpeg(fit(snapshot[view.name], view)) for view in self.seat.cameras)


class TwinRig(RealRig):
    """The twin: the person sees its scene as in the simulation, and it sees success itself."""

    judges = True
    sim = True

    def __init__(
        self,
        arm: RealArm,
        collection: Collection,
        limit_s: float,
        board: StopBoard,
        views: Sequence[CameraSpec] = (),
    ) -> None:
        """Drive a twin's ``arm``; ``views`` are by default the table and its cameras."""
        self._wanted = tuple(views)
        super().__init__(arm, collection, limit_s, board)
        self.viewer = Viewer(collection.task, collection.robot, 0, self.seat.cameras)

    def _views(self, arm: RealArm) -> tuple[CameraSpec, ...]:
        own = (CameraSpec(name, *SMALL) for name in arm.spec.cameras)
        return self._wanted or (CameraSpec("view", *MAIN), *own)

    @property
    def success(self) -> bool:
        """Whether the goal was held long enough."""
        return self.arm.stage == len(self.task.stages)

    def snapshot(self) -> Snapshot:  # type: ignore[override]
        """Return what is true of the scene."""
        shot: Snapshot = self.arm.table.snapshot()  # type: ignore[attr-defined]
        return shot

    def draw(self, snapshot: Snapshot) -> tuple[bytes, ...]:  # type: ignore[override]
        """Return a JPEG for each view."""
        return self.viewer.draw(snapshot)

    def close(self) -> None:
        """End the process that draws, and release the arm."""
        self.viewer.close()
        super().close()


def _cameras(model: Any) -> set[str]:  # noqa: ANN401  (MuJoCo's)
    return {model.camera(k).name for k in range(model.ncam)}
