"""The hardware twin: emulated motors on their own bus, MuJoCo at the far end, in a process.

``with Twin(TwinSetup()) as twin: ...`` there is an arm at ``twin.address`` for whoever drives arms.
What is true of it, whatever the wire says, is in ``twin.truth``; what is on the table is set up
with ``twin.set_up``.
"""

import json
import multiprocessing
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np

from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from envs.gap import NONE, Gap
from envs.readings import Readings
from envs.robots import ROBOTS
from envs.task import Task
from envs.tasks import TASKS
from envs.viewer import Snapshot
from envs.world import world
from real.address import ArmAddress
from real.calibration import Calibration, JointCalibration
from real.can_bus import MULTICAST, CanBus
from real.dynamixel_arms import WIRINGS
from real.emulators.damiao import PHYSICS_S, DamiaoEmulator
from real.emulators.dynamixel import START_S, DynamixelEmulator, Emulated
from real.emulators.dynamixel_faults import Fault
from real.emulators.dynamixel_plant import Scene
from real.emulators.dynamixel_wire import Timing, VirtualPort
from real.emulators.twin_plant import DamiaoTwinPlant, Scenery
from real.openarm import OPENARM, OPENARM_RIGHT
from real.realtime import keep_time
from real.shared_block import SharedBlock, memory_folder


@dataclass(frozen=True)
class TwinSetup:
    """What the twin is.

    Attributes:
        task: registered task; its things are on the table.
        robot: registered arm; empty: the task's.
        gap: how the arm differs from the simulated one.
        timing: of the Dynamixel line.
        faults: of the Dynamixel line from the start, as ``Fault.parse`` reads them.
        seed: of the sensors' noise and of what gets lost.
        channel: of python-can's ``udp_multicast``, for an OpenArm.
    """

    task: str = "pick_place"
    robot: str = ""
    gap: Gap = NONE
    timing: Timing = field(default_factory=Timing)
    faults: tuple[str, ...] = ()
    seed: int = 0
    channel: str = MULTICAST

    @property
    def arm(self) -> str:
        """Name of the arm.

        Raises:
            UsageError: an arm that has no emulated motors.
        """
        name = self.robot or TASKS[self.task].robot
        if name not in WIRINGS and name != OPENARM:
            known = ", ".join(sorted({*WIRINGS, OPENARM} - {"koch_leader"}))
            raise UsageError(f"{name!r} has no twin; known: {known}")
        return name


class Truth:
    """What is true of a twin: for judges, pictures and tests, never for a driver.

    Attributes:
        path: where it is shared.
        world: the nominal scene.
    """

    def __init__(self, path: Path, task: Task, robot: str) -> None:
        """Read the block that a ``TwinPlant`` writes at ``path``."""
        self.path, self.world = path, world(task, robot)
        self._block = SharedBlock(path)

    def read(self) -> dict[str, Array]:
        """Return the present state by name, in MuJoCo's units where nothing else is said.

        ``stamp`` (monotonic) and ``time`` [s], ``qpos``, ``qvel``, ``zones``, ``sensors``,
        ``joints`` and ``target`` (n,) in rad and opening.
        """
        return self._block.read()[0]

    def readings(self) -> Readings:
        """Return the sensors of the scene as floats."""
        return Readings(self.world.sensors, self.read()["sensors"].tolist())

    def poses(self) -> Mapping[str, Array]:
        """Return the pose (7,) of every object and zone that a task observes."""
        now = self.read()
        found = {name: now["qpos"][at : at + 7] for name, at in self.world.objects.items()}
        start = self.start()
        for name, zone in self.world.zones.items():
            found[name] = np.concatenate([now["zones"][zone], start.objects[name][3:]])
        return {name: found[name] for name in self.world.task.objects}

    def start(self) -> InitialCondition:
        """Return how the scene was set up last."""
        return InitialCondition.from_json(json.loads(self._block.read()[1]))

    def snapshot(self) -> Snapshot:
        """Return what a ``Viewer`` needs to draw the scene."""
        now = self.read()
        return Snapshot(self.start(), now["qpos"], now["zones"])


