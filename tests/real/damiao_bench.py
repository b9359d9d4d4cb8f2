"""Host and emulated motors in one thread, on a clock that moves only while somebody waits."""

from collections import deque

import numpy as np

from envs.robots import ROBOTS
from real.can_bus import Frame
from real.damiao import DamiaoBus
from real.damiao_arm import DamiaoArm
from real.emulators.damiao import DamiaoEmulator, FirstOrderPlant
from real.openarm import OPENARM_RIGHT
from tests.real.machines import Clock

TICK = 0.0002


class Wire:
    """One end of a bus in memory; ``other`` hears what is sent."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.sent: list[Frame] = []
        self.other: Wire | None = None
        self.closed = False

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)
        self.other.frames.append(frame)

    def receive(self, wait_s: float) -> Frame | None:
        return self.frames.popleft() if self.frames else None

    def close(self) -> None:
        self.closed = True


class HostWire(Wire):
    """The host's end: while the host waits, time passes and the motors run."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.emulator: DamiaoEmulator | None = None

    def receive(self, wait_s: float) -> Frame | None:
        until = self.clock() + wait_s
        while True:
            self.emulator.advance()
            if self.frames:
                return self.frames.popleft()
            if self.clock() >= until:
                return None
            self.clock.sleep(TICK)


class Bench:
    """An OpenArm's right arm on the bench."""

    def __init__(self, seed: int = 0, q: np.ndarray | None = None) -> None:
        self.clock = Clock()
        self.wire, far = HostWire(self.clock), Wire()
        self.wire.other, far.other = far, self.wire
        plant = None if q is None else FirstOrderPlant(q)
        self.motors = DamiaoEmulator(
            OPENARM_RIGHT, far, plant, np.random.default_rng(seed), self.clock
        )
        self.wire.emulator = self.motors
        self.bus = DamiaoBus(self.wire, OPENARM_RIGHT, self.clock)

    def arm(self) -> DamiaoArm:
        return DamiaoArm(ROBOTS["openarm"].spec(), self.bus, clock=self.clock)

    def wait(self, seconds: float) -> None:
        """Let time pass without a word from the host."""
        for _ in range(round(seconds / 0.005)):
            self.clock.sleep(0.005)
            self.motors.advance()


def at_home() -> np.ndarray:
    """Return the motors' angles at the model's home pose."""
    spec = ROBOTS["openarm"].spec()
    return np.array([m.to_motor(q) for m, q in zip(OPENARM_RIGHT, spec.home, strict=True)])
