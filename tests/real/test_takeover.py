"""A person takes over from a policy, and hands back, without a jump."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from person import Person

from envs.collection import Collection
from envs.episode import EpisodeMeta, read_episode
from envs.errors import UsageError
from envs.recorder import Recorder
from envs.robots import ROBOTS
from policies.dataset import EpisodeSet, Reading
from policies.windows import Sampler
from real.teleop.rig import SimRig
from real.teleop.supervised import Supervised
from real.teleop.takeover import (
    PERSON,
    POLICY,
    WAITING,
    HandLeader,
    Handover,
    PoseLeader,
    TakeOver,
)

SPEC = ROBOTS["viperx"].spec()
HOME = np.array(SPEC.home)
STEP = 0.02  # of the joints that the policy and the leader move in a control period [rad]


class Wandering:
    """A policy that goes to one pose, at ``STEP`` a period from wherever the arm is."""

    def __init__(self, goal: np.ndarray) -> None:
        self.goal, self.restarts, self.holding = goal, 0, False

    def restart(self) -> None:
        self.restarts += 1

    def act(self, observation) -> np.ndarray:
        here = observation["qpos"]
        return here + np.clip(self.goal - here, -STEP, STEP)


def driven(leader_way, policy_goal: np.ndarray, taken: range, steps: int):
    """Return the commands and who decided them; the arm follows its commands exactly."""
    at = {"t": 0}
    drive = TakeOver(SPEC, PoseLeader(lambda: leader_way(at["t"])), Wandering(policy_goal))
    drive.begin(HOME)
    here, commands, by = HOME.copy(), [HOME.copy()], []
    for t in range(steps):
        at["t"] = t
        drive.take() if t in taken else drive.give()
        command = drive.step({"qpos": here})
        here = command.action.astype(float)
        commands.append(here)
        by.append(command.by)
    return np.array(commands), by


class Late(Wandering):
    """Has an answer ``delay`` periods after it was told to begin; till then it holds."""

    delay = 5

    def restart(self) -> None:
        super().restart()
        self.waited = 0

    def act(self, observation) -> np.ndarray:
        self.waited += 1
        self.holding = self.waited <= self.delay
        return observation["qpos"] if self.holding else self.goal


def test_who_has_no_answer_yet_gets_the_arm_held_and_then_without_a_jump() -> None:
    goal, sag = HOME + 0.1, 0.02
    policy = Late(goal)
    drive = TakeOver(SPEC, PoseLeader(lambda: HOME), policy)
    drive.begin(HOME)
    drive.take()
    assert drive.step({"qpos": HOME}).by == PERSON
    drive.give()
    commands = np.array([drive.step({"qpos": HOME - sag}).action for _ in range(40)])
    np.testing.assert_allclose(commands[: Late.delay], np.tile(HOME, (Late.delay, 1)), atol=1e-6)
    fade = 0.1 * np.pi / 2 / (Handover().blend_s * SPEC.control_hz)
    assert np.abs(np.diff(commands, axis=0)).max() <= fade + 1e-6
    np.testing.assert_allclose(commands[-1], goal.clip(SPEC.lower, SPEC.upper), atol=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_no_take_over_and_no_way_back_is_a_jump(seed: int) -> None:
    rng = np.random.default_rng(seed)
    away = np.append(rng.uniform(-0.6, 0.6, SPEC.n - 1), 0.0)
    meet = np.append(rng.uniform(-0.3, 0.3, SPEC.n - 1), 0.0)
    way = lambda t: HOME + meet + away * max(0.0, 1 - t / 60)  # noqa: E731
    commands, by = driven(way, HOME + meet, range(20, 120), 200)
    moves = np.abs(np.diff(commands, axis=0)).max(axis=1)
    fade = Handover().near * np.pi / 2 / (Handover().blend_s * SPEC.control_hz)
    assert moves.max() <= STEP + 0.6 / 60 + fade + 1e-6
    assert by[:20] == [POLICY] * 20
    assert PERSON in by
    assert by[120:] == [POLICY] * 80
    drove = np.flatnonzero(np.array(by) == PERSON)
    np.testing.assert_allclose(commands[drove[-1] + 1], way(119), atol=1e-5)


def test_the_arm_is_held_until_the_leader_has_come_close() -> None:
    far = HOME + np.append(np.full(SPEC.n - 1, 0.5), 0.0)
    commands, by = driven(lambda t: far, HOME, range(5, 50), 50)
    assert by == [POLICY] * 5 + [WAITING] * 45
    assert (commands[6:] == commands[5]).all()


def test_the_policy_plans_anew_when_it_gets_the_arm_back() -> None:
    policy = Wandering(HOME)
    drive = TakeOver(SPEC, PoseLeader(lambda: HOME), policy)
    drive.begin(HOME)
    before = policy.restarts
    for wanted in (False, True, True, False, False):
        drive.take() if wanted else drive.give()
        drive.step({"qpos": HOME})
    assert policy.restarts == before + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"near": 0.0}, "near must be above 0"), ({"blend_s": 0.0}, r"blend_s must be 0.1..5 s")],
)
def test_a_hand_over_that_could_be_a_jump_is_refused(settings, message) -> None:
    with pytest.raises(UsageError, match=message):
        Handover(**settings)


def test_a_scripted_person_rescues_a_policy_in_simulation_and_only_that_is_learned(
    tmp_path: Path,
) -> None:
    rig = SimRig(Collection("pick_place"), views=())
    leader = HandLeader(rig.control)
    astray = Wandering(HOME + np.append(np.full(SPEC.n - 1, 0.3), 0.0))
    drive = TakeOver(rig.arm.spec, leader, astray)
    path = tmp_path / "data" / "episode_0.hdf5"
    path.parent.mkdir()
    recorder = Recorder(path)
    episode = Supervised(rig, drive, recorder)
    start = episode.begin(0)
    person, over = Person(rig), False
    while not over:
        rescued = episode.steps >= 25
        if rescued:
            leader.hand = person.hand()
            while person.pressed:
                person.pressed.pop()
                rig.control.toggle()
        over = episode.tick(rescued)
    episode.finish(EpisodeMeta(task="pick_place", robot="viperx", start=start, success=rig.success))
    assert rig.success
    found = read_episode(path)
    assert found.marks.acted.tolist() == [False] * 25 + [True] * (len(found) - 25)
    moves = np.abs(np.diff(found.actions[:, :-1], axis=0)).max(axis=1)
    assert moves.max() < 0.07  # a period's travel at the joints' largest velocity
    assert moves[24] < 0.01  # the hand takes over from rest
    data = EpisodeSet.load(path.parent, Reading(validation=0.0))
    drawn = Sampler(data, data.train, 1, 1).batch(np.random.default_rng(0), 500)
    taught = {row.tobytes() for row in found.actions[25:]}
    assert {row.tobytes() for row in drawn["action"][:, 0]} <= taught
