"""The hardware twin as a session works with it: its table is seen as it truly is."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.drive import POLICY_ERROR
from benchmarks.execution import Wanted
from benchmarks.failures import Trace
from benchmarks.real_trial import RealTrial, trials_of
from benchmarks.session.arm_checks import ArmChecks, Checked
from benchmarks.session.driving import described, driving
from benchmarks.session.rig import Placing, Ran
from benchmarks.session.scene import CAMERA, Eye, Judge, shapes_of
from benchmarks.trial import cameras_of
from envs.arm import Array, CameraSpec, InitialCondition
from policies.base import Policy
from real.emulators.twin import ClockTwin, Twin, TwinSetup
from real.emulators.twin_table import TwinTable, twin_arm
from real.pinhole import Pose
from real.reset_check import Tolerance
from real.tags import Sighting

Hand = Callable[[InitialCondition, int], InitialCondition]
"""Places the things of a start on the twin's table; the second time, and so on, it corrects."""


def steady(start: InitialCondition, tries: int) -> InitialCondition:
    """Place everything exactly: the hand of an operator who has none in the twin's world."""
    return start


class Kept:
    """The twin's table as the operator left it: a trial does not set it up; it notes what is true.

    Attributes:
        rows: what was true at every look of the trial.
    """

    def __init__(self, table: TwinTable) -> None:
        """Keep what stands on ``table``."""
        self.table = table
        self.rows: list[dict[str, Array]] = []
        self.placed: InitialCondition | None = None

    def put(self, placed: InitialCondition) -> None:
        """Place things; it is what an operator's hand does."""
        self.table.set_up(placed)
        self.placed = placed

    def set_up(self, start: InitialCondition) -> None:
        """Leave everything in its place, and begin to take notes."""
        self.table.set_up(self.placed or start)
        self.rows = []

    def look(self) -> int:
        """Account for a control period."""
        self.rows.append(self.table.truth.read())
        return self.table.look()

    def picture(self, camera: CameraSpec) -> Array:
        """Return what ``camera`` sees."""
        return self.table.picture(camera)


@dataclass(frozen=True)
class OnTwin:
    """How a session uses its twin.

    Attributes:
        first: start to whose pose the checks go.
        place_mm: tolerance of a reset [mm].
        clock: ``own``, or ``real``.
        hand: who places things.
        draws: whether pictures are made for the operator.
        data: demonstrations of which one is replayed before the trials.
        gone: set when the session ends.
        wanted: how chunks are carried out.
    """

    first: InitialCondition
    place_mm: float = 5.0
    clock: str = "own"
    hand: Hand = steady
    draws: bool = True
    data: Path | None = None
    gone: threading.Event = field(default_factory=threading.Event)
    wanted: Wanted = field(default_factory=Wanted)


class TwinRig(Checked):
    """An emulated arm with MuJoCo at its end, reached through the real drivers."""

    def __init__(
        self, setup: TwinSetup, policies: Sequence[Policy], folder: Path, manner: OnTwin
    ) -> None:
        """Switch the twin on.

        Args:
            setup: what it is.
            policies: as numbered in the key.
            folder: of the session.
            manner: how it is used.

        Raises:
            UsageError: policies that cannot drive this arm.
            MachineError: a motor that cannot be switched on.
        """
        self._held = ExitStack()
        try:
            drivers = driving(policies, manner.wanted, self._held)  # they end after the arm
            twin: Twin | ClockTwin = ClockTwin(setup) if manner.clock == "own" else Twin(setup)
            self._held.callback(twin.close)
            log = Path(folder) / "safety.jsonl"
            cameras = cameras_of(policies[0].spec)
            self.arm = self._held.enter_context(twin_arm(twin, cameras, log=log))
            self.table = Kept(TwinTable(twin))
            self.arm.table = self.table
            self._trials = [trials_of(self.arm, driver) for driver in drivers]
        except BaseException:
            self._held.close()
            raise
        self.world, self._manner, self._tries = twin.truth.world, manner, 0
        tolerance = Tolerance(place=1e-3 * manner.place_mm)
        eye, shapes = Eye.simulated(self.world), shapes_of(self.world)
        self._judge = Judge(self.world, eye, shapes, tolerance)
        self._checks = ArmChecks(
            self.arm, manner.first, folder, manner.data,
            overview=lambda: self.table.picture(CAMERA), show=self.table.put, gone=manner.gone,
        )  # fmt: skip

    def prepare(self, start: InitialCondition) -> Placing:
        """Bring the arm to its start pose; the things are where the last trial left them."""
        self._tries = 0
        if self.arm.joints.ends:
            self.arm.joints.resume()
        self.arm.joints.home(start)
        return self._look(start)

    def measure(self, start: InitialCondition) -> Placing:
        """Let the hand place things, and look."""
        self.table.put(self._manner.hand(start, self._tries))
        self._tries += 1
        return self._look(start)

    def _look(self, start: InitialCondition) -> Placing:
        found = self.table.table.truth.poses()
        seen = {
            name: Sighting(Pose.from_array(pose), 0.0, (), stands=True)
            for name, pose in found.items()
        }
        picture = self.table.picture(CAMERA) if self._manner.draws else None
        qpos = np.asarray(self.arm.joints.observe()["qpos"], float)
        return self._judge.placing(start, qpos, seen, picture)

    def run(self, arm: int, start: InitialCondition, seed: int) -> Ran:
        """Let policy number ``arm`` drive."""
        placed = self.table.placed or start
        trial = self._trials[arm].run(replace(start, objects=placed.objects), seed)
        trial = replace(trial, start=start)
        rows = self.table.rows
        rows += rows[-1:] * (len(trial.stages) - len(rows))  # nobody looked after a stop
        ran = described(trial, self._trace(trial), self.arm.task)
        arrays = {name: np.stack([row[name] for row in rows]) for name in ("qpos", "zones")}
        return replace(ran, arrays={**ran.arrays, **arrays})

    def _trace(self, trial: RealTrial) -> Trace:
        """Return what was true, as failure labels are told from."""
        steps = len(trial.actions)
        # A command that is refused ends the trial before the table is looked at again.
        rows = self.table.rows + self.table.rows[-1:] * (steps + 1 - len(self.table.rows))
        column = {
            name: np.stack([row[name] for row in rows])[:, None] for name in ("sensors", "joints")
        }
        success = np.array([trial.success])
        return Trace(
            self.world.sensors, column["sensors"], column["joints"], trial.actions[:, None],
            trial.stages[:, None], np.array([steps]), success, success, success,
            [trial.reason if trial.ends == POLICY_ERROR else ""], trial.hz, self.arm.spec.grippers,
        )  # fmt: skip

    def close(self) -> None:
        """Switch everything off."""
        self._held.close()
