"""The simulated arm behind the interface that the real arm has, too."""

from collections.abc import Sequence

from envs.arm import Arm, Array, CameraSpec, InitialCondition, Observation
from envs.batch import SimBatch
from envs.readings import Readings
from envs.task import Task


class SimArm(Arm):
    """One simulation: a batch of one, without the leading axis."""

    def __init__(
        self,
        task: Task,
        robot: str | None = None,
        *,
        cameras: Sequence[CameraSpec] = (),
        distractors: int = 0,
        horizon: int | None = None,
    ) -> None:
        """Build the scene of ``task`` with ``robot``, by default the task's own.

        ``horizon`` stands in place of the task's.
        """
        self.sim = SimBatch(task, robot, 1, threads=1, cameras=cameras, distractors=distractors)
        self.sim.horizon = horizon or task.horizon
        self.spec = self.sim.spec
        self.task = task

    def home(self, start: InitialCondition) -> Observation:
        """Set the whole scene to ``start`` and observe it."""
        self.sim.reset((start,))
        return self.observe()

    def command(self, target: Array) -> Observation:
        """Send targets (n,) rad and opening; return the observation 20 ms later."""
        self.sim.step(target[None])
        return self.observe()

    def observe(self) -> Observation:
        """Return the present observation."""
        return {key: value[0] for key, value in self.sim.observe().items()}

    @property
    def cameras(self) -> tuple[CameraSpec, ...]:
        """What a policy sees."""
        return self.sim.cameras

    @property
    def clock(self) -> int:
        """Control periods since the start."""
        return self.sim.clock

    @property
    def stage(self) -> int:
        """Stages of the task reached in order."""
        return int(self.sim.tracker.stage)

    @property
    def readings(self) -> Readings:
        """Present sensor readings as floats."""
        return self.sim.readings

    def frame(self, camera: CameraSpec, *, shadows: bool = False, antialias: int = 0) -> Array:
        """Draw the scene, (h, w, 3) uint8."""
        return self.sim.frame(0, camera, shadows=shadows, antialias=antialias)

    def close(self) -> None:
        """Nothing to release: renderers belong to the process."""
