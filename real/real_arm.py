"""The real arm as the environment, the policies and the recorder see it: motors, cameras, objects.

    with RealArm(FarArm(address), task, table, Senses(rig.newest, tags)) as arm: ...

The joints pass the safety chain in a process of their own; pictures and object poses come from
wherever they come from, each with its time. An observation holds the newest of each.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from gymnasium.envs.registration import EnvSpec
from PIL import Image

from envs.arm import Arm, ArmSpec, Array, CameraSpec, InitialCondition, Observation
from envs.env import TabletopEnv
from envs.task import Task
from envs.world import SETTLE
from real.machine import MachineError
from real.safe_arm import StoppedError
from real.verdict import INVALID_HARDWARE, Sent

WAIT_S = 10.0
"""How long the first picture and the first sight of an object are waited for [s]."""


class Joints(Protocol):
    """What moves: a ``SafeArm``, or a ``FarArm`` in a process of its own."""

    spec: ArmSpec
    ages: Mapping[str, float]
    ends: str

    @property
    def sent(self) -> Sent:
        """What became of the last command."""

    def home(self, start: InitialCondition) -> Observation:
        """Go to the start pose on a slow ramp."""

    def command(self, target: Array) -> Observation:
        """Pass targets (n,) through the safety chain; return what is seen a period later."""

    def observe(self) -> Observation:
        """Return the newest reading."""

    def resume(self) -> None:
        """Be ready for the next trial after a stop."""

    def close(self) -> None:
        """Switch the torque off and release the arm."""


class Picture(Protocol):
    """A camera's frame, such as ``real.cameras.Frame``."""

    @property
    def image(self) -> Array:
        """(h, w, 3) uint8 RGB."""

    @property
    def number(self) -> int:
        """Counts up with every picture taken."""

    @property
    def arrived_s(self) -> float:
        """When it arrived, on the arm's clock [s]."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Where an object was seen: pose (7,) in the arm's frame, and when, on the arm's clock [s]."""

    pose: Array
    stamp: float


Frames = Callable[[], Mapping[str, Picture]]
"""Returns the newest frame of every camera that has one, by name."""

Poses = Callable[[], Mapping[str, Seen]]
"""Returns where every object was seen last, by name; a zone's pose is set up, not seen."""


def nowhere() -> Mapping[str, Seen]:
    """Nobody sees any object."""
    return {}


@dataclass(frozen=True)
class Senses:
    """What is seen beside the joints.

    Attributes:
        frames: newest frames of the cameras.
        poses: where the objects are, as far as is known.
        sights: where they were seen last, where ``poses`` knows more than that.
        now: the clock of all stamps [s].
        tracked: objects that ``poses`` sees; the others are where they were set up.
        fault: why a trial must not go on, such as a camera that is unplugged; empty while it may.
        close: releases what sees.
    """

    frames: Frames = dict
    poses: Poses = nowhere
    sights: Poses = nowhere
    now: Callable[[], float] = time.monotonic
    tracked: tuple[str, ...] = ()
    fault: Callable[[], str] = str
    close: Callable[[], None] = lambda: None

    def sees(self, name: str) -> bool:
        """Whether somebody sees where object ``name`` is."""
        return self.poses is not nowhere and (not self.tracked or name in self.tracked)


class Table(Protocol):
    """What stands on the table before the arm: who sets it up, and who sees how far the task is."""

    def set_up(self, start: InitialCondition) -> None:
        """Bring the things where ``start`` says; the arm is at its start pose and holds."""

    def look(self) -> int:
        """Return the stages reached in order; called once a control period."""

    def picture(self, camera: CameraSpec) -> Array | None:
        """Return a picture of the scene (h, w, 3) uint8, None where nobody takes any."""


class OperatorTable:
    """A table that a person sets up and judges."""

    def __init__(self, ask: Callable[[InitialCondition], None] = lambda start: None) -> None:
        """Let ``ask`` tell the person what to do, and return when it is done."""
        self._ask = ask

    def set_up(self, start: InitialCondition) -> None:
        """Ask the person."""
        self._ask(start)

    def look(self) -> int:
        """Return 0: the person says at the end what was reached."""
        return 0

    def picture(self, camera: CameraSpec) -> Array | None:
        """Return None: the cameras of the arm are all there is."""
        return None


