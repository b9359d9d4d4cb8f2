"""What a person drives: an arm before a task, how it is moved, seen and judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.arm import Arm, Array, CameraSpec, InitialCondition, Observation
from envs.cartesian_pair import Control, control_of
from envs.collection import Collection
from envs.errors import UsageError
from envs.sim import SimArm
from envs.task import Task
from envs.tasks import TASKS
from envs.viewer import Snapshot, Viewer, compass, facing, to_jpeg
from envs.world import World, world

MAIN, SMALL = (640, 480), (320, 240)  # sizes of the views [px]
LONGEST_S = 1800.0  # an episode is read into memory as a whole [s]


@dataclass(frozen=True)
class Seat:
    """From where the person looks, and what is shown.

    Attributes:
        facing: where the person looks, from where the arm looks [rad].
        cameras: names and sizes of the views.
        compass: for each view how far away, left and up point in it, None where that changes.
    """

    facing: float
    cameras: tuple[CameraSpec, ...]
    compass: tuple[tuple[tuple[float, float], ...] | None, ...]


class ArmRig:
    """Any arm: the operator sets the scene up and judges, its own cameras are the views.

    Attributes:
        arm: what is driven.
        task: what is to be done.
        collection: names the start of every episode.
        world: the nominal scene, for the kinematics.
        control: turns hands into commands.
        seat: where the person is.
        limit: control periods until an episode is over.
        judges: whether the rig itself sees success.
        sim: whether it is a simulation, or a twin.
        timed: whether time passes by itself, so that it must be measured.
        stops: whether there is something that an emergency stop could stop.
        calibration_hash: identity of the arm's calibration, for the files.
        scene: what a person has to put where before the episode; empty where nobody has to.
    """

    judges = False
    sim = False
    timed = False
    stops = False

    def __init__(self, arm: Arm, collection: Collection, limit: int, seat: Seat) -> None:
        """Let a person who sits in ``seat`` do the task of ``collection`` with ``arm``."""
        self.arm, self.collection, self.limit, self.seat = arm, collection, limit, seat
        self.task: Task = TASKS[collection.task]
        self.world: World = world(self.task, collection.robot, collection.distractors)
        self.control: Control = control_of(self.world, seat.facing)
        self.observation: Observation = {}
        self.scene = ""
        self.calibration_hash: str = getattr(arm, "calibration_hash", "")

    def begin(self, index: int) -> InitialCondition:
        """Set up the start of episode ``index`` and return it."""
        start = self.collection.start(index)
        self.observation = self.arm.home(start)
        self.control.begin(np.array(start.qpos))
        return start

    def command(self, target: Array) -> None:
        """Send ``target`` (n,) and observe what follows."""
        self.observation = self.arm.command(target)

    def hold(self) -> None:
        """Let a control period pass in which nobody drives: the last targets stay in force."""
        self.control.stop()
        self.observation = self.arm.command(self.control.command)

    @property
    def stage(self) -> int:
        """Stages of the task that were seen to be reached."""
        return 0

    @property
    def success(self) -> bool:
        """Whether success was seen."""
        return False

    @property
    def numbers(self) -> Mapping[str, int]:
        """Number of every camera's picture in the present observation; equal ones are one."""
        return {}

    def moment(self, step: int) -> float:
        """Return when the observation of recorded step ``step`` was made [s]."""
        return step / self.arm.spec.control_hz

    def stop(self, message: Mapping[str, Any]) -> None:
        """Take an emergency stop; without an arm there is nothing to stop."""

    def snapshot(self) -> Any:  # noqa: ANN401  (what ``draw`` of the same rig takes)
        """Return what ``draw`` needs; called between two control periods."""
        return dict(self.observation)

    def draw(self, snapshot: Any) -> tuple[bytes, ...]:  # noqa: ANN401
        """Return a JPEG for each of the seat's cameras; called from another thread."""
        return tuple(to_jpeg(snapshot[f"images/{c.name}"]) for c in self.seat.cameras)

    def close(self) -> None:
        """Release the arm."""
        self.arm.close()


class SimRig(ArmRig):
    """A simulated arm: it draws its own starts and views, and sees success itself.

    While nobody drives, its time stands still.
    """

    judges = True
    sim = True
    arm: SimArm

    def __init__(
        self, collection: Collection, limit_s: float = 60.0, views: Sequence[CameraSpec] = ()
    ) -> None:
        """Build the scene; an episode is over after ``limit_s`` [s].

        ``views`` are what the person sees, by default the table and what each camera of the robot
        sees.

        Raises:
            UsageError: a limit that cannot be.
        """
        task = TASKS[collection.task]
        made = world(task, collection.robot, collection.distractors)
        least = task.horizon / made.arm.control_hz
        if not least <= limit_s <= LONGEST_S:
            raise UsageError(
                f"--limit must be {least:g} s (the task's horizon) to {LONGEST_S:g} s, "
                f"got {limit_s:g}"
            )
        limit = round(limit_s * made.arm.control_hz)
        arm = SimArm(
            task,
            collection.robot,
            cameras=collection.cameras,
            distractors=collection.distractors,
            horizon=limit,
        )
        looks = facing(made)
        own = (CameraSpec(name, *SMALL) for name in made.arm.cameras)
        shown = tuple(views) or (CameraSpec("view", *MAIN), *own)
        ways = tuple(compass(made, camera.name, looks) for camera in shown)
        super().__init__(arm, collection, limit, Seat(looks, shown, ways))
        self.viewer = Viewer(collection.task, collection.robot, collection.distractors, shown)

    def begin(self, index: int) -> InitialCondition:
        """Set the scene to the start of episode ``index`` and return it."""
        self.start = super().begin(index)
        return self.start

    def hold(self) -> None:
        """Let the simulation's time stand still."""
        self.control.stop()

    @property
    def stage(self) -> int:
        """Stages reached in order."""
        return int(self.arm.sim.stage[0])

    @property
    def success(self) -> bool:
        """Whether the goal was held long enough."""
        return bool(self.arm.sim.success[0])

    def snapshot(self) -> Snapshot:
        """Copy the simulation's state."""
        state = self.arm.sim.state(0)
        return Snapshot(self.start, state["qpos"], state["zones"])

    def draw(self, snapshot: Snapshot) -> tuple[bytes, ...]:
        """Return a JPEG for each view."""
        return self.viewer.draw(snapshot)

    def close(self) -> None:
        """End the process that draws."""
        self.viewer.close()
        super().close()
