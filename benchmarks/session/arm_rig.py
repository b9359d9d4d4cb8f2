"""A real arm as a session works with it: a person sets its table up and judges."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.execution import Wanted
from benchmarks.real_trial import trials_of
from benchmarks.session.arm_checks import ArmChecks, Checked
from benchmarks.session.driving import described, driving
from benchmarks.session.films import FRAMES
from benchmarks.session.rig import Found, Placing, Ran
from benchmarks.session.scene import Eye, Judge, shapes_of
from benchmarks.session.state import FAIL, NOT_HERE, PASS
from benchmarks.trial import cameras_of
from envs.arm import Array, CameraSpec, InitialCondition
from envs.errors import UsageError
from envs.task import Task
from envs.world import world
from policies.base import Policy
from real.calibration import Calibration
from real.charuco import locate
from real.extrinsics import PICTURES, shift
from real.pinhole import Pose
from real.real_arm import Frames, Joints, OperatorTable, RealArm, Senses, fit
from real.reset_check import Tolerance
from real.scene_words import places
from real.tags import Sighting, TagFinder, read_objects

OVERHEAD = "overhead"
"""The camera that sees the table, the tags and the board."""

FILM_HZ = 10.0
FILM = CameraSpec("film", 320, 240)
"""Pictures of a film [1/s], and their size."""


@dataclass(frozen=True)
class OnArm:
    """How a session uses a real arm.

    Attributes:
        task: what is to be done.
        first: start to whose pose the checks go.
        folder: of the session.
        place_mm: tolerance of a reset [mm].
        calibration: in force; None: none.
        objects: file of the tagged objects; None: nothing measures where objects are.
        data: demonstrations of which one is replayed before the trials.
        gone: set when the session ends.
        wanted: how chunks are carried out.
    """

    task: Task
    first: InitialCondition
    folder: Path
    place_mm: float = 5.0
    calibration: Calibration | None = None
    objects: Path | None = None
    data: Path | None = None
    gone: Any = None
    wanted: Wanted = field(default_factory=Wanted)


@dataclass(eq=False)
class Filmed(OperatorTable):
    """A table that a person sets up; keeps what its cameras see meanwhile."""

    frames: Frames
    shots: dict[str, list[Array]] = field(default_factory=dict)
    last: float = 0.0

    def set_up(self, start: InitialCondition) -> None:
        """Begin a new film; everything was placed and measured before."""
        self.shots, self.last = {}, 0.0

    def look(self) -> int:
        """Keep a picture now and then; return 0: the person says what was reached."""
        now = time.monotonic()
        if now - self.last >= 1 / FILM_HZ:
            self.last = now
            for name, frame in self.frames().items():
                self.shots.setdefault(name, []).append(fit(frame.image, FILM))
        return 0


class ArmRig(Checked):
    """Motors behind the safety chain, cameras, and tags on the objects where there are some."""

    def __init__(
        self,
        joints: Joints,
        policies: Sequence[Policy],
        manner: OnArm,
        senses: Senses | None = None,
        held: ExitStack | None = None,
    ) -> None:
        """Work with an arm that is switched on.

        Args:
            joints: what moves.
            policies: as numbered in the key.
            manner: how it is used.
            senses: cameras, and object poses; by default there are none.
            held: closed at the end.

        Raises:
            UsageError: policies that read what nobody sees, or a camera without calibration.
        """
        senses = senses or Senses()
        self._held, self._frames, self._manner = held or ExitStack(), senses.frames, manner
        self._finder, self._eye = self._finder_of(manner)
        self._table = Filmed(senses.frames)
        cameras = cameras_of(policies[0].spec)
        calibration = manner.calibration.hash if manner.calibration else ""
        self.arm = RealArm(joints, manner.task, self._table, senses, cameras, calibration)
        drivers = driving(policies, manner.wanted, self._held)
        self._trials = [trials_of(self.arm, driver) for driver in drivers]
        scene = world(manner.task, self.arm.spec.name)
        shapes, eye = shapes_of(scene), self._eye or Eye.simulated(scene)
        tolerance = Tolerance(place=1e-3 * manner.place_mm)
        self._judge = Judge(scene, eye, shapes, tolerance)
        self._checks = ArmChecks(
            self.arm, manner.first, manner.folder, manner.data,
            overview=self._overview if OVERHEAD in senses.frames() else None,
            on_board=self._boards if manner.calibration else None,
            no_board="no calibration was given", needs_data=True, gone=manner.gone,
        )  # fmt: skip

    @staticmethod
    def _finder_of(manner: OnArm) -> tuple[TagFinder | None, Eye | None]:
        """Return what finds tagged objects, and the camera that it looks through."""
        if manner.objects is None:
            return None, None
        if manner.calibration is None:
            raise UsageError("--tags needs --calibration: the lens and place of the camera")
        camera = manner.calibration.camera(OVERHEAD)
        if camera.pose is None:
            raise UsageError("the overhead camera's place is unknown: armtrials calibrate "
                             "reference --camera overhead --at X Y TURN")  # fmt: skip
        eye = Eye(camera.intrinsics, camera.pose)
        return TagFinder(read_objects(manner.objects), eye.lens, eye.pose), eye

    def _overview(self) -> Array:
        return np.asarray(self._frames()[OVERHEAD].image)

    def _boards(self) -> Found:
        """Compare every camera that has a reference with where it was."""
        found: dict[str, dict[str, float]] = {}
        worst = "ok"
        calibration = self._manner.calibration
        cameras = calibration.cameras if calibration is not None else {}
        for name, camera in cameras.items():
            if camera.reference is None or name not in self._frames():
                continue
            now = locate(camera.reference.board, self._stills(name), camera.intrinsics)
            moved = shift(camera.reference.pose, now.pose)
            found[name] = {"mm": round(moved.mm, 2), "deg": round(moved.deg, 3)}
            worst = max(worst, moved.verdict, key=("ok", "warn", "block").index)
        if not found:
            return Found(NOT_HERE, "no camera here has a reference in the calibration")
        told = ", ".join(f"{name} {at['mm']:.1f} mm, {at['deg']:.2f} deg off"
                         for name, at in found.items())  # fmt: skip
        return Found(FAIL if worst == "block" else PASS, told, found)

    def _stills(self, name: str) -> Sequence[Array]:
        """Return as many different pictures as a comparison wants, or what comes in 10 s."""
        found: dict[int, Array] = {}
        end = time.monotonic() + 10.0
        while len(found) < PICTURES and time.monotonic() < end:
            frame = self._frames()[name]
            found[frame.number] = np.array(frame.image)
            time.sleep(0.01)
        return list(found.values())

    def prepare(self, start: InitialCondition) -> Placing:
        """Bring the arm to its start pose; look at the scene."""
        if self.arm.joints.ends:
            self.arm.joints.resume()
        self.arm.joints.ages = {}
        self.arm.joints.home(start)
        return self.measure(start)

    def measure(self, start: InitialCondition) -> Placing:
        """Look at the scene; without tags only the arm is measured, and a person compares."""
        qpos = np.asarray(self.arm.joints.observe()["qpos"], float)
        if self._finder is None:
            return self._told(start, qpos)
        picture = self._overview()
        return self._judge.placing(start, qpos, self._finder.find(picture), picture)

    def _told(self, start: InitialCondition, qpos: Array) -> Placing:
        """Return where things must be in words: nothing sees where they are."""
        wanted = {name: Pose.from_array(pose) for name, pose in start.objects.items()}
        there = {name: Sighting(pose, 0.0, (), stands=True) for name, pose in wanted.items()}
        placing = self._judge.placing(start, qpos, there, None)
        told = places(start.objects)
        lines = tuple(f"{name}: {place} (nothing measures it)" for name, place in told.items())
        unknown = {name: {"off_mm": None, "turn_deg": None, "ok": None} for name in wanted}
        return Placing(placing.ok, (*lines, *placing.lines), unknown)

    def run(self, arm: int, start: InitialCondition, seed: int) -> Ran:
        """Let policy number ``arm`` drive."""
        ran = described(self._trials[arm].run(start, seed), None, self.arm.task)
        shots = {f"{FRAMES}{name}": np.stack(kept) for name, kept in self._table.shots.items()}
        films = {**shots, "frames_hz": np.array(FILM_HZ)} if shots else {}
        return replace(ran, arrays={**ran.arrays, **films})

    def close(self) -> None:
        """Switch the torque off and release arm and cameras."""
        self.arm.close()
        self._held.close()