class RealArm(Arm):
    """Motors, cameras and objects behind ``Arm``.

    Attributes:
        spec: the arm, with the limits that are in force.
        task: what is to be done.
        cameras: what a policy sees, and how large.
        joints: what moves.
        senses: what is seen beside the joints.
        calibration_hash: identity of the calibration in force; empty: nominal.
        clock: control periods since the start.
        stage: stages of the task that were seen to be reached.
        ages: of every frame and object in the last observation [s], by name; an action that
            answers it is judged by them.
        numbers: number of every frame in it, by camera: equal ones are one picture.
        stamp: when it was made, on the arm's clock [s].
    """

    def __init__(
        self,
        joints: Joints,
        task: Task,
        table: Table | None = None,
        senses: Senses | None = None,
        cameras: Sequence[CameraSpec] = (),
        calibration_hash: str = "",
    ) -> None:
        """Join what there is.

        Args:
            joints: what moves.
            task: what is to be done.
            table: who sets it up and judges; by default nobody.
            senses: cameras and object poses.
            cameras: what a policy sees, and how large; none: object poses.
            calibration_hash: identity of the calibration in force, for records.
        """
        senses = senses or Senses()
        self.joints, self.task, self.spec = joints, task, joints.spec
        self.table: Table = table or OperatorTable()
        self.cameras, self.calibration_hash = tuple(cameras), calibration_hash
        self.senses, self.now = senses, senses.now
        self._frames, self._poses = senses.frames, senses.poses
        self.clock = self.stage = 0
        self.ages: dict[str, float] = {}
        self.numbers: dict[str, int] = {}
        self.stamp = 0.0
        self._start: InitialCondition | None = None
        self._set_up = 0.0
        self._told = np.zeros(0, np.float32)

    def home(self, start: InitialCondition) -> Observation:
        """Go to the start pose slowly, have the table set up, let things come to rest; observe.

        A trial that was stopped before is over: the arm is ready again.

        Raises:
            UsageError: a pose outside the limits.
            StoppedError: the arm was stopped on the way, or a camera or an object was not seen.
        """
        if self.joints.ends:
            self.joints.resume()
        self.joints.ages, self.clock, self.stage = {}, 0, 0
        self.joints.home(start)
        self.table.set_up(start)
        self._set_up = self.now()
        for _ in range(SETTLE):
            self.joints.command(np.array(start.qpos))
        self._start = start
        self._told = np.array(self.task.encode(self.task.instruct(start)), np.float32)
        self.stage = self.table.look()
        self._wait_for_inputs()
        return self.observe()

    def command(self, target: Array) -> Observation:
        """Send targets (n,) that answer the last observation; return the next one.

        Raises:
            StoppedError: the trial is over, why is its ``ends``; the arm is held.
        """
        if fault := self.senses.fault():
            raise StoppedError(INVALID_HARDWARE, fault)
        self.joints.ages = {**self.ages}
        self.joints.command(target)
        self.clock += 1
        self.stage = self.table.look()
        return self.observe()

    def observe(self) -> Observation:
        """Return the newest reading, frames and object poses; ``ages`` tells how old they are."""
        seen = self.joints.observe()
        self.stamp, self.ages = self.now(), {}
        if len(self._told):
            seen["instruction"] = self._told.copy()
        self._see_objects(seen)
        self._see_frames(seen)
        return seen

    def frame(self, camera: CameraSpec) -> Array:
        """Return a picture of the scene (h, w, 3) uint8: the table's, or a camera's newest.

        Raises:
            MachineError: there is no camera.
        """
        if (picture := self.table.picture(camera)) is not None:
            return picture
        newest = self._frames()
        if not newest:
            raise MachineError("there is no camera to take a picture with")
        name = camera.name if camera.name in newest else next(iter(newest))
        return fit(newest[name].image, camera)

    def close(self) -> None:
        """Switch the torque off and release arm and cameras: support it, or park it first."""
        try:
            self.joints.close()
        finally:
            self.senses.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the arm."""
        self.close()

    def _see_objects(self, seen: Observation) -> None:
        if self.cameras or self._start is None:
            return
        found = self._poses()
        for name in self.task.objects:
            if name in found:
                pose = found[name].pose
                self.ages[name] = self.stamp - found[name].stamp
            else:  # a zone is where the operator has put it
                pose = np.array(self._start.objects[name])
            seen[f"objects/{name}"] = np.asarray(pose, np.float32)

    def _see_frames(self, seen: Observation) -> None:
        newest = self._frames() if self.cameras else {}
        for camera in self.cameras:
            if camera.name not in newest:
                continue
            frame = newest[camera.name]
            self.ages[camera.name] = self.stamp - frame.arrived_s
            self.numbers[camera.name] = frame.number
            seen[f"images/{camera.name}"] = fit(frame.image, camera)

    def _wait_for_inputs(self) -> None:
        """Wait until every camera has a frame and every tracked object was seen in its place.

        Raises:
            StoppedError: one has not, in good time.
        """
        last = time.monotonic() + WAIT_S
        while missing := self._missing():
            if time.monotonic() > last:
                text = f"no sight of {', '.join(missing)} within {WAIT_S:g} s"
                raise StoppedError(INVALID_HARDWARE, text)
            time.sleep(0.01)

    def _missing(self) -> list[str]:
        """Return what is not there yet: a camera's picture, an object since it was set up."""
        if self.cameras:
            newest = self._frames()
            return [camera.name for camera in self.cameras if camera.name not in newest]
        found, used = self._poses(), self.task.objects
        tracked = [name for name in self.senses.tracked if name in used]
        return [n for n in tracked if n not in found or found[n].stamp < self._set_up]


def real_env(arm: RealArm, render_mode: str | None = None, normalized: bool = False) -> TabletopEnv:
    """Return the environment of a real arm; it says of itself that no two episodes are alike."""
    env = TabletopEnv(arm, arm.task, (), render_mode, normalized)
    env.spec = EnvSpec(
        "ArmTrials/Real-v0",
        entry_point=lambda render_mode=None: real_env(arm, render_mode, normalized),  # type: ignore[arg-type]
        nondeterministic=True,
    )
    return env


def fit(image: Array, camera: CameraSpec) -> Array:
    """Return the middle of an image (h, w, 3) uint8 in the shape and size that ``camera`` asks for.

    What is cut off lies at the sides, or above and below; smaller sizes are averaged.
    """
    height, width = image.shape[:2]
    if (height, width) == (camera.height, camera.width):
        return image
    scale = min(height / camera.height, width / camera.width)
    half = camera.height * scale / 2, camera.width * scale / 2
    box = width / 2 - half[1], height / 2 - half[0], width / 2 + half[1], height / 2 + half[0]
    size = (camera.width, camera.height)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX, box=box))
