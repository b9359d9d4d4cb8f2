"""A machine in memory that is told what goes wrong, on a clock that only moves when one waits."""

from dataclasses import dataclass, field

import numpy as np

from envs.arm import ArmSpec, Array
from real.machine import Cleared, MachineError, NoAnswerError, Sensed
from real.rules import Rules
from real.verdict import State

TOY = ArmSpec(
    name="toy",
    joints=("base", "elbow", "gripper"),
    lower=(-1.5, -0.2, 0.0),
    upper=(1.5, 2.0, 1.0),
    velocity=(3.0, 2.0, 3.0),
    effort=(10.0, 5.0, 20.0),
    home=(0.0, 0.5, 1.0),
    grippers=(2,),
)


EPS = 1e-9


def free(command: Array) -> tuple[float, str]:
    """Nothing is near."""
    return 1.0, "nothing"


def assert_within(before: State, after: State, rules: Rules) -> None:
    most, change = rules.bounds
    assert np.isfinite(after.target).all()
    assert (after.target >= rules.lower).all()
    assert (after.target <= rules.upper).all()
    step = after.target - before.target
    assert (np.abs(step) <= most + EPS).all()
    assert (np.abs(step - before.step) <= change + EPS).all()


class Clock:
    """Time that passes only in ``sleep``."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeMachine:
    """Joints that are where they were last sent, minus ``sag``."""

    spec: ArmSpec
    clock: Clock
    q: Array
    watchdog_s: float | None = 0.2
    sag: float = 0.0
    silent: tuple[str, ...] = ()
    faults: dict[str, str] = field(default_factory=dict)
    temperature: dict[str, float] = field(default_factory=dict)
    sent: list[Array] = field(default_factory=list)
    stuck: bool = False
    on: bool = False
    closed: bool = False

    def enable(self) -> Sensed:
        if self.faults:
            raise MachineError(f"{next(iter(self.faults))} reports a fault")
        self.on = True
        return self.sense()

    def drive(self, cleared: Cleared) -> None:
        assert isinstance(cleared, Cleared)
        assert self.on
        self.sent.append(np.array(cleared.target))
        if not self.stuck:
            self.q = np.array(cleared.target)

    def sense(self) -> Sensed:
        if self.silent:
            raise NoAnswerError(self.silent)
        zero = np.zeros(self.spec.n)
        measured = self.q - self.sag
        return Sensed(measured, zero, zero, self.clock(), dict(self.temperature), dict(self.faults))

    def limp(self) -> None:
        self.on = False

    def close(self) -> None:
        self.on, self.closed = False, True
