"""Zeros and ranges of an arm's joints, and its gripper's map, from an arm that a person moves.

The torque is off. The person brings the arm into a pose whose angles are known, then each joint to
both ends of its range, then closes and opens the gripper; what the motors say meanwhile makes the
calibration.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs.arm import ArmSpec, Array
from envs.errors import UsageError
from envs.robots import ROBOTS
from real.calibration import GripperMap, JointCalibration
from real.dynamixel_arms import PER_RADIAN, WIRINGS
from real.openarm import OPENARM, OPENARM_RIGHT

SAMPLES = 25
"""Readings whose median is taken of an arm that rests."""

STILL = 0.01
"""An arm that moves further meanwhile does not rest [rad]."""

LEAST_RANGE = 0.2
"""A joint that was moved less was forgotten [rad]."""

LEAST_SHARE = 0.3
"""A gripper that was moved by less of its nominal way was forgotten."""

MARGIN = 0.02
"""The range that is kept ends so far before the ends that were found [rad]."""


@dataclass(frozen=True)
class Motors:
    """What is nominally known of an arm's motors, in the order of its joints.

    Attributes:
        spec: the arm.
        per_radian: the motors' own unit by rad: ticks, or 1.
        directions: +1, or -1 where positions grow as the joint's angle falls.
        opening: the gripper's nominal map, (motor's position, opening) from closed to open.
        poses: angles (n,) of the poses whose angles are known, by name.
    """

    spec: ArmSpec
    per_radian: float
    directions: tuple[int, ...]
    opening: tuple[tuple[float, float], ...]
    poses: dict[str, tuple[float, ...]]


def motors_of(robot: str) -> Motors:
    """Return what is nominally known of an arm.

    Raises:
        UsageError: an unknown arm, or one without real motors.
    """
    known = [*WIRINGS, OPENARM]
    if robot not in known:
        raise UsageError(f"{robot!r} has no motors to calibrate; known: {', '.join(known)}")
    model = ROBOTS[robot.removesuffix("_leader")]
    spec = model.spec()
    poses = {
        "sleep": (*model.mounts[0].arm.sleep, 0.0),
        "home": spec.home,
        "zero": (0.0,) * spec.n,
    }
    poses = {name: pose for name, pose in poses.items() if len(pose) == spec.n}
    if robot == OPENARM:
        signs = tuple(1 if motor.scale > 0 else -1 for motor in OPENARM_RIGHT)
        jaw = OPENARM_RIGHT[-1]
        opening = ((jaw.offset, 0.0), (jaw.offset + jaw.scale, 1.0))
        return Motors(spec, 1.0, signs, opening, poses)
    wiring = WIRINGS[robot]
    signs = tuple(motor.direction for motor in wiring.motors)
    (map_,) = (motor.opening for motor in wiring.motors if motor.opening)
    return Motors(spec, PER_RADIAN, signs, tuple((float(t), s) for t, s in map_), poses)


def at_rest(read: Callable[[], Array], motors: Motors) -> Array:
    """Return the motors' positions (n,) of an arm that somebody holds still.

    Raises:
        UsageError: it moves; names the joint.
    """
    samples = np.array([read() for _ in range(SAMPLES)])
    moved = np.ptp(samples, axis=0) / motors.per_radian
    worst = int(np.argmax(moved))
    if moved[worst] > STILL:
        name = motors.spec.joints[worst]
        raise UsageError(f"{name} moved by {moved[worst]:.3f} rad: hold the arm still, once more")
    return np.asarray(np.median(samples, axis=0), float)


class Swept:
    """The positions that the motors passed.

    Attributes:
        least, most: of every motor (n,).
    """

    def __init__(self, at: Array) -> None:
        """Begin at positions ``at`` (n,)."""
        self.least, self.most = np.array(at, float), np.array(at, float)

    def add(self, at: Array) -> None:
        """Take new positions (n,)."""
        np.minimum(self.least, at, out=self.least)
        np.maximum(self.most, at, out=self.most)


def joints_of(motors: Motors, pose: str, rest: Array, swept: Swept) -> dict[str, JointCalibration]:
    """Return zero and range of every joint but the gripper.

    Args:
        motors: of the arm.
        pose: name of the pose that the arm rested in.
        rest: the motors' positions in it (n,).
        swept: what they passed when each joint was moved from end to end.

    Raises:
        UsageError: an unknown pose, or joints that were hardly moved.
    """
    if pose not in motors.poses:
        raise UsageError(f"unknown pose {pose!r}; known: {', '.join(motors.poses)}")
    found, forgotten = {}, []
    for k in motors.spec.hinges.tolist():
        name, sign, unit = motors.spec.joints[k], motors.directions[k], motors.per_radian
        zero = float(rest[k]) - sign * motors.poses[pose][k] * unit
        ends = sorted(sign * (float(end[k]) - zero) / unit for end in (swept.least, swept.most))
        if ends[1] - ends[0] < LEAST_RANGE:
            forgotten.append(name)
            continue
        margin = min(MARGIN, (ends[1] - ends[0]) / 4)
        found[name] = JointCalibration(zero, sign, ends[0] + margin, ends[1] - margin)
    if forgotten:
        raise UsageError(
            f"{', '.join(forgotten)}: hardly moved; move every joint to both ends of its range"
        )
    return found


def gripper_of(motors: Motors, closed: float, opened: float) -> GripperMap:
    """Return the gripper's map: the nominal one, stretched between where it is closed and open.

    Raises:
        UsageError: it was hardly moved.
    """
    first, last = motors.opening[0][0], motors.opening[-1][0]
    stretch = (opened - closed) / (last - first)
    if stretch < LEAST_SHARE:
        raise UsageError(
            f"the gripper went from {closed:.4g} to {opened:.4g}, nominal is {first:.4g} to "
            f"{last:.4g}: close it fully first, then open it fully"
        )
    return GripperMap(
        tuple((closed + (at - first) * stretch, share) for at, share in motors.opening)
    )
