"""What a real arm sees: the cameras that are plugged in, or objects by the tags on them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from envs.arm import CameraSpec
from envs.errors import UsageError
from envs.statics import Statics
from real.board_pictures import open_camera
from real.calibration import Calibration
from real.camera_rig import CameraRig, CameraSource
from real.cameras import Mode
from real.in_hand import InHand
from real.real_arm import Joints, Senses
from real.tag_watch import TagSight, TagWatch
from real.tags import read_objects

OVERHEAD = "overhead"
"""The camera that sees tags."""


@dataclass(frozen=True)
class Eyes:
    """What is plugged in, and what is known of it.

    Attributes:
        cameras: where each camera is, by name: ``realsense:SERIAL``, ``/dev/video0``, a URL.
        mode: size and rate of all of them.
        tags: file of tagged objects, as ``real.tags.read_objects`` reads it.
        calibration: lens and place of the camera that sees tags.
    """

    cameras: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = field(default_factory=Mode)
    tags: Path | None = None
    calibration: Calibration | None = None

    @classmethod
    def parse(
        cls, cameras: Sequence[str], tags: Path | None, calibration: Calibration | None
    ) -> "Eyes":
        """Read cameras written ``name=source``.

        Raises:
            UsageError: one is written otherwise, or twice.
        """
        found: dict[str, str] = {}
        for text in cameras:
            name, equals, source = text.partition("=")
            if not (equals and name and source) or name in found:
                raise UsageError(f"a camera must be NAME=SOURCE, each once, got {text!r}")
            found[name] = source
        return cls(found, tags=tags, calibration=calibration)

    def needed(self, cameras: Sequence[CameraSpec]) -> list[str]:
        """Return the cameras to start for a policy that reads ``cameras``, or none, then tags.

        Raises:
            UsageError: nobody says where one is, or tags that cannot be seen.
        """
        names = [camera.name for camera in cameras]
        if not names and self.tags is not None:
            names = [OVERHEAD]
            tag_sight(self)
        if absent := [name for name in names if name not in self.cameras]:
            known = ", ".join(self.cameras) or "none"
            raise UsageError(
                f"where is the camera {absent[0]!r}? known: {known}; such as "
                f"--cameras {absent[0]}=realsense"
            )
        return names


def open_senses(eyes: Eyes, cameras: Sequence[CameraSpec], joints: Joints) -> Senses:
    """Start the cameras that ``cameras`` asks for, or the one that sees tags, or none.

    A policy is told pictures or object poses, never both: with ``cameras`` tags are not looked for.

    Raises:
        UsageError: a camera that nobody says where it is, a library or a calibration is missing.
        CameraError: a camera that does not start.
    """
    return _start(eyes.needed(cameras), eyes, joints, by_tag=not cameras)


def open_all(eyes: Eyes, joints: Joints) -> Senses:
    """Start every camera there is; objects are seen by their tags where they have some.

    Raises:
        UsageError: a library or a calibration is missing.
        CameraError: a camera that does not start.
    """
    if eyes.tags is not None and OVERHEAD not in eyes.cameras:
        raise UsageError(f"tags are seen by the camera {OVERHEAD!r}: --cameras {OVERHEAD}=SOURCE")
    return _start(list(eyes.cameras), eyes, joints, by_tag=eyes.tags is not None)


def _start(names: Sequence[str], eyes: Eyes, joints: Joints, by_tag: bool) -> Senses:
    if not names:
        return Senses()
    sight = tag_sight(eyes) if by_tag else None
    with ExitStack() as stack:
        rig = start_cameras(eyes, names)
        stack.callback(rig.close)
        if sight is not None:
            return by_tags(stack, rig, sight, joints)
        return Senses(rig.frames, fault=rig.fault, close=stack.pop_all().close)


def start_cameras(eyes: Eyes, names: Iterable[str]) -> CameraRig:
    """Start some of the cameras that are plugged in.

    Raises:
        CameraError: one that does not start.
    """
    return CameraRig(
        [
            CameraSource(name, partial(open_camera, eyes.cameras[name], name, eyes.mode), eyes.mode)
            for name in names
        ]
    )


def tag_sight(eyes: Eyes) -> TagSight:
    """Return what may be seen by tags, through which lens from where.

    Raises:
        UsageError: the file of the objects or the camera's calibration does not tell.
    """
    if eyes.tags is None or eyes.calibration is None:
        raise UsageError("tags need --tags FILE and --calibration FILE")
    objects, camera = read_objects(eyes.tags), eyes.calibration.camera(OVERHEAD)
    lens = camera.intrinsics
    if camera.pose is None:
        raise UsageError(
            f"the place of camera {OVERHEAD!r} is not calibrated: armtrials calibrate reference "
            f"--camera {OVERHEAD} --at X Y TURN"
        )
    if (lens.width, lens.height) != (eyes.mode.width, eyes.mode.height):
        raise UsageError(
            f"{OVERHEAD}: calibrated for {lens.width}x{lens.height} px, it takes {eyes.mode}"
        )
    return TagSight(objects, lens, camera.pose)


def by_tags(stack: ExitStack, rig: CameraRig, sight: TagSight, joints: Joints) -> Senses:
    """Return pictures of ``rig`` and object poses by the tags in them; ``stack`` is emptied."""
    watch = TagWatch(rig.reader(), OVERHEAD, sight)
    stack.callback(watch.close)
    tool = Statics(joints.spec.name).tool
    poses = InHand(watch.poses, lambda: joints.observe()["qpos"], tool, time.monotonic)
    close = stack.pop_all().close
    return Senses(
        rig.frames, poses, sights=watch.poses, tracked=watch.names, fault=rig.fault, close=close
    )
