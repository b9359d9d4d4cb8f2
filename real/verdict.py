"""What the safety chain is asked, what it remembers, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from envs.arm import Array
from real.machine import Cleared, Sensed
from real.rules import Rules
from real.stop import StopRequest

REJECTED, BLOCKED = "rejected", "blocked"
INVALID_HARDWARE, STOPPED = "invalid_hardware", "stopped"
"""Why a trial ends early."""


class Verdict(IntEnum):
    """What became of an action, the gravest last."""

    PASSED = 0
    CLAMPED = 1
    HELD = 2
    REJECTED = 3
    LIMP = 4


@dataclass(frozen=True)
class Finding:
    """What one step of the chain found: the joint, motor or place, the value and its limit."""

    what: str
    verdict: Verdict
    where: str = ""
    value: float = 0.0
    limit: float = 0.0
    unit: str = ""
    ends: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        return in_words((self,))


def in_words(findings: Sequence[Finding]) -> str:
    """Return findings in words; what is the same of several motors is said once."""
    places: dict[tuple[str, str], list[str]] = {}
    for found in findings:
        number = f": {found.value:.4g} {found.unit}, limit {found.limit:.4g}" if found.unit else ""
        places.setdefault((found.what, number), []).append(found.where)
    return "; ".join(
        what + (f" of {named}" if (named := ", ".join(filter(None, where))) else "") + number
        for (what, number), where in places.items()
    )


@dataclass(frozen=True, eq=False)
class State:
    """What the chain remembers from one control period to the next.

    Attributes:
        target: commanded last (n,).
        step: by how much it differed from the one before (n,).
        rejected: refused actions in a row.
        strained, behind: for how long each joint has needed too much effort, has lagged (n,) [s].
        rest: where to relax to after a collision, None as long as there was none.
    """

    target: Array
    step: Array
    rejected: int
    strained: Array
    behind: Array
    rest: Array | None = None

    @classmethod
    def at(cls, measured: Array, rules: Rules) -> "State":
        """Begin at rest where the arm is, or at the nearest pose within its limits."""
        target = np.clip(np.asarray(measured, float), rules.lower, rules.upper)
        zero = np.zeros(len(target))
        return cls(target, zero, 0, zero, zero)


@dataclass(frozen=True, eq=False)
class Tick:
    """What the chain is asked in one control period.

    Attributes:
        wanted: the action; None: nobody asks for anything, the arm is held.
        sensed: the newest reading of the motors.
        now: the present time, on the clock of ``sensed.stamp`` [s].
        late: how much too late the action came [s].
        lost: motors that did not answer.
        watchdog_s: time after which the motors stop by themselves, None: never.
        request: an emergency stop.
    """

    wanted: Any
    sensed: Sensed
    now: float
    late: float = 0.0
    lost: tuple[str, ...] = ()
    watchdog_s: float | None = None
    request: StopRequest | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the chain decided.

    Attributes:
        verdict: what became of the action.
        cleared: what the motors get; None: their torque is switched off.
        findings: why, in the order of the chain.
        ends: why the trial is over, empty while it goes on.
    """

    verdict: Verdict
    cleared: Cleared | None
    findings: tuple[Finding, ...] = field(default=())
    ends: str = ""


@dataclass(frozen=True, eq=False)
class Sent:
    """What became of a command: the targets (n,) that the arm has now, and the verdict on it."""

    target: Array
    verdict: Verdict
