import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.ability import able
from envs.cartesian import DRAG_SPEED, LEASH, SLOW, SPEED, CartesianControl, Grasped, Hand
from envs.cartesian_pair import control_of
from envs.sim import SimArm
from envs.tasks import TASKS
from envs.world import world

TASK = TASKS["pick_place"]


class Driven:
    """A simulated arm under Cartesian control."""

    def __init__(self, robot: str = "viperx", facing: float = 0.0) -> None:
        self.arm = SimArm(TASK, robot, horizon=10_000)
        start = TASK.sample(np.random.default_rng(3), self.arm.spec)
        self.qpos = self.arm.home(start)["qpos"]
        self.control = CartesianControl(world(TASK, robot), facing)
        self.control.begin(np.array(start.qpos))

    def drive(self, hand: Hand, steps: int) -> np.ndarray:
        """Return the way of the commanded point (3,) over ``steps`` periods [m]."""
        before = self.control.point.copy()
        for _ in range(steps):
            self.qpos = self.arm.command(self.control.step(hand, self.qpos))["qpos"]
        return self.control.point - before

    @property
    def tcp(self) -> np.ndarray:
        return np.array(self.arm.readings["tcp_pos"])


WAYS = [((1, 0, 0), 0.0, (1, 0, 0)), ((1, 0, 0), math.pi, (-1, 0, 0)), ((0, 1, 0), 0.0, (0, 1, 0)),
        ((0, 1, 0), math.pi, (0, -1, 0)), ((0, 0, -1), math.pi, (0, 0, -1)),
        ((1, 0, 0), math.pi / 2, (0, 1, 0))]  # fmt: skip


@pytest.mark.parametrize(("move", "facing", "way"), WAYS)
def test_the_hand_moves_in_the_persons_axes(
    move: tuple[float, ...], facing: float, way: Sequence[float]
) -> None:
    driven = Driven(facing=facing)
    before = driven.tcp
    commanded = driven.drive(Hand(move=move), 15)
    assert commanded @ np.array(way) == pytest.approx(SPEED * 15 / 50, rel=0.25)
    moved = driven.tcp - before
    assert moved @ np.array(way) > 0.8 * np.linalg.norm(moved) > 0.02


def test_slow_is_slow_and_letting_go_stops_the_arm() -> None:
    driven = Driven()
    fast = np.linalg.norm(driven.drive(Hand(move=(0, 1, 0)), 12))
    driven.drive(Hand(), 25)
    here = driven.tcp
    driven.drive(Hand(), 25)
    assert np.linalg.norm(driven.tcp - here) < 5e-4
    slow = np.linalg.norm(driven.drive(Hand(move=(0, 1, 0), slow=True), 12))
    assert slow == pytest.approx(SLOW * fast, rel=0.3)


@pytest.mark.parametrize("robot", ["viperx", "koch", "openarm"])
def test_beyond_its_reach_the_arm_waits_at_the_edge_and_comes_back_at_once(robot: str) -> None:
    driven = Driven(robot)
    driven.drive(Hand(move=(1, 0, 0)), 250)
    edge = driven.tcp
    assert np.linalg.norm(driven.control.point - edge) <= LEASH + 1e-6
    driven.drive(Hand(move=(-1, 0, 0)), 50)
    assert edge[0] - driven.tcp[0] > 0.05 * driven.control.scale


def test_pressed_on_the_table_the_command_stays_near_the_arm() -> None:
    driven = Driven()
    driven.drive(Hand(move=(0, 0, -1)), 200)
    assert np.linalg.norm(driven.control.point - driven.tcp) < LEASH + 0.01
    low = driven.tcp[2]
    driven.drive(Hand(move=(0, 0, 1)), 30)
    assert driven.tcp[2] > low + 0.05


