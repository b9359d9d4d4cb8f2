"""The cameras of a twin: emulated RealSense cameras that see what is true of it, in a process.

    rig = twin_rig(twin, ("overhead", "wrist"))

The pictures go the way of a real camera's: MuJoCo draws, librealsense's software device delivers,
the driver receives, ``CameraRig`` shares the newest. Faults can be injected while it runs.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from envs.arm import Array, CameraSpec
from envs.errors import UsageError
from envs.gap import Gap, with_gap
from envs.gl import let_go
from envs.pictures import with_pictures
from envs.scene_view import SceneView
from envs.tasks import TASKS
from envs.viewer import Snapshot
from envs.world import World, world
from real.camera_libraries import realsense
from real.camera_rig import CameraRig, CameraSource
from real.cameras import Mode
from real.emulators.camera_faults import CameraFaults
from real.emulators.realsense import EmulatedCamera, RealSenseEmulator
from real.emulators.twin import Truth, Twin
from real.emulators.twin_tags import tag_pictures, tagged_objects
from real.pinhole import FROM_MUJOCO, Intrinsics, Pose
from real.real_arm import Joints, Senses
from real.real_senses import OVERHEAD, by_tags
from real.realsense import RealSenseConfig
from real.tag_watch import TagSight
from real.tags import TaggedObject

MODE = Mode(424, 240, 30)
"""What the twin's cameras are asked for: 640 x 480 takes MuJoCo without a GPU 26 ms a picture."""

TAG_MODE = Mode(640, 480, 15)
"""For tags: one camera, each tag some 20 px wide."""

MODELS = {OVERHEAD: "D435"}
"""Which model stands for which camera; the others, at wrists, are D405."""


@dataclass
class TwinEye:
    """Draws what a twin's cameras see; it is handed to the process that draws.

    Attributes:
        truth: file of the truth.
        task, robot: registered names.
        gap: how the arm differs from the simulated one.
        mode: of all cameras.
        tags: objects that carry tags.
    """

    truth: Path
    task: str
    robot: str
    gap: Gap
    mode: Mode
    tags: tuple[TaggedObject, ...] = ()
    _made: tuple[Truth, SceneView] | None = field(default=None, init=False)

    def __call__(self, camera: str, t: float) -> tuple[Array, None]:
        """Return a picture (h, w, 3) uint8 of this moment; depth is not drawn."""
        truth, view = self._made = self._made or self._make()
        shot = truth.snapshot()
        seen = Snapshot(with_gap(shot.start, self.gap), shot.qpos, shot.zones)
        return view.draw(seen, CameraSpec(camera, self.mode.width, self.mode.height)), None

    def close(self) -> None:
        """Release what draws, in the thread that drew."""
        self._made = None
        let_go()

    def _make(self) -> tuple[Truth, SceneView]:
        task = TASKS[self.task]
        truth = Truth(self.truth, task, self.robot)
        if not self.tags:
            return truth, SceneView(truth.world)
        pictures = [picture for item in self.tags for picture in tag_pictures(item)]
        return truth, SceneView(World(with_pictures(task, pictures), self.robot))


def twin_rig(
    twin: Twin,
    cameras: Sequence[str],
    mode: Mode = MODE,
    faults: CameraFaults | None = None,
    tags: Sequence[TaggedObject] = (),
) -> CameraRig:
    """Start the cameras of a twin in a process of their own; wait for their first pictures.

    Args:
        twin: whose they are.
        cameras: names, as in the robot's specification.
        mode: size and rate of all of them.
        faults: what is wrong with them.
        tags: objects that carry tags in the pictures.

    Raises:
        UsageError: pyrealsense2 is missing.
        CameraError: they do not start.
    """
    realsense()
    setup = twin.setup
    eye = TwinEye(twin.truth.path, setup.task, setup.arm, setup.gap, mode, tuple(tags))
    emulated = emulated_cameras(world(TASKS[setup.task], setup.arm), cameras)
    emulator = RealSenseEmulator(emulated, eye, faults, setup.seed)
    config = RealSenseConfig(mode)
    return CameraRig(
        [CameraSource(name, partial(emulator.open, name, config), mode) for name in cameras]
    )


def emulated_cameras(robot_world: World, names: Sequence[str]) -> list[EmulatedCamera]:
    """Return the emulated cameras that stand for those of a simulation, with their lenses."""
    model = robot_world.model
    return [
        EmulatedCamera(
            name, MODELS.get(name, "D405"), f"{k:012d}", fovy=float(model.camera(name).fovy[0])
        )
        for k, name in enumerate(names, 1)
    ]


def tag_sight(robot_world: World, mode: Mode = TAG_MODE) -> TagSight:
    """Return the things of a twin that carry tags, and its overhead camera as it should be.

    A gap moves the true camera: what is seen is then off by that, as on an arm.

    Raises:
        UsageError: nothing of the task can carry tags.
    """
    objects = tagged_objects(robot_world)
    if not objects:
        task = robot_world.task.name
        raise UsageError(f"no thing of {task} is a box that tags fit on; leave out the tags")
    camera = robot_world.model.camera(OVERHEAD)
    lens = Intrinsics.simulated(mode.width, mode.height, float(camera.fovy[0]))
    pose = Pose.from_array([*camera.pos, *camera.quat]) @ Pose(quaternion=FROM_MUJOCO)
    return TagSight(objects, lens, pose)


def seen_by_tags(twin: Twin, joints: Joints, faults: CameraFaults | None = None) -> Senses:
    """Return what an arm sees of a twin whose things carry tags.

    Raises:
        UsageError: a camera library is missing, or nothing can carry tags.
    """
    sight = tag_sight(twin.truth.world)
    with ExitStack() as stack:
        rig = twin_rig(twin, [OVERHEAD], TAG_MODE, faults, sight.objects)
        stack.callback(rig.close)
        return by_tags(stack, rig, sight, joints)
