"""The twin's table: things are set up by themselves, the task is judged by what is true.

Object poses and pictures are of the truth, too (``TwinTable.poses``, ``TwinFrames``): a twin
without tags and without a camera library. Where there are some, they take their place in
``RealArm``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envs.arm import Array, CameraSpec, InitialCondition
from envs.gap import with_gap
from envs.scene_view import SceneView
from envs.task import StageTracker
from envs.viewer import Snapshot
from real.address import Manner
from real.connect import connect
from real.control import FarArm
from real.emulators.twin import ClockTwin, Twin
from real.real_arm import Joints, RealArm, Seen, Senses
from real.safety_log import SafetyLog

FPS = 30.0
"""Pictures a second."""


class TwinTable:
    """The table of a twin.

    Attributes:
        tracker: follows the task's stages, as in simulation.
    """

    def __init__(self, twin: Twin | ClockTwin) -> None:
        """Set up and judge the table of ``twin``."""
        self._twin, self.truth = twin, twin.truth
        self.world = self.truth.world
        self.tracker = self._new_tracker()
        self._view: SceneView | None = None

    def _new_tracker(self) -> StageTracker:
        return StageTracker(self.world.task, self.world.arm.control_hz, 0)

    def set_up(self, start: InitialCondition) -> None:
        """Put the things where ``start`` says."""
        self._twin.set_up(start)
        self.tracker = self._new_tracker()

    def look(self) -> int:
        """Account for a control period; return the stages reached in order."""
        self.tracker.update(self.truth.readings())
        return int(self.tracker.stage)

    def snapshot(self) -> Snapshot:
        """Return what is needed to draw the scene as it is, the gap included."""
        shot = self.truth.snapshot()
        return replace(shot, start=with_gap(shot.start, self._twin.setup.gap))

    def picture(self, camera: CameraSpec) -> Array:
        """Return what ``camera`` sees (h, w, 3) uint8."""
        if self._view is None:
            self._view = SceneView(self.world)
        return self._view.draw(self.snapshot(), camera)

    def poses(self, now: Callable[[], float]) -> Mapping[str, Seen]:
        """Return where every object is, as seen at this moment of the clock ``now``."""
        return {name: Seen(pose, now()) for name, pose in self.truth.poses().items()}


@dataclass(frozen=True, eq=False)
class TwinPicture:
    """A picture (h, w, 3) uint8 with its number and when it was there [s]; a ``Picture``."""

    image: Array
    number: int
    arrived_s: float


class TwinFrames:
    """Cameras of a twin that take ``FPS`` pictures a second when somebody looks."""

    def __init__(
        self, table: TwinTable, cameras: Sequence[CameraSpec], now: Callable[[], float]
    ) -> None:
        """Look at ``table`` with ``cameras``, by the clock ``now``."""
        self._table, self._cameras, self._now = table, tuple(cameras), now
        self._taken: dict[str, TwinPicture] = {}

    def __call__(self) -> Mapping[str, TwinPicture]:
        """Return the newest picture of every camera."""
        now = self._now()
        number = int(now * FPS)
        for camera in self._cameras:
            last = self._taken.get(camera.name)
            if last is None or last.number != number:
                image = self._table.picture(camera)
                self._taken[camera.name] = TwinPicture(image, number, number / FPS)
        return self._taken


def twin_arm(
    twin: Twin | ClockTwin,
    cameras: Sequence[CameraSpec] = (),
    manner: Manner | None = None,
    log: Path | None = None,
) -> RealArm:
    """Connect to a twin as to a real arm: same driver, same safety chain, same control process.

    A ``ClockTwin`` is driven in this process, on its clock.

    Args:
        twin: to connect to.
        cameras: what a policy sees; none: object poses instead.
        manner: how it is driven.
        log: file of the safety log.

    Raises:
        UsageError: an arm that is not as it should be.
        MachineError: a motor that cannot be switched on, named.
    """
    table = TwinTable(twin)
    now: Callable[[], float] = time.monotonic
    joints: Joints
    if isinstance(twin, ClockTwin):
        now = twin.now
        joints = connect(twin.address, manner, log=SafetyLog(log))
    else:
        joints = FarArm(twin.address, manner, log)
    senses = Senses(TwinFrames(table, cameras, now), lambda: table.poses(now), now)
    return RealArm(joints, twin.truth.world.task, table, senses, cameras)
