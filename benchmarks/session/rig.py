"""What a session works with: an arm, real or the twin, and whoever can look at its table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from envs.arm import Array, InitialCondition
from real.stop import StopBoard


@dataclass(frozen=True)
class Found:
    """What a check of the preflight found: outcome, a sentence, and the numbers behind it."""

    outcome: str
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """A check of the preflight: a short name, one for people, and how it is made."""

    name: str
    title: str
    make: Callable[[], Found]


@dataclass(frozen=True, eq=False)
class Placing:
    """How the scene compares with what a trial wants.

    Attributes:
        ok: whether everything that can be measured is near enough.
        lines: what to do, in words.
        objects: by object ``off_mm``, ``turn_deg``, ``ok``; ``off_mm`` is None where not seen.
        png: picture with the outlines; empty where nobody takes any.
    """

    ok: bool
    lines: tuple[str, ...]
    objects: Mapping[str, Mapping[str, Any]]
    png: bytes = b""

    def to_json(self) -> dict[str, Any]:
        """Return what is kept of it."""
        objects = {name: dict(found) for name, found in self.objects.items()}
        return {"ok": self.ok, "lines": list(self.lines), "objects": objects}


@dataclass(frozen=True, eq=False)
class Ran:
    """What a trial gave.

    Attributes:
        void: why it does not count, such as a motor that failed; empty where it does.
        told: JSON values: ``automatic`` (success or None, stage, failure), ``steps``,
            ``duration_s``, ``quality``, ``latency``, ``clamps``, ``ends``, ``reason``,
            ``actions_sha256``, ``final_sha256``.
        arrays: what a film, or anybody later, needs.
    """

    void: str
    told: Mapping[str, Any]
    arrays: Mapping[str, Array]


class Rig(Protocol):
    """An arm with its table; used by one thread, but for ``stop``."""

    @property
    def stop(self) -> StopBoard:
        """Where an emergency stop is asked for."""

    def probes(self) -> Sequence[Probe]:
        """Return the checks of the arm, in their order."""

    def prepare(self, start: InitialCondition) -> Placing:
        """Bring the arm to its start pose; return how the scene is.

        Raises:
            StoppedError: it did not arrive.
            MachineError: a device failed.
        """

    def measure(self, start: InitialCondition) -> Placing:
        """Look at the scene again."""

    def run(self, arm: int, start: InitialCondition, seed: int) -> Ran:
        """Let policy number ``arm`` drive.

        Raises:
            StoppedError: it was stopped before it drove.
            MachineError: a device failed before it drove.
        """

    def close(self) -> None:
        """Release the arm."""