@pytest.mark.parametrize("axis", range(3))
def test_turning_there_and_back_leaves_the_hand_where_it_was(axis: int) -> None:
    driven = Driven()
    start = driven.control.quat.copy()
    turn = np.eye(3)[axis]
    driven.drive(Hand(turn=tuple(turn)), 15)
    turned = 2 * math.acos(min(1.0, abs(float(start @ driven.control.quat))))
    assert 0.2 < turned < 0.5
    driven.drive(Hand(), 10)
    driven.drive(Hand(turn=tuple(-turn)), 15)
    driven.drive(Hand(), 10)
    back = 2 * math.acos(min(1.0, abs(float(start @ driven.control.quat))))
    assert back < 0.06


def held(x: float, y: float, z: float, yaw: float = 0.0) -> Hand:
    quat = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    return Hand(grasped=Grasped((x, y, z), quat))


def test_a_tracked_hand_takes_the_arm_along_from_where_it_is() -> None:
    driven = Driven(facing=math.pi)
    driven.drive(held(5.0, -3.0, 1.0), 5)
    way = driven.drive(held(5.0 + 0.03, -3.0 + 0.05, 1.0 - 0.04), 30)
    assert way == pytest.approx([-0.03, -0.05, -0.04], abs=2e-3)
    start = driven.control.quat.copy()
    driven.drive(held(5.03, -2.95, 0.96, yaw=0.3), 30)
    assert 2 * math.acos(abs(float(start @ driven.control.quat))) == pytest.approx(0.3, abs=0.02)


def test_letting_go_and_taking_hold_elsewhere_moves_nothing() -> None:
    driven = Driven()
    driven.drive(held(0, 0, 0), 5)
    driven.drive(held(0, 0.04, 0), 30)
    driven.drive(Hand(), 5)
    assert np.linalg.norm(driven.drive(held(3.0, 3.0, 3.0, yaw=2.0), 20)) < 1e-3


def test_a_tracker_that_jumps_moves_the_arm_no_faster_than_its_limit() -> None:
    driven = Driven()
    driven.drive(held(0, 0, 0), 2)
    for _ in range(10):
        step = np.linalg.norm(driven.drive(held(0, 9.0, 0), 1))
        assert step <= DRAG_SPEED / 50 + 1e-6


def test_the_gripper_toggles_and_holds_with_a_bounded_force() -> None:
    driven = Driven()
    control = driven.control
    first = control.wanted
    control.toggle()
    assert (control.wanted < 0.5) != (first < 0.5)
    control.wanted = 0.0
    driven.drive(Hand(), 5)
    blocked = driven.qpos.copy()
    blocked[-1] = 0.6  # something is between the fingers
    for _ in range(50):
        command = control.step(Hand(), blocked)
    assert 0.3 < command[-1] < 0.6
    assert control.step(Hand(opening=1.0), driven.qpos)[-1] > command[-1]


shares = st.tuples(*[st.floats(-1, 1)] * 3)
anywhere = st.tuples(*[st.floats(-20, 20)] * 3)
quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1)
hands = st.builds(
    Hand,
    move=shares,
    turn=shares,
    slow=st.booleans(),
    opening=st.none() | st.floats(0, 1),
    grasped=st.none()
    | st.builds(Grasped, anywhere, quaternions.map(lambda q: tuple(x / math.hypot(*q) for x in q))),
)


@pytest.mark.parametrize("robot", able(TASK))
@settings(max_examples=25)
@given(wished=st.lists(st.tuples(hands, st.integers(1, 20)), max_size=6))
def test_whatever_is_asked_for_every_command_is_finite_and_within_the_limits(
    robot: str, wished: list[tuple[Hand, int]]
) -> None:
    made = world(TASK, robot)
    control = control_of(made, math.pi)
    before = control.command
    limits = made.arm.limits
    for hand, steps in wished:
        for _ in range(steps):
            command = control.step(hand, before)  # an arm that follows at once
            assert np.isfinite(command).all()
            assert (command >= limits.lower - 1e-5).all()
            assert (command <= limits.upper + 1e-5).all()
            assert (np.abs(command - before) <= limits.step + 1e-5).all()
            before = command
