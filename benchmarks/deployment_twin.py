"""A deployment on the twin: what is true of it says how an episode ended."""

import numpy as np

from benchmarks.drive import Period
from benchmarks.failures import Trace, label
from envs.arm import Array, InitialCondition
from real.emulators.twin_table import TwinTable


class TwinJudge:
    """Labels an episode on the twin as a simulated trial is labelled; a ``Judge``."""

    def __init__(self, table: TwinTable) -> None:
        """Look at what is true of ``table``."""
        self._table = table

    def begin(self, start: InitialCondition) -> None:
        """Begin an episode."""
        self._sensors: list[Array] = []
        self._joints: list[Array] = []
        self._stages: list[int] = []
        self._actions: list[Array] = []
        self._note()

    def look(self, period: Period) -> None:
        """Take one control period."""
        self._actions.append(period.action)
        self._note()

    def _note(self) -> None:
        now = self._table.truth.read()
        self._sensors.append(now["sensors"])
        self._joints.append(now["joints"])
        self._stages.append(int(self._table.tracker.stage))

    def failure(self, success: bool) -> str:
        """Return the first label that fits, empty for a success."""
        world = self._table.world
        steps, never = np.array([len(self._actions)]), np.array([False])
        trace = Trace(
            world.sensors, np.array(self._sensors)[:, None], np.array(self._joints)[:, None],
            np.array(self._actions)[:, None], np.array(self._stages)[:, None], steps,
            np.array([success]), never, never, [""], world.arm.control_hz, world.arm.grippers,
        )  # fmt: skip
        return label(trace, world.task)[0][0] or ""