class Twin:
    """A running twin; ends with ``close`` or with the process that made it.

    Attributes:
        setup: what it is.
        address: where its arm is.
        truth: what is true of it.
        bus: the emulated Dynamixel line, for faults; None for an OpenArm.
    """

    def __init__(self, setup: TwinSetup | None = None) -> None:
        """Start the emulated arm and wait until it is there.

        Raises:
            UsageError: an arm that has no twin, or whose bus does not open.
        """
        self.setup = s = setup or TwinSetup()
        self._folder = memory_folder()
        path = self._folder / "truth"
        scenery = Scenery(s.task, s.arm, path, s.gap, s.seed)
        self.bus: DynamixelEmulator | None = None
        try:
            if s.arm == OPENARM:
                self._can = CanTwin(scenery, s.channel)
                known = simulated_ranges()
                self.address = ArmAddress(s.arm, s.channel, "udp_multicast", known)
            else:
                self.bus = DynamixelEmulator(
                    Emulated(s.arm, s.timing, s.faults, s.seed, plant=scenery)
                )
                self.address = ArmAddress(s.arm, self.bus.port)
            self.truth = Truth(path, TASKS[s.task], s.arm)
        except BaseException:
            self.close()
            raise

    def set_up(self, start: InitialCondition) -> None:
        """Put objects and zones where ``start`` says, its variations in force; the arm stays.

        Raises:
            UsageError: a start that does not fit the scene.
        """
        (self.bus or self._can).set_up(start)

    def close(self) -> None:
        """End it."""
        running = self.bus or getattr(self, "_can", None)
        if running is not None:
            running.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


def simulated_ranges() -> Calibration:
    """Return the calibration of the OpenArm in the simulation, as if its ranges were measured.

    The nominal ones are those of somebody's right arm; the simulated one reaches its workspace
    with joint 2 on the other side.
    """
    spec = ROBOTS[OPENARM].spec()
    joints = {
        motor.name: JointCalibration(
            motor.offset, 1 if motor.scale > 0 else -1, spec.lower[k], spec.upper[k]
        )
        for k, motor in enumerate(OPENARM_RIGHT[:-1])
    }
    return Calibration(OPENARM, joints)


class ClockTwin:
    """A Dynamixel twin in this process, on a clock of its own: the same on every machine.

    Time passes only while whoever drives it waits, however long the program thinks.

    Attributes:
        address: where its arm is.
        now: its clock [s].
        truth: what is true of it.
        chain: its servos, for faults.
    """

    def __init__(self, setup: TwinSetup | None = None) -> None:
        """Switch it on.

        Raises:
            UsageError: an arm that has no Dynamixel motors.
        """
        self.setup = s = setup or TwinSetup()
        if s.arm not in WIRINGS:
            raise UsageError(f"{s.arm!r} has no Dynamixel motors; known: {', '.join(WIRINGS)}")
        self._folder = memory_folder()
        path = self._folder / "truth"
        scenery = Scenery(s.task, s.arm, path, s.gap, s.seed)
        emulated = Emulated(s.arm, s.timing, seed=s.seed, plant=scenery)
        self.chain = emulated.chain(0.0)
        for text in s.faults:
            self.chain.inject(Fault.parse(text))
        port = VirtualPort(self.chain, s.timing)
        self.address = ArmAddress(s.arm, lambda: port)
        self.now = port.now
        self.truth = Truth(path, TASKS[s.task], s.arm)

    def set_up(self, start: InitialCondition) -> None:
        """Put objects and zones where ``start`` says, its variations in force; the arm stays."""
        plant = self.chain.plant
        if isinstance(plant, Scene):
            plant.set_up(start)

    def close(self) -> None:
        """End it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


class CanTwin:
    """Emulated Damiao motors with a scene, in a process of their own."""

    def __init__(self, scenery: Scenery, channel: str) -> None:
        """Start it and wait until the motors are on the bus."""
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_run_can, args=(scenery, channel, far), daemon=True)
        self._process.start()
        far.close()
        if not self._pipe.poll(START_S):
            raise TimeoutError(f"the emulator did not start within {START_S:g} s")
        self._answer()

    def set_up(self, start: InitialCondition) -> None:
        """Put the things on the table where ``start`` says."""
        self._pipe.send(start)
        self._answer()

    def _answer(self) -> None:
        answer: Any = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _run_can(scenery: Scenery, channel: str, pipe: Connection) -> None:
    """Serve until the other end of ``pipe`` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        plant = DamiaoTwinPlant(scenery)
        bus = CanBus("udp_multicast", channel)
    except Exception as error:
        pipe.send(error)
        return
    emulator = DamiaoEmulator(OPENARM_RIGHT, bus, plant, np.random.default_rng(scenery.seed))
    keep_time()
    pipe.send(None)
    try:
        while True:
            if pipe.poll():
                pipe.send(_tried(plant, pipe.recv()))
            emulator.advance(PHYSICS_S)
    except (EOFError, ConnectionError):
        bus.close()


def _tried(plant: DamiaoTwinPlant, start: InitialCondition) -> Exception | None:
    """Set the scene up; return what is wrong."""
    try:
        plant.set_up(start)
    except Exception as error:  # told to whoever asked; the motors go on
        return error
    return None
