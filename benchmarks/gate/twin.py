"""The hardware twin as what a policy has to drive before it may drive an arm."""

from contextlib import ExitStack

from benchmarks.trial import cameras_of
from envs.arm import Arm, Array, InitialCondition, Observation
from policies.base import PolicySpec
from real.emulators.twin import ClockTwin, TwinSetup
from real.emulators.twin_table import twin_arm
from real.safe_arm import SafeArm
from real.verdict import Outcome


class OnTwin(Arm):
    """Emulated motors with MuJoCo at the far end, behind the drivers and the safety chain.

    It runs on a clock of its own, so a busy computer changes nothing.

    Attributes:
        spec: of the arm.
    """

    def __init__(self, policy: PolicySpec) -> None:
        """Switch on the twin of the arm and the task that ``policy`` was made for.

        Raises:
            UsageError: an arm that has no such twin.
        """
        self._held = ExitStack()
        twin = self._held.enter_context(ClockTwin(TwinSetup(policy.task, policy.arm)))
        self._arm = self._held.enter_context(twin_arm(twin, cameras_of(policy)))
        self.spec = self._arm.spec

    @property
    def done(self) -> bool:
        """Whether the task has been done."""
        return self._arm.stage == len(self._arm.task.stages)

    @property
    def outcome(self) -> Outcome | None:
        """What the safety chain made of the last command."""
        return self._arm.joints.outcome if isinstance(self._arm.joints, SafeArm) else None

    def home(self, start: InitialCondition) -> Observation:
        """Set the table and go to the start."""
        return self._arm.home(start)

    def command(self, target: Array) -> Observation:
        """Pass targets (n,) to the safety chain; ``StoppedError`` where it ends the trial."""
        return self._arm.command(target)

    def observe(self) -> Observation:
        """Return what is sensed now."""
        return self._arm.observe()

    def close(self) -> None:
        """Switch everything off."""
        self._held.close()
