"""An object that the hand hides: at rest, carried, let go, never grasped."""

import numpy as np

from envs.robots import ROBOTS
from envs.statics import Statics
from real.in_hand import COVERED_S, InHand
from real.pinhole import Pose
from real.real_arm import Seen

CUBE = np.array([0.3, 0.0, 0.02, 1.0, 0.0, 0.0, 0.0])


class Scene:
    """A hand that is where a test puts it, and a cube that is seen when a test says so."""

    def __init__(self) -> None:
        self.time, self.hand, self.opening = 10.0, np.array([0.3, 0.0, 0.3]), 0.85
        self.seen = Seen(CUBE, 10.0)
        self.where = InHand(
            lambda: {"cube": self.seen},
            lambda: np.array([self.opening]),
            lambda joints: np.array([*self.hand, 0.0, 1.0, 0.0, 0.0]),
            lambda: self.time,
        )

    def pass_by(self, hand: tuple[float, ...], opening: float, see: np.ndarray | None = None):
        """Let a tenth of a second pass; return where the cube is said to be."""
        self.time += 0.1
        self.hand, self.opening = np.array(hand), opening
        if see is not None:
            self.seen = Seen(see, self.time)
        return self.where()["cube"]


def moved(way: tuple[float, ...]) -> np.ndarray:
    place = CUBE.copy()
    place[:3] += way
    return place


def grasped() -> Scene:
    scene = Scene()
    scene.pass_by((0.3, 0.0, 0.02), 0.85)
    scene.pass_by((0.3, 0.0, 0.02), 0.6)
    return scene


def test_what_is_below_the_hand_rests_where_it_was_seen_for_a_while() -> None:
    scene = Scene()
    for _ in range(20):
        told = scene.pass_by((0.3, 0.05, 0.1), 0.85)
    np.testing.assert_allclose(told.pose, CUBE)
    assert told.stamp == scene.time
    for _ in range(round(10 * COVERED_S)):
        told = scene.pass_by((0.3, 0.05, 0.1), 0.85)
    assert told.stamp == 10.0  # now it counts as old
    assert scene.pass_by((0.6, 0.3, 0.3), 0.85).stamp == 10.0


def test_what_was_grasped_goes_with_the_hand_and_stays_where_it_is_let_go() -> None:
    scene = grasped()
    told = scene.pass_by((0.4, 0.1, 0.15), 0.5)
    np.testing.assert_allclose(told.pose[:3], np.add(CUBE[:3], (0.1, 0.1, 0.13)), atol=1e-9)
    assert told.stamp == scene.time
    scene.pass_by((0.4, 0.1, 0.02), 0.5)
    scene.pass_by((0.4, 0.1, 0.02), 0.85)
    told = scene.pass_by((0.4, 0.1, 0.3), 0.85)
    np.testing.assert_allclose(told.pose[:3], np.add(CUBE[:3], (0.1, 0.1, 0.0)), atol=1e-9)
    told = scene.pass_by((0.4, 0.1, 0.3), 0.85, moved((0.11, 0.1, 0.0)))
    np.testing.assert_allclose(told.pose[0], 0.41)


def test_one_wrong_sight_of_what_is_in_the_hand_is_not_believed_but_three_are() -> None:
    scene, dropped = grasped(), moved((0.05, 0.0, 0.0))
    for tries in range(1, 4):
        told = scene.pass_by((0.4, 0.1, 0.15), 0.5, dropped)
        assert (told.pose[0] < 0.38) == (tries == 3)


def test_a_gripper_that_closes_on_nothing_carries_nothing() -> None:
    scene = Scene()
    scene.pass_by((0.3, 0.1, 0.02), 0.85)
    scene.pass_by((0.3, 0.1, 0.02), 0.1)
    told = scene.pass_by((0.3, 0.1, 0.2), 0.1)
    np.testing.assert_allclose(told.pose, CUBE)


def test_the_tool_is_where_the_simulation_has_it() -> None:
    from envs.kinematics import Kinematics
    from envs.tasks import TASKS
    from envs.world import world

    for robot in ("viperx", "koch", "openarm"):
        home = np.array(ROBOTS[robot].spec().home)
        told = Pose.from_array(Statics(robot).tool(home))
        kinematics = Kinematics(world(TASKS["pick_place"], robot))
        place, quat = kinematics.forward(home[:-1])
        assert told.distance(Pose.from_array([*place, *quat])) < 1e-9
        assert told.angle(Pose.from_array([*place, *quat])) < 1e-6
