"""Cartesian control: what a person's hand asks for becomes joint targets, one period at a time."""

from dataclasses import dataclass

import mujoco
import numpy as np

from envs.arm import REFERENCE, Array, Limits
from envs.kinematics import Kinematics, rotated, rotation
from envs.world import World

SPEED = 0.28  # of the hand at full deflection [m/s]
SLOW = 0.25  # share of it while the person asks for slow motion
ACCELERATION = 2.5  # [m/s^2]
SPIN = 1.5  # rate of turn at full deflection [rad/s]
SPIN_UP = 12.0  # [rad/s^2]
DRAG_SPEED, DRAG_SPIN = 0.7, 3.0  # limits where the arm follows a tracked hand [m/s], [rad/s]
LEASH = 0.05  # the commanded point is at most this far from the measured one [m]
REACH_LEASH = 0.01  # and this far from what the joints' ranges allow [m]
TURN_LEASH = 0.3  # the same for the orientation [rad]
GRIP_LEASH = 0.25  # a closing gripper's target is at most this far inside the measured opening
FULL, CLOSED = 1.0, 0.0  # openings between which the gripper is toggled


@dataclass(frozen=True)
class Grasped:
    """Pose of a tracked hand that holds the arm: position (3,) m, quaternion wxyz (4,)."""

    position: tuple[float, ...]
    quaternion: tuple[float, ...]


@dataclass(frozen=True)
class Hand:
    """What a person asks for, in the person's own axes: x away, y to the left, z up.

    Attributes:
        move: velocity (3,) as a share of full speed, -1..1.
        turn: rate of turn about the three axes (3,), -1..1.
        slow: for precise work.
        opening: wanted opening of the gripper 0..1; None leaves it to ``CartesianControl.toggle``.
        grasped: pose of the tracked hand while it drags the arm along, else None.
        second: of a person with both hands tracked what the right one asks for; all else is then
            the left one's. Without it the hand drives the arm that was chosen last.
    """

    move: tuple[float, ...] = (0.0, 0.0, 0.0)
    turn: tuple[float, ...] = (0.0, 0.0, 0.0)
    slow: bool = False
    opening: float | None = None
    grasped: Grasped | None = None
    second: "Hand | None" = None

    @property
    def still(self) -> bool:
        """Whether every arm is asked to stay where it is."""
        mine = self.grasped is None and not any(self.move) and not any(self.turn)
        return mine and (self.second is None or self.second.still)

    @property
    def openings(self) -> tuple[float, ...]:
        """The openings that are asked for by triggers."""
        both = (self.opening, None if self.second is None else self.second.opening)
        return tuple(opening for opening in both if opening is not None)


