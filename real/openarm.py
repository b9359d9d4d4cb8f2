"""The motors of an OpenArm v1, and how its joints are coupled to them.

Types and ids: docs.openarm.dev. Gains, and ranges of a right arm: LeRobot's OpenArm follower. Each
joint's range on the arm is what its builder has measured; the model's range and the one here are
intersected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import radians

from real.calibration import Calibration
from real.damiao_wire import TYPES, Ranges


@dataclass(frozen=True)
class Motor:
    """A motor, and the joint that it turns: motor angle = scale * joint + offset.

    Attributes:
        name: of the joint.
        kind: type, a key of ``TYPES``.
        send, receive: CAN ids at which it listens and answers.
        kp, kd: gains of the position control [N m/rad], [N m s/rad].
        limits: range of the motor's angle [rad].
        scale: rad of the motor per rad of the joint, or per opening 0..1 of the gripper.
        offset: the motor's angle at 0 [rad].
    """

    name: str
    kind: str
    send: int
    receive: int
    kp: float
    kd: float
    limits: tuple[float, float]
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if self.kind not in TYPES:
            raise ValueError(f"kind must be one of {', '.join(TYPES)}, got {self.kind!r}")
        if not (0 < self.send < 0x7FF and 0 < self.receive < 0x7FF and self.send != self.receive):
            raise ValueError(f"ids must differ and be 1..0x7FE, got {self.send}, {self.receive}")
        if not (self.limits[0] < self.limits[1] and self.scale != 0):
            raise ValueError(f"limits must grow and scale must not be 0, got {self}")

    @property
    def ranges(self) -> Ranges:
        """Return the ranges on the wire of this type as delivered."""
        return TYPES[self.kind]

    def to_motor(self, joint: float) -> float:
        """Return the motor's angle at a joint angle or opening."""
        return self.scale * joint + self.offset

    def to_joint(self, angle: float) -> float:
        """Return the joint angle or opening at a motor's angle."""
        return (angle - self.offset) / self.scale

    @property
    def joint_limits(self) -> tuple[float, float]:
        """Return the range of the joint that the motor's range allows."""
        ends = sorted(self.to_joint(limit) for limit in self.limits)
        return ends[0], ends[1]


def _motor(
    index: int, kind: str, gains: tuple[float, float], degrees: tuple[float, float]
) -> Motor:
    limits = (radians(degrees[0]), radians(degrees[1]))
    return Motor(f"joint{index}", kind, index, 0x10 + index, *gains, limits)


OPENARM = "openarm"

OPEN_ANGLE = radians(-65.0)
"""Angle of the gripper's motor where it is fully open; closed is 0."""

OPENARM_RIGHT: tuple[Motor, ...] = (
    _motor(1, "DM8009", (240.0, 5.0), (-75, 75)),
    _motor(2, "DM8009", (240.0, 5.0), (-9, 90)),
    _motor(3, "DM4340", (240.0, 3.0), (-85, 85)),
    _motor(4, "DM4340", (240.0, 5.0), (0, 135)),
    _motor(5, "DM4310", (24.0, 0.3), (-85, 85)),
    _motor(6, "DM4310", (31.0, 0.3), (-40, 40)),
    _motor(7, "DM4310", (25.0, 0.3), (-80, 80)),
    Motor("gripper", "DM4310", 8, 0x18, 25.0, 0.3, (OPEN_ANGLE, 0.0), OPEN_ANGLE),
)
"""A right arm and its gripper, in the order of the model's joints."""


def calibrated(motors: Sequence[Motor], known: Calibration) -> tuple[Motor, ...]:
    """Return ``motors`` with zeros, directions, ranges and gripper of one arm; the rest is nominal.

    A range that was measured takes the nominal one's place: the builder knows. The ends of a
    gripper's map count: between them the opening is proportional to the angle.
    """
    made = []
    for motor in motors:
        joint, gripper = known.joints.get(motor.name), known.grippers.get(motor.name)
        if joint is not None:
            scale = joint.direction * abs(motor.scale)
            low, high = sorted(scale * end + joint.zero for end in (joint.lower, joint.upper))
            motor = replace(motor, scale=scale, offset=joint.zero, limits=(low, high))  # noqa: PLW2901
        if gripper is not None:
            (shut, _), *_, (opened, _) = gripper.opening
            low, high = sorted((shut, opened))
            scale = opened - shut
            motor = replace(motor, scale=scale, offset=shut, limits=(low, high))  # noqa: PLW2901
        made.append(motor)
    return tuple(made)
