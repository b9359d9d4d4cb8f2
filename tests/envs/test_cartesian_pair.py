"""One person, two arms: the one that is driven moves, the other one holds."""

import numpy as np
import pytest

from envs.cartesian import SPEED, CartesianControl, Grasped, Hand
from envs.cartesian_pair import PairControl, control_of
from envs.sim import SimArm
from envs.tasks import TASKS
from envs.viewer import facing
from envs.world import world

TASK = TASKS["transfer"]
WORLD = world(TASK)
AWAY = Hand(move=(1.0, 0.0, 0.0))


class Driven:
    """A simulated pair of arms under Cartesian control, by a person who sees the camera view."""

    def __init__(self) -> None:
        self.arm = SimArm(TASK, horizon=10_000)
        start = TASK.sample(np.random.default_rng(3), self.arm.spec)
        self.qpos = self.arm.home(start)["qpos"]
        self.control = control_of(WORLD, facing(WORLD))
        assert isinstance(self.control, PairControl)
        self.control.begin(np.array(start.qpos))

    def drive(self, hand: Hand, steps: int = 50) -> np.ndarray:
        """Return the ways of both tool centre points (2, 3) in ``steps`` periods [m]."""
        before = self.tcp
        for _ in range(steps):
            self.qpos = self.arm.command(self.control.step(hand, self.qpos))["qpos"]
        return self.tcp - before

    @property
    def tcp(self) -> np.ndarray:
        return np.array([self.arm.readings[f"{side}_tcp_pos"] for side in ("left", "right")])


@pytest.fixture
def driven() -> Driven:
    return Driven()


def test_only_the_chosen_arm_moves_and_in_the_persons_directions(driven: Driven) -> None:
    for chosen in (0, 1):
        driven.drive(Hand())
        assert driven.control.hand == ("left", "right")[chosen]
        ways = driven.drive(AWAY, 25)
        assert ways[chosen][1] > 0.3 * SPEED * 0.5  # away from who stands before the table
        assert abs(ways[chosen][0]) < 0.01
        assert np.abs(ways[1 - chosen]).max() < 2e-3
        driven.control.switch()


def test_an_arm_that_is_left_in_motion_stops_and_holds(driven: Driven) -> None:
    driven.drive(AWAY, 25)
    driven.control.switch()
    driven.drive(Hand(), 25)
    assert np.abs(driven.drive(Hand(), 50)).max() < 1e-3


def test_the_gripper_of_the_chosen_arm_closes_and_keeps_closed_when_the_other_is_driven(
    driven: Driven,
) -> None:
    assert driven.control.gripper == 6
    driven.control.toggle()
    driven.drive(Hand(), 60)
    driven.control.switch()
    assert driven.control.gripper == 13
    assert driven.control.wanted > 0.5
    driven.drive(AWAY, 60)
    assert driven.qpos[6] < 0.1
    assert driven.qpos[13] > 0.7


def test_two_tracked_hands_drive_both_arms_at_once_each_its_own(driven: Driven) -> None:
    still = (1.0, 0.0, 0.0, 0.0)

    def hands(left: tuple[float, ...], right: tuple[float, ...]) -> Hand:
        second = Hand(opening=0.1, grasped=Grasped(right, still))
        return Hand(opening=0.9, grasped=Grasped(left, still), second=second)

    origin = (0.0, 0.0, 0.0)
    driven.drive(hands(origin, origin), 5)
    assert driven.control.hand == "both"
    ways = driven.drive(hands((0.03, 0.0, 0.0), (0.0, 0.0, 0.04)), 100)
    assert np.allclose(ways[0], [0.0, 0.03, 0.0], atol=8e-3)
    assert np.allclose(ways[1], [0.0, 0.0, 0.04], atol=8e-3)
    assert driven.qpos[6] > 0.8
    assert driven.qpos[13] < 0.2


def test_one_arm_is_controlled_as_ever_and_has_no_other_to_switch_to() -> None:
    made = world(TASKS["pick_place"])
    control = control_of(made)
    assert isinstance(control, CartesianControl)
    before = control.step(AWAY, np.array(made.arm.home))
    control.switch()
    assert control.hands == ()
    assert np.array_equal(control.command, before)
