"""A Damiao CAN-FD bus without motors: whoever speaks python-can can drive it.

The motors hear and answer on any interface of python-can; ``virtual`` stays within a process,
``udp_multicast`` joins processes and machines. They behave as the manuals say (``damiao_motor``),
their shafts belong to a ``Plant``, and what shall go wrong is set while they run:

    with DamiaoEmulator(OPENARM_RIGHT, CanBus("virtual", "arm")) as emulator:
        emulator["joint3"].trouble.loss = 0.01
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from real.can_bus import MULTICAST, CanBus, Frame
from real.damiao_wire import (
    CAN_BR,
    READ,
    REFRESH,
    REGISTERS_AT,
    STORE,
    WRITE,
    Register,
    pack_feedback,
    pack_register,
    simple_in,
    unpack_register,
)
from real.emulators.damiao_motor import EmulatedMotor
from real.openarm import OPENARM_RIGHT, Motor

PHYSICS_S = 0.001  # control period of the motors and step of the plant [s]
CATCH_UP_S = 0.1  # for the motors, a longer break of this computer did not happen [s]
CLASSIC = 4  # highest code of a bit rate without CAN-FD in the register ``CAN_BR``


class Plant(Protocol):
    """What the motors turn.

    Attributes:
        q, dq: angles [rad] and velocities [rad/s] of the shafts (m,).
    """

    q: Array
    dq: Array

    def step(self, torque: Array, dt: float) -> None:
        """Let ``dt`` [s] pass under torques (m,) [N m]."""


class FirstOrderPlant:
    """Shafts that are independent of each other: inertia and viscous friction, no gravity."""

    def __init__(self, q: Array, inertia: float = 0.05, friction: float = 0.5) -> None:
        """Begin at rest at angles ``q`` (m,); inertia in kg m^2, friction in N m s/rad."""
        self.q, self.dq = np.array(q, float), np.zeros(len(q))
        self.inertia, self.friction = inertia, friction

    def step(self, torque: Array, dt: float) -> None:
        """Integrate; friction implicitly, so that it never drives a shaft."""
        self.dq = (self.dq + torque * dt / self.inertia) / (1 + self.friction * dt / self.inertia)
        self.q = self.q + self.dq * dt


class DamiaoEmulator:
    """Motors on a bus; use it in a ``with`` statement, or ``advance`` it yourself.

    Attributes:
        motors: in the order of the plant's shafts; by name with ``[]``.
        plant: what they turn.
    """

    def __init__(
        self,
        motors: Sequence[Motor],
        bus: CanBus,
        plant: Plant | None = None,
        rng: np.random.Generator | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put motors on ``bus``; ``rng`` draws which frames get lost.

        Raises:
            UsageError: two motors with one id.
        """
        ids = [motor.send for motor in motors]
        if len(set(ids)) != len(ids):
            raise UsageError(f"motors must have ids of their own, got {ids}")
        middle = np.array([min(max(0.0, m.limits[0]), m.limits[1]) for m in motors])
        self.motors = [EmulatedMotor(motor) for motor in motors]
        self.plant = plant or FirstOrderPlant(middle)
        self._bus, self._clock = bus, clock
        self._rng = rng or np.random.default_rng()
        self._now, self._skipped = clock(), 0.0
        self._late: list[tuple[float, int, Frame]] = []
        self._order = itertools.count()
        self._due: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="damiao", daemon=True)

    def __getitem__(self, name: str) -> EmulatedMotor:
        """Return a motor by name."""
        known = {one.motor.name: one for one in self.motors}
        if name not in known:
            raise UsageError(f"unknown motor {name!r}; known: {', '.join(known)}")
        return known[name]

    def __enter__(self) -> Self:
        """Begin to listen, in a thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()
        self._bus.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.advance(PHYSICS_S)

    def advance(self, wait_s: float = 0.0) -> None:
        """Let the shafts turn, wait for a frame, answer it and all that follow at once."""
        self._turn()
        frame = self._bus.receive(wait_s)
        while frame is not None:
            self._hear(frame)
            frame = self._bus.receive(0.0)
        while self._late and self._late[0][0] <= self._clock():
            self._bus.send(heapq.heappop(self._late)[2])

    def _turn(self) -> None:
        """Let the shafts turn up to the present time, in steps of ``PHYSICS_S``."""
        now = self._clock() - self._skipped
        if (over := now - self._now - CATCH_UP_S) > 0:
            self._skipped += over
            now -= over
        while self._now + PHYSICS_S <= now:
            self._now += PHYSICS_S
            q, dq = self.plant.q, self.plant.dq
            torque = [m.drive(*pair, self._now) for m, pair in self._paired(q, dq)]
            for motor in self.motors:
                motor.warm(PHYSICS_S)
            self.plant.step(np.array(torque), PHYSICS_S)

    def _paired(self, q: Array, dq: Array) -> list[tuple[EmulatedMotor, tuple[float, float]]]:
        pairs = zip(q.tolist(), dq.tolist(), strict=True)
        return list(zip(self.motors, pairs, strict=True))

    def _hear(self, frame: Frame) -> None:
        """Let the motor that is addressed do what a frame asks for."""
        if len(frame.data) != 8:
            return
        request = unpack_register(frame.data) if frame.id == REGISTERS_AT else None
        wanted = request.motor if request is not None else frame.id
        for index, motor in enumerate(self.motors):
            if motor.motor.send != wanted or motor.trouble.unplugged:
                continue
            speaks_fd = motor.registers[CAN_BR] > CLASSIC
            if (frame.fd and not speaks_fd) or self._lost(motor):
                return
            answer = self._obey(index, motor, frame.data, request)
            # A motor set to CAN-FD obeys a classic frame, but its answer cannot be heard.
            if answer is not None and frame.fd == speaks_fd:
                self._answer(motor, answer, frame.fd)

    def _obey(
        self, index: int, motor: EmulatedMotor, data: bytes, request: Register | None
    ) -> bytes | None:
        """Let a motor do what it was asked for and return its answer."""
        q, dq = float(self.plant.q[index]), float(self.plant.dq[index])
        if request is not None and request.action != REFRESH:
            return self._access(motor, request, q)
        if request is None:
            command = simple_in(data)
            if command is None:
                motor.control(data, self._now)
            else:
                motor.obey(command, q, self._now)
        return pack_feedback(motor.feedback(q, dq), motor.ranges)

    @staticmethod
    def _access(motor: EmulatedMotor, request: Register, q: float) -> bytes | None:
        """Read, write or store a register; the answer holds the value in force."""
        if request.action == WRITE:
            motor.write(request.register, request.value)
        if request.action == STORE:
            return pack_register(request._replace(value=1.0))
        if request.action not in (READ, WRITE):
            return None
        return pack_register(request._replace(value=motor.read(request.register, q)))

    def _lost(self, motor: EmulatedMotor) -> bool:
        return motor.trouble.loss > 0 and self._rng.random() < motor.trouble.loss

    def _answer(self, motor: EmulatedMotor, data: bytes, fd: bool) -> None:
        if motor.trouble.silent or self._lost(motor):
            return
        frame = Frame(motor.motor.receive, data, fd)
        now, name = self._clock(), motor.motor.name
        # A motor answers in order: nothing overtakes an answer that is late.
        due = self._due[name] = max(now + motor.trouble.delay, self._due.get(name, 0.0))
        if due > now:
            heapq.heappush(self._late, (due, next(self._order), frame))
        else:
            self._bus.send(frame)


def serve(
    ready: Callable[[str], None],
    stop: threading.Event,
    *,
    interface: str = "udp_multicast",
    channel: str = MULTICAST,
    seed: int = 0,
    plant: Plant | None = None,
) -> None:
    """Run the motors of an OpenArm's right arm until ``stop`` is set.

    Args:
        ready: told once in words how to reach them.
        stop: ends it.
        interface: of python-can; ``virtual`` can only be reached within this process.
        channel: of that interface.
        seed: of what gets lost.
        plant: what they turn; None: shafts that are independent of each other.

    Raises:
        UsageError: python-can is missing, or the interface does not open.
    """
    bus = CanBus(interface, channel)
    rng = np.random.default_rng(seed)
    with DamiaoEmulator(OPENARM_RIGHT, bus, plant, rng):
        ready(f"8 motors of an OpenArm on CAN-FD, interface {interface}, channel {channel}")
        stop.wait()
