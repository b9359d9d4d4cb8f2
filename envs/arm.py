"""What an arm is, simulated or real: its specification, its observations, its interface."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Observation = dict[str, Array]
"""Flat dict, named as in the ALOHA HDF5 files (all float32 but images):

``qpos`` (n,) rad, gripper as opening 0 closed .. 1 open; ``qvel`` (n,) rad/s, gripper 1/s;
``effort`` (n,) N m, gripper N; ``objects/<name>`` (7,) position m + quaternion wxyz (state track);
``images/<camera>`` (h, w, 3) uint8 RGB (pixel track); ``instruction`` (m,) where a task asks for
something else in every episode, see ``Task.encode``.
"""


@dataclass(frozen=True)
class CameraSpec:
    """A camera: its name and the size of its frames in pixels."""

    name: str
    width: int = 84
    height: int = 84

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be."""
        if not (0 < self.width <= 4096 and 0 < self.height <= 4096):
            raise ValueError(f"camera size must be 1..4096 px, got {self.width}x{self.height}")


@dataclass(frozen=True, eq=False)
class Limits:
    """How far the joints may go and how far in one control period, arrays of one shape (..., n)."""

    lower: Array
    upper: Array
    step: Array

    def spread(self, shape: tuple[int, ...]) -> "Limits":
        """Repeat over ``shape`` (..., n): small arrays of one shape are several times faster."""
        lower, upper, step = self.lower, self.upper, self.step
        return Limits(*(np.array(np.broadcast_to(x, shape)) for x in (lower, upper, step)))

    def clamp(self, target: Array, previous: Array) -> Array:
        """Limit ``target`` (..., n) to the range and to one period's travel from ``previous``."""
        limited: Array = np.maximum(target, previous - self.step)
        np.minimum(limited, previous + self.step, out=limited)
        np.maximum(limited, self.lower, out=limited)
        return np.minimum(limited, self.upper, out=limited)


@dataclass(frozen=True)
class Workspace:
    """Where on the table an arm takes things from above and puts them down.

    The tasks are laid out in the default one. On an arm that reaches elsewhere the layout is
    moved and scaled, axis by axis.

    Attributes:
        x, y: the box, from the arm's base [m].
        hover: height above a thing at which the hand travels [m].
    """

    x: tuple[float, float] = (0.27, 0.41)
    y: tuple[float, float] = (-0.16, 0.16)
    hover: float = 0.10

    def __post_init__(self) -> None:
        """Refuse an empty box."""
        if not (self.x[0] < self.x[1] and self.y[0] < self.y[1] and self.hover > 0):
            raise ValueError(f"a workspace must not be empty, got {self}")


REFERENCE = Workspace()
"""The workspace in which the tasks are laid out."""


@dataclass(frozen=True)
class ArmSpec:
    """What drives an arm: the same object for the simulated arm, the twin and the real arm.

    Joints are listed with the gripper last (for a pair of arms: left joints, left gripper, right
    joints, right gripper). Limits are in rad, velocities in rad/s, efforts in N m; a gripper's
    position is its opening 0..1, its velocity 1/s, its effort N (N m where it is a hinge).
    ``cameras`` are those that a policy may look through.
    """

    name: str
    joints: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]
    effort: tuple[float, ...]
    home: tuple[float, ...]
    grippers: tuple[int, ...]
    control_hz: float = 50.0
    workspace: Workspace = REFERENCE
    cameras: tuple[str, ...] = ("overhead", "wrist")
    limits: Limits = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse tables of unequal length or with empty ranges."""
        n = len(self.joints)
        for what in ("lower", "upper", "velocity", "effort", "home"):
            if len(getattr(self, what)) != n:
                raise ValueError(f"{what} must have {n} entries, got {len(getattr(self, what))}")
        if not all(lo < hi for lo, hi in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"lower must be below upper for each joint of {self.name}")
        step = np.asarray(self.velocity) / self.control_hz
        limits = Limits(np.array(self.lower), np.array(self.upper), step)
        object.__setattr__(self, "limits", limits)

    @property
    def hinges(self) -> Array:
        """Columns (n - grippers,) of a command that are joints, not grippers."""
        return np.delete(np.arange(self.n), self.grippers)

    @property
    def n(self) -> int:
        """Number of actuated degrees of freedom, grippers included."""
        return len(self.joints)

    def clamp(self, target: Array, previous: Array) -> Array:
        """Limit ``target`` (..., n) to the range and to one period's travel from ``previous``.

        The same rule for the simulated and the real arm.
        """
        return self.limits.clamp(target, previous)


@dataclass(frozen=True)
class InitialCondition:
    """All that sets up one episode, as plain numbers: stored in every record, replayed exactly.

    Attributes:
        qpos: start targets of the arm (n,), rad and opening.
        objects: pose (7,) of every movable object and zone, m and quaternion wxyz.
        factors: drawn parameters of the variations in force, by name (JSON values).
        seed: seed of what happens within the episode (sensor noise, dropped frames).
    """

    qpos: tuple[float, ...]
    objects: Mapping[str, tuple[float, ...]]
    factors: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; ``from_json`` restores it exactly."""
        return {
            "qpos": list(self.qpos),
            "objects": {k: list(v) for k, v in self.objects.items()},
            "factors": dict(self.factors),
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "InitialCondition":
        """Restore from ``to_json``."""
        objects = {k: tuple(v) for k, v in data["objects"].items()}
        return cls(tuple(data["qpos"]), objects, dict(data["factors"]), int(data["seed"]))


class Arm(Protocol):
    """An arm that takes joint targets at its control rate."""

    spec: ArmSpec

    def home(self, start: InitialCondition) -> Observation:
        """Bring the arm (in simulation: the whole scene) to the start and observe it."""

    def command(self, target: Array) -> Observation:
        """Send absolute targets (n,); return the observation one control period later."""

    def observe(self) -> Observation:
        """Return the present observation."""

    def close(self) -> None:
        """Release the arm."""


class TabletopArm(Arm, Protocol):
    """An arm before a table, with what an environment asks beside moving it."""

    @property
    def cameras(self) -> tuple[CameraSpec, ...]:
        """What a policy sees; none: object poses instead."""

    @property
    def clock(self) -> int:
        """Control periods since the start."""

    @property
    def stage(self) -> int:
        """Stages of the task that were seen to be reached, in order."""

    def frame(self, camera: CameraSpec) -> Array:
        """Return a picture of the scene (h, w, 3) uint8."""
