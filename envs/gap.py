"""The gap between the simulated arm and one that a policy has not seen: the twin's parameters.

A ``Gap`` is added to a start like a variation (``with_gap``), so it can be run fast in a
``SimBatch``, is stored with every record and comes on top of any variation. The hardware twin takes
the same object: there, latency and backlash act at every physics step behind the real wire.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from envs.registry import Registry
from envs.robot_model import ZERO, Vec3

if TYPE_CHECKING:
    from envs.world import World

GAP = "gap"
"""Under this name a start's factors hold it."""

MAX_LATENCY = 0.16
"""Longest latency [s]."""

WHITE: Vec3 = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Gap:
    """How an arm differs from the nominal simulation; the defaults are that simulation.

    Attributes:
        friction: factor on the dry friction of every joint.
        damping: factor on the viscous friction of every joint.
        gain: factor on the stiffness of every servo.
        backlash: play between servo and joint, from stop to stop [rad; of a gripper: opening].
        latency: from a command to the servo that obeys it [s]; a ``SimBatch`` rounds it to control
            periods of 20 ms, the twin does not.
        noise: standard deviation of every joint's measured position [rad; opening].
        camera_shift: by which every camera is off, in its parent's frame [m].
        camera_turn: rotation vector by which every camera is turned [rad].
        exposure: factor on the brightness of every picture.
        tint: factors on its red, green and blue.
    """

    friction: float = 1.0
    damping: float = 1.0
    gain: float = 1.0
    backlash: float = 0.0
    latency: float = 0.0
    noise: float = 0.0
    camera_shift: Vec3 = ZERO
    camera_turn: Vec3 = ZERO
    exposure: float = 1.0
    tint: Vec3 = WHITE

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("friction", "damping", "gain", "exposure"):
            if not 0.0 < getattr(self, name) <= 100.0:
                raise UsageError(f"{name} must be above 0, to 100, got {getattr(self, name)}")
        for name, most in (("backlash", 0.5), ("latency", MAX_LATENCY), ("noise", 0.5)):
            if not 0.0 <= getattr(self, name) <= most:
                raise UsageError(f"{name} must be 0..{most}, got {getattr(self, name)}")
        for name in ("camera_shift", "camera_turn", "tint"):
            value = getattr(self, name)
            if len(value) != 3 or not np.isfinite(value).all():
                raise UsageError(f"{name} must be three numbers, got {value}")
        if not all(0.0 < share <= 10.0 for share in self.tint):
            raise UsageError(f"tint must be above 0, to 10, got {self.tint}")

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the nominal simulation, as JSON values."""
        values = asdict(self)
        return {
            f.name: list(value) if isinstance(value := values[f.name], tuple) else value
            for f in fields(self)
            if values[f.name] != f.default
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Gap":
        """Restore from ``to_json``.

        Raises:
            UsageError: a parameter that is not known, or a value that cannot be.
        """
        known = [f.name for f in fields(cls)]
        if unknown := sorted(set(data) - set(known)):
            raise UsageError(f"unknown gap {', '.join(unknown)}; known: {', '.join(known)}")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list | tuple) else v for k, v in data.items()
        }
        return cls(**plain)


NONE = Gap()
GAPS: Registry[Gap] = Registry("gap")
"""Gaps by name: ``ordinary`` is a well-kept arm set up by hand, ``hard`` a worn one elsewhere.

They are assumptions, not measurements of an arm.
"""
GAPS.register("none", NONE)
GAPS.register(
    "ordinary",
    Gap(
        friction=1.5, damping=1.1, gain=0.9, backlash=0.004, latency=0.02, noise=0.001,
        camera_shift=(0.003, -0.003, 0.002), camera_turn=(0.01, -0.01, 0.005),
        exposure=1.1, tint=(1.05, 1.0, 0.95),
    ),
)  # fmt: skip
GAPS.register(
    "hard",
    Gap(
        friction=3.0, damping=1.3, gain=0.7, backlash=0.012, latency=0.06, noise=0.003,
        camera_shift=(0.012, -0.012, 0.010), camera_turn=(0.03, -0.03, 0.02),
        exposure=1.4, tint=(1.2, 1.0, 0.8),
    ),
)  # fmt: skip


def differing() -> list[str]:
    """Return the names of the gaps that are one, sorted."""
    return sorted(name for name in GAPS if GAPS[name].to_json())


def with_gap(start: InitialCondition, gap: Gap) -> InitialCondition:
    """Return ``start`` on an arm that is off by ``gap``, beside the variations in force."""
    others = {name: values for name, values in start.factors.items() if name != GAP}
    if differs := gap.to_json():
        others[GAP] = differs
    return replace(start, factors=others)


def gap_of(factors: Mapping[str, Any]) -> Gap:
    """Return the gap in the factors of a start; nominal where there is none."""
    return Gap.from_json(factors[GAP]) if GAP in factors else NONE


def apply_gap(model: mujoco.MjModel, world: "World", gap: Gap) -> None:
    """Change the mechanics of the arm and the cameras in ``model``, a copy of ``world.model``.

    Latency, backlash and noise are not in the model, nor are exposure and tint: see ``envs.link``
    and ``envs.optics``, and of the twin ``envs.twin``.
    """
    model.dof_frictionloss[world.qvel] *= gap.friction
    model.dof_damping[world.qvel] *= gap.damping
    model.actuator_gainprm[world.ctrl, 0] *= gap.gain
    model.actuator_biasprm[world.ctrl, 1] *= gap.gain
    for name in world.arm.cameras:
        camera = model.camera(name).id
        model.cam_pos[camera] += gap.camera_shift
        quat = model.cam_quat[camera].copy()
        mujoco.mju_quatIntegrate(quat, np.array(gap.camera_turn), 1.0)
        model.cam_quat[camera] = quat


def play(driven: Array, wanted: Array, backlash: Array | float) -> Array:
    """Return where a joint is told to be behind a gear with play.

    The joint stays where it is until the gear has crossed the play (the hysteresis operator of a
    rigid backlash), so it follows half the play behind, on the side that it comes from.

    Args:
        driven: where it was told to be before (..., n).
        wanted: where the gear goes (..., n).
        backlash: width of the play, stop to stop.
    """
    half = np.asarray(backlash) / 2
    followed: Array = np.clip(driven, wanted - half, wanted + half)
    return followed
