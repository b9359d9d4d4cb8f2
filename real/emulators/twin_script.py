"""Leaders that are programs: the task's demonstrator moves them, looking at what is true."""

import numpy as np

from envs.arm import Array, InitialCondition, Observation
from envs.expert import Expert
from envs.relabel import Labeller
from real.emulators.twin import Truth
from real.follow import FollowSession
from real.safe_arm import StoppedError

TIMEOUT = "timeout"


class ScriptedLeader:
    """Demonstrates a task on a twin; a ``Leader`` that stays at the start until it is told to go.

    Attributes:
        going: whether it moves.
    """

    def __init__(self, truth: Truth, expert: Expert, seed: int = 0) -> None:
        """Let ``expert`` look at ``truth``."""
        self._truth, self._expert, self._seed = truth, expert, seed
        self.going = False
        self._rest = np.zeros(0)

    def engage(self, command: Array) -> None:
        """Stay where the arm is."""
        self.going, self._rest = False, np.array(command, np.float64)

    def go(self, start: InitialCondition, index: int) -> None:
        """Demonstrate from ``start``, episode ``index``."""
        self._expert.reset(start, np.random.default_rng([self._seed, index]))
        self.going = True

    def target(self, observation: Observation) -> Array:
        """Return where the leader is now (n,)."""
        if not self.going:
            return self._rest
        return np.asarray(self._expert.act(self._truth.readings()), np.float64)


class ScriptedHelper:
    """Takes a twin over in whatever state it is, as a person at a leader would; a ``Leader``."""

    def __init__(self, truth: Truth, labeller: Labeller) -> None:
        """Let ``labeller`` look at ``truth``."""
        self._truth, self._labeller = truth, labeller
        self._rest: Array | None = None

    def begin(self, start: InitialCondition) -> None:
        """Learn what is asked for in the episode that begins at ``start``."""
        self._labeller.reset(start)

    def engage(self, command: Array) -> None:
        """Come to where the arm is."""
        self._rest = np.array(command, np.float64)

    def target(self, observation: Observation) -> Array:
        """Return where the arm is to go (n,); at first where it is."""
        rest, self._rest = self._rest, None
        if rest is not None:
            return rest
        joints = np.asarray(observation["qpos"], np.float64)
        return np.asarray(self._labeller.label(self._truth.readings(), joints), np.float64)


def scripted(session: FollowSession, leader: ScriptedLeader) -> None:
    """Record one episode of ``session`` by ``leader``, from its start to its end.

    Raises:
        StoppedError: the arm was stopped; what was recorded is kept as interrupted.
        UsageError: the disk is full.
    """
    arm = session.arm
    try:
        session.begin()
        while not session.following:
            session.tick()
        session.start()
        leader.go(session.scene, session.album.index)
        goal = len(arm.task.stages)
        while arm.stage < goal and session.steps < arm.task.horizon:
            session.tick()
        session.end(arm.stage == goal, TIMEOUT)
    except StoppedError:
        session.interrupt()
        raise
