"""The step of `armtrials calibrate` that compares the scene with a trial's start."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.calibrate_camera import Pictures, opened
from scripts.calibrate_prints import say

if TYPE_CHECKING:
    from envs.arm import Array, InitialCondition
    from envs.world import World
    from real.tag_watch import TagSight


@dataclass(frozen=True)
class Reset(Pictures):
    """Check that things, arm and scene are as a trial's start wants them; 1 where they are not.

    A picture is written that tells where to put what.
    """

    camera: str = "overhead"
    """The camera's name; it is calibrated, and its place known to the arm."""
    task: str = "pick_place"
    """What is on the table."""
    robot: str = ""
    """The arm; by default the task's."""
    protocol: str = ""
    """Protocol whose start it is (default: the task's v1)."""
    start: int = 0
    """Number of the start."""
    split: str = "test"
    """Split of the protocol: test, dev or gate."""
    tags: Path | None = None
    """File of tagged objects; the others are compared by eye."""
    port: str = ""
    """Serial port of a Dynamixel arm: its joints are compared, too; nothing moves."""
    reference: Path | None = None
    """Picture of the scene as it must be, without the objects: what else lies there is found."""
    twin: bool = False
    """Look at the twin's scene, whose things stand where another start has them."""
    out: Path = Path("reset.png")
    """The picture to write."""

    def run(self) -> int:
        """Print what is to be done, write the picture; return 0 where a trial may begin."""
        from PIL import Image

        from envs.atomic import write_atomic
        from envs.extents import extents
        from envs.tasks import TASKS
        from envs.world import world
        from real.reset_check import Shape, check_reset, with_picture, words
        from real.reset_overlay import overlay

        made = world(TASKS[self.task], self.robot or None)
        start = self._start(made)
        picture, sight = self._twin(made) if self.twin else (self._newest(), self._sight(made))
        tagged = {item.name for item in sight.objects}
        shapes = {
            name: Shape(thing.half, thing.turns, name in tagged)
            for name, thing in extents(made).items()
        }
        seen = sight.finder().find(picture) if sight.objects else {}
        report = check_reset(start, made.arm, self._joints(), seen, shapes)
        if self.reference is not None:
            then = _opened(self.reference)
            report = with_picture(report, picture, then, sight.lens, sight.camera, shapes)
        drawn = overlay(picture, report, sight.lens, sight.camera, shapes)
        buffer = io.BytesIO()
        Image.fromarray(drawn).save(buffer, "PNG")
        write_atomic(self.out, buffer.getvalue())
        for right, text in words(report, sight.camera):
            say(f"  {'?' if right is None else 'ok' if right else 'no':>2}  {text}")
        say(f"{'READY' if report.ok else 'NOT READY'}: {self.out}")
        return 0 if report.ok else 1

    def _start(self, made: "World") -> "InitialCondition":
        """Return the start that the scene must be brought to."""
        from benchmarks.protocol import PROTOCOLS
        from envs.errors import UsageError

        if self.start < 0:
            raise UsageError(f"--start must be at least 0, got {self.start}")
        protocol = PROTOCOLS[self.protocol or f"{self.task}/v1"]
        if protocol.task != self.task:
            raise UsageError(f"{protocol.id} is of {protocol.task}, not of {self.task}")
        protocol = replace(protocol, robot=made.arm.name)
        return protocol.start("nominal", self.start, self.split)

    def _newest(self) -> "Array":
        return list(self._stills(1).values())[-1]

    def _sight(self, made: "World") -> "TagSight":
        """Return lens and place of the camera, and what carries tags."""
        from envs.errors import UsageError
        from real.calibration import Calibration
        from real.tag_watch import TagSight
        from real.tags import read_objects

        known = Calibration.load(self.file)
        known.check_robot(made.arm.name)
        camera = known.camera(self.camera)
        if camera.pose is None:
            raise UsageError(
                f"{self.file}: the place of {self.camera} is unknown; take a reference with --at: "
                f"armtrials calibrate reference --camera {self.camera} --at X Y TURN"
            )
        objects = () if self.tags is None else read_objects(self.tags)
        return TagSight(objects, camera.intrinsics, camera.pose)

    def _twin(self, made: "World") -> "tuple[Array, TagSight]":
        """Return what the twin's camera sees when its things stand where another start has them."""
        from real.emulators.twin import ClockTwin, TwinSetup
        from real.emulators.twin_cameras import TAG_MODE, TwinEye, tag_sight

        with ClockTwin(TwinSetup(self.task, made.arm.name)) as twin:
            twin.set_up(self._other(made))
            sight, setup = tag_sight(made), twin.setup
            path = twin.truth.path
            eye = TwinEye(path, self.task, setup.arm, setup.gap, TAG_MODE, sight.objects)
            return eye(self.camera, 0.0)[0], sight

    def _other(self, made: "World") -> "InitialCondition":
        number = self.start - 1 if self.start else 1
        return replace(self, start=number)._start(made)

    def _joints(self) -> "Array | None":
        """Return the arm's joints; None without a port."""
        from envs.tasks import TASKS
        from real.address import ArmAddress
        from real.connect import connect_leader

        if not self.port:
            return None
        robot = self.robot or TASKS[self.task].robot
        known = None if self.twin else opened(self.file, robot)
        return connect_leader(ArmAddress(robot, self.port, calibration=known))()


def _opened(path: Path) -> "Array":
    import numpy as np
    from PIL import Image

    from envs.errors import UsageError

    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB"))
    except OSError as error:
        raise UsageError(f"{path}: no picture: {error}") from error
