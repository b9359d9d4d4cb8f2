"""An episode in which a policy drives and a person takes over where it goes wrong.

For programs: on any rig of ``armtrials teleop``, the simulation too, and with any leader. The
command for an arm and its twin is ``armtrials deploy --leader``.

What the person did is marked step by step (see ``envs/marks.py``), so the file is data for DAgger:
a training on it learns the person's commands alone, in states that the policy has led to.
"""

from envs.arm import InitialCondition
from envs.episode_meta import EpisodeMeta
from envs.recorder import Answer, Recorder
from real.teleop.rig import ArmRig
from real.teleop.takeover import PERSON, TakeOver


class Supervised:
    """One episode on a rig, recorded as it goes; ``tick`` lets a control period pass.

    Attributes:
        steps: control periods so far.
        taken: those in which the person drove.
    """

    def __init__(self, rig: ArmRig, drive: TakeOver, recorder: Recorder) -> None:
        """Drive ``rig``, whose scene has been set up, by ``drive``."""
        self.rig, self.drive, self.recorder = rig, drive, recorder
        self.steps = self.taken = 0

    def begin(self, index: int) -> InitialCondition:
        """Set up the start of episode ``index``; the policy drives."""
        start = self.rig.begin(index)
        self.steps = self.taken = 0
        self.drive.begin(self.rig.control.command)
        return start

    def tick(self, wanted: bool) -> bool:
        """Let a control period pass; ``wanted``: the person wants to drive.

        Returns:
            Whether the episode is over: success was seen, or the time is up.

        Raises:
            UsageError: the disk is full; the steps before are safe.
        """
        if wanted:
            self.drive.take()
        else:
            self.drive.give()
        seen = self.rig.observation
        command = self.drive.step(seen)
        acted = command.by == PERSON
        t = self.steps / self.rig.arm.spec.control_hz
        self.recorder.append(seen, command.action, t, Answer(command.action, acted, acted))
        self.rig.command(command.action)
        self.steps += 1
        self.taken += acted
        return self.rig.success or self.steps >= self.rig.limit

    def finish(self, meta: EpisodeMeta) -> None:
        """Make the episode's file."""
        self.recorder.finish(meta)