class CartesianControl:
    """Moves the tool centre point of one arm as a hand asks, by differential inverse kinematics.

    The commanded pose never runs away from the arm: it stays within a leash of the measured
    position and of what the joints can reach, so that letting go stops the arm and turning back
    takes effect at once.
    """

    def __init__(self, world: World, facing: float = 0.0, part: int = 0) -> None:
        """Control one arm of ``world``, its ``part``, for a person at the table.

        ``facing`` is where the person looks, from where the (left) arm looks [rad]. 0: stands
        behind the arm; pi: stands before it.
        """
        arm, whole = world.parts[part], world.arm.limits
        self.columns = slice(arm.hinges.start, arm.gripper + 1)
        self.limits = Limits(*(x[self.columns] for x in (whole.lower, whole.upper, whole.step)))
        self.kinematics = Kinematics(world, part=part)
        self.scale = world.arm.workspace.hover / REFERENCE.hover
        self.dt = 1.0 / world.arm.control_hz
        self.rate = float(world.arm.velocity[arm.gripper])
        self.facing = np.array([np.cos(facing / 2), 0.0, 0.0, np.sin(facing / 2)])
        # Too few joints to keep the hand's direction anywhere?
        self.swings = arm.hinges.stop - arm.hinges.start < 6
        self.begin(np.array(world.arm.home[self.columns]))

    def begin(self, command: Array) -> None:
        """Start from the arm's joint targets ``command`` (n,)."""
        self.command = np.asarray(command, np.float32)
        self.q = np.array(command[:-1], np.float64)
        self.opening = self.wanted = float(command[-1])
        self.point, self.quat = self.kinematics.forward(self.q)
        self.stop()

    def stop(self) -> None:
        """Forget all motion: the next command starts from rest."""
        self.velocity, self.spin = np.zeros(3), np.zeros(3)
        self._hold: tuple[Grasped, Array, Array] | None = None

    def toggle(self) -> None:
        """Ask for an open gripper where it is closed or closing, else for a closed one."""
        middle = (FULL + CLOSED) / 2
        self.wanted = CLOSED if self.wanted > middle else FULL

    def step(self, hand: Hand, measured: Array) -> Array:
        """Return the command (n,) float32 for this control period.

        Args:
            hand: what the person asks for.
            measured: joint positions and opening (n,) as observed.
        """
        before = self.point.copy()
        if hand.grasped is None:
            self._hold = None
            self._glide(hand)
        else:
            self._drag(hand.grasped)
        if self.swings:
            self._swing(before)
        tcp, _ = self.kinematics.forward(np.asarray(measured[:-1], np.float64))
        self.point = _leashed(self.point, tcp, LEASH * self.scale)
        self._solve()
        self._grip(hand, float(measured[-1]))
        wished = np.append(self.q, self.opening)
        self.command = self.limits.clamp(wished, self.command).astype(np.float32)
        return self.command

    def _glide(self, hand: Hand) -> None:
        """Follow the wanted velocities with bounded acceleration."""
        share = SLOW if hand.slow else 1.0
        pace = share * self.scale
        wanted = self._to_arm(np.array(hand.move)) * SPEED * pace
        self.velocity = _towards(self.velocity, wanted, ACCELERATION * self.scale * self.dt)
        wanted = self._to_arm(np.array(hand.turn)) * SPIN * share
        self.spin = _towards(self.spin, wanted, SPIN_UP * self.dt)
        self.point = self.point + self.velocity * self.dt
        self._rotate(self.spin * self.dt)

    def _drag(self, hand: Grasped) -> None:
        """Follow the tracked hand from where it took hold; jumps of the tracker are slowed down."""
        if self._hold is None:
            self._hold = (hand, self.point.copy(), self.quat.copy())
        taken, point, quat = self._hold
        way = np.array(hand.position) - np.array(taken.position)
        goal = point + self._to_arm(way) * self.scale
        self.point = _towards(self.point, goal, DRAG_SPEED * self.scale * self.dt)
        turned = rotation(np.array(taken.quaternion), np.array(hand.quaternion))
        whole = rotated(quat, self._to_arm(turned))
        rest = rotation(self.quat, whole)
        self._rotate(_towards(np.zeros(3), rest, DRAG_SPIN * self.dt))

    def _swing(self, before: Array) -> None:
        """Turn the hand with the arm's azimuth."""
        azimuths = [np.arctan2(p[1], p[0]) for p in (before, self.point)]
        change = (azimuths[1] - azimuths[0] + np.pi) % (2 * np.pi) - np.pi
        self._rotate(np.array([0.0, 0.0, change]))

    def _solve(self) -> None:
        """Find the joint angles, and pull the commanded pose back to what they can reach."""
        self.q = self.kinematics.solve(self.q, self.point, self.quat)
        point, quat = self.kinematics.forward(self.q)
        self.point = _leashed(self.point, point, REACH_LEASH * self.scale)
        if not self.swings:
            away = rotation(quat, self.quat)
            self.quat = rotated(quat, _towards(np.zeros(3), away, TURN_LEASH))

    def _grip(self, hand: Hand, measured: float) -> None:
        """Open or close; a closing gripper holds with a bounded force."""
        if hand.opening is not None:
            self.wanted = hand.opening
        step = self.rate * self.dt
        self.opening += float(np.clip(self.wanted - self.opening, -step, step))
        self.opening = max(self.opening, min(measured - GRIP_LEASH, 1.0))

    def _to_arm(self, vector: Array) -> Array:
        """Turn a vector (3,) from the person's axes to the arm's."""
        turned = np.zeros(3)
        mujoco.mju_rotVecQuat(turned, vector, self.facing)
        return turned

    def _rotate(self, vector: Array) -> None:
        """Turn the commanded orientation about ``vector`` (3,) by its length [rad]."""
        self.quat = rotated(self.quat, vector)


def _towards(value: Array, goal: Array, most: float) -> Array:
    """Return ``value`` moved to ``goal``, by ``most`` at most."""
    way = goal - value
    length = float(np.linalg.norm(way))
    return goal if length <= most else value + way * (most / length)


def _leashed(value: Array, centre: Array, length: float) -> Array:
    """Return ``value``, pulled to within ``length`` of ``centre``."""
    return _towards(centre, value, length)
