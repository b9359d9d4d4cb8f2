"""The twin's table: things are set up by themselves, the task is judged by what is true.

Object poses are of the truth, too, unless they are to be seen by tags (``Sight``). In real time
pictures come from emulated cameras (``twin_cameras.py``), on an own clock from ``TwinFrames``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from envs.arm import Array, CameraSpec, InitialCondition
from envs.errors import UsageError
from envs.gap import with_gap
from envs.scene_view import SceneView
from envs.task import StageTracker
from envs.viewer import Snapshot
from real.address import Manner
from real.connect import connect
from real.control import FarArm
from real.emulators.camera_faults import CameraFaults
from real.emulators.twin import ClockTwin, Twin
from real.emulators.twin_cameras import seen_by_tags, twin_rig
from real.real_arm import RealArm, Seen, Senses
from real.safety_log import SafetyLog

FPS = 30.0
"""Pictures a second."""

TRUTH, TAGS = "truth", "tags"
"""How object poses are had."""


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
    """Cameras of a twin on its own clock: ``FPS`` pictures a second when somebody looks."""

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


@dataclass(frozen=True)
class Sight:
    """How a twin's arm sees.

    Attributes:
        objects: ``truth``, or ``tags``: by ArUco tags that the overhead camera sees.
        faults: of the emulated cameras.
    """

    objects: str = "truth"
    faults: CameraFaults | None = None

    def __post_init__(self) -> None:
        """Refuse another way to see.

        Raises:
            UsageError: ``objects`` is none of the two.
        """
        if self.objects not in (TRUTH, TAGS):
            raise UsageError(f"objects must be {TRUTH} or {TAGS}, got {self.objects!r}")


def twin_arm(
    twin: Twin | ClockTwin,
    cameras: Sequence[CameraSpec] = (),
    manner: Manner | None = None,
    log: Path | None = None,
    sight: Sight | None = None,
) -> RealArm:
    """Connect to a twin as to a real arm: same driver, same safety chain, same control process.

    The cameras of a ``Twin`` are emulated RealSense cameras in a process of their own. A
    ``ClockTwin`` is driven in this process, on its clock, and its pictures are drawn when somebody
    looks.

    Args:
        twin: to connect to.
        cameras: what a policy sees; none: object poses instead.
        manner: how it is driven.
        log: file of the safety log.
        sight: how objects are seen; by default the truth.

    Raises:
        UsageError: an arm that is not as it should be, or a camera library that is missing.
        MachineError: a motor that cannot be switched on, named; or a camera.
    """
    table, sight = TwinTable(twin), sight or Sight()
    if isinstance(twin, ClockTwin):
        if sight.objects == TAGS:
            raise UsageError("tags are seen by cameras in real time: leave out the own clock")
        now = twin.now
        safe = connect(twin.address, manner, log=SafetyLog(log))
        frames = TwinFrames(table, cameras, now)
        senses = Senses(frames, lambda: table.poses(now), now=now)
        return RealArm(safe, twin.truth.world.task, table, senses, cameras)
    with ExitStack() as stack:
        joints = FarArm(twin.address, manner, log)
        stack.callback(joints.close)
        senses = twin_senses(twin, table, joints, cameras, sight)
        arm = RealArm(joints, twin.truth.world.task, table, senses, cameras)
        stack.pop_all()
    return arm


def twin_senses(
    twin: Twin, table: TwinTable, joints: FarArm, cameras: Sequence[CameraSpec], sight: Sight
) -> Senses:
    """Return what an arm sees of a twin in real time: pictures, or object poses."""
    now = time.monotonic
    if cameras:
        rig = twin_rig(twin, [camera.name for camera in cameras], faults=sight.faults)
        return Senses(rig.frames, now=now, fault=rig.fault, close=rig.close)
    if sight.objects == TRUTH:
        return Senses(poses=lambda: table.poses(now), now=now)
    return seen_by_tags(twin, joints, sight.faults)
