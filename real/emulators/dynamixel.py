"""The Dynamixel bus emulator in a process of its own.

``with DynamixelEmulator("koch") as emulator:`` there is a serial port, ``emulator.port``, behind
which six servos answer. Whatever speaks protocol 2.0 can drive them.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from envs.arm import InitialCondition
from real.dynamixel_arms import WIRINGS
from real.emulators.dynamixel_chain import Chain, first_order, setups
from real.emulators.dynamixel_faults import Fault
from real.emulators.dynamixel_line import Line
from real.emulators.dynamixel_plant import Plant, Scene
from real.emulators.dynamixel_servo import Servo, Setup
from real.emulators.dynamixel_wire import Timing
from real.realtime import keep_time

START_S = 30.0
"""How long the process may take to start [s]."""


@dataclass(frozen=True)
class Emulated:
    """What is emulated.

    Attributes:
        robot: name of the arm; ``servos`` take precedence.
        timing: how long answers take.
        faults: in force from the start, as ``Fault.parse`` reads them.
        seed: of the faults' draws.
        return_delay: Return Delay Time of the servos, units of 2 us (250 from the factory).
        servos: the servos themselves, in the order of their cables.
        plant: makes what the servos move; without it every joint follows its servo.
        link: a symbolic link to the port, for software that wants a fixed name.
    """

    robot: str = "koch"
    timing: Timing = field(default_factory=Timing)
    faults: tuple[str, ...] = ()
    seed: int = 0
    return_delay: int = 0
    servos: tuple[Setup, ...] | None = None
    plant: Callable[[Sequence[Setup]], Plant] | None = None
    link: Path | None = None

    def chain(self, now: float) -> Chain:
        """Make the servos and what they move, without faults, at time ``now`` [s]."""
        made = self.servos
        if made is None:
            made = setups(WIRINGS[self.robot], self.return_delay)
        plant = (self.plant or first_order)(made)
        return Chain(made, plant, np.random.default_rng(self.seed), now)

    def line(self) -> Line:
        """Make the port and the servos, with the faults of the start."""
        faults = [Fault.parse(text) for text in self.faults]
        line = Line(self.chain(time.monotonic()), self.timing, self.link)
        for fault in faults:
            line.inject(fault)
        return line


@dataclass(frozen=True)
class ServoState:
    """What is true of a servo, whatever the wire says. Times are of ``time.monotonic`` [s].

    Attributes:
        position: of the shaft, in the registers' sense [ticks].
        speed: of the shaft [rad/s].
        goal: the register Goal Position.
        torque: whether it is on.
        error: the register Hardware Error Status.
        watchdog: the register Bus Watchdog; -1 after it stopped the servo.
        heard_at: when an instruction last reached it.
        goal_at: when a goal was last accepted.
        moved_at: when the shaft last moved.
        watchdog_at: when the watchdog last stopped it.
    """

    position: int
    speed: float
    goal: int
    torque: bool
    error: int
    watchdog: int
    heard_at: float
    goal_at: float
    moved_at: float
    watchdog_at: float

    @classmethod
    def of(cls, servo: Servo) -> "ServoState":
        """Look at ``servo``."""
        return cls(
            servo.position,
            servo.motion.speed,
            servo.get("Goal Position"),
            bool(servo.get("Torque Enable")),
            servo.get("Hardware Error Status"),
            servo.get("Bus Watchdog"),
            servo.last_heard,
            servo.goal_at,
            servo.moved_at,
            servo.watchdog_at,
        )


class DynamixelEmulator:
    """A running emulator; ends with ``close`` or with the process that made it.

    Attributes:
        port: the serial port to open.
    """

    def __init__(self, emulated: Emulated | str = "koch") -> None:
        """Start it and wait until its port is there."""
        what = Emulated(emulated) if isinstance(emulated, str) else emulated
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self.process = context.Process(target=_run, args=(what, far), daemon=True)
        self.process.start()
        far.close()
        if not self._pipe.poll(START_S):
            raise TimeoutError(f"the emulator did not start within {START_S:g} s")
        self.port = str(self._answer())

    def inject(self, *faults: str) -> None:
        """Let faults begin, each as ``Fault.parse`` reads it."""
        for text in faults:
            self._ask(("inject", Fault.parse(text)))

    def clear(self, name: str | None = None, motor: int | None = None) -> None:
        """End all faults, those called ``name``, or that of one motor."""
        self.port = str(self._ask(("clear", name, motor)))

    def servos(self) -> dict[int, ServoState]:
        """Return what is true of every servo now, by id."""
        states: dict[int, ServoState] = self._ask(("servos",))
        return states

    def set_up(self, start: InitialCondition) -> None:
        """Put the things that the plant simulates where ``start`` says.

        Raises:
            ValueError: the plant has none.
        """
        self._ask(("set_up", start))

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def __enter__(self) -> "DynamixelEmulator":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def _ask(self, request: tuple[Any, ...]) -> Any:  # noqa: ANN401  (what the request returns)
        self._pipe.send(request)
        return self._answer()

    def _answer(self) -> Any:  # noqa: ANN401
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _run(emulated: Emulated, pipe: Connection) -> None:
    """Serve in a process of its own until the other end of ``pipe`` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        line = emulated.line()
    except Exception as error:
        pipe.send(error)
        return
    line.watched[pipe.fileno()] = lambda: _obey(line, pipe)
    keep_time()
    pipe.send(line.port)
    try:
        line.serve()
    finally:
        line.close()


def _obey(line: Line, pipe: Connection) -> None:
    """Carry out one request of the process that made the emulator."""
    try:
        what, *rest = pipe.recv()
    except (EOFError, ConnectionError):
        line.stopped = True
        return
    if what == "inject":
        line.inject(*rest)
    elif what == "clear":
        line.clear(*rest)
    answer: object = line.port
    if what == "set_up":
        answer = _set_up(line.chain.plant, *rest)
    if what == "servos":
        answer = {servo.motor: ServoState.of(servo) for servo in line.chain.servos}
    pipe.send(answer)


def _set_up(plant: Plant, start: InitialCondition) -> Exception | None:
    """Let a plant that is a scene be set up; return what is wrong."""
    if not isinstance(plant, Scene):
        return ValueError("the plant must be a scene")
    try:
        plant.set_up(start)
    except Exception as error:  # told to whoever asked; the servos go on
        return error
    return None
