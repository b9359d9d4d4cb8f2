"""Many simulations at once are the same as one after another."""

from dataclasses import replace

import numpy as np
import pytest

from envs.batch import SimBatch
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.sim import SimArm
from envs.tasks import TASKS
from envs.variation import perturb
from envs.world import world

TASK = TASKS["pick_place"]
AXES = [
    ("object_pose", "L2"),
    ("home_pose", "L2"),
    ("friction_mass", "L3"),
    ("damping_gain", "L2"),
    ("action_delay", "L2"),
    ("observation", "L2"),
    ("distractors", "L1"),
]


def starts(n, axes=()):
    rngs = [np.random.default_rng(seed) for seed in range(n)]
    return [perturb(TASK.sample(rng, world(TASK).arm), TASK, axes, rng) for rng in rngs]


def demonstration(start, distractors):
    arm = SimArm(TASK, distractors=distractors)
    expert = TASK.expert(arm.sim.world, OPERATORS["clean"])
    arm.home(start)
    expert.reset(start, np.random.default_rng(0))
    actions, observations = [], []
    while not arm.sim.done[0]:
        actions.append(expert.act(arm.readings))
        observations.append(arm.command(actions[-1]))
    return np.array(actions), observations, arm.sim.state(0)["qpos"]


@pytest.mark.parametrize(("axes", "distractors"), [((), 0), (AXES, 1)])
def test_a_batch_is_bit_equal_to_single_arms_for_any_number_of_threads(axes, distractors):
    begin = starts(3, axes)
    singles = [demonstration(start, distractors) for start in begin]
    for threads in (1, 2):
        batch = SimBatch(TASK, size=3, threads=threads, distractors=distractors)
        for _ in range(2):  # a second run must not feel the first
            batch.reset(begin)
            for t in range(max(len(s[0]) for s in singles)):
                batch.step(np.stack([s[0][min(t, len(s[0]) - 1)] for s in singles]))
                seen = batch.observe()
                for i, (actions, observations, _) in enumerate(singles):
                    if t < len(actions):
                        for key, value in observations[t].items():
                            assert np.array_equal(seen[key][i], value), (t, key)
            assert batch.steps.tolist() == [len(s[0]) for s in singles]
            for i, (_, _, final) in enumerate(singles):
                assert np.array_equal(batch.state(i)["qpos"], final)


def test_an_episode_does_not_feel_the_factors_of_those_before():
    def end(arm, start):
        arm.home(start)
        home = np.array(start.qpos)
        return [arm.command(home + 0.1 * np.sin(t)) for t in range(20)][-1]

    nominal, heavy = starts(1)[0], starts(1, [("friction_mass", "L3"), ("damping_gain", "L3")])[0]
    broken = replace(nominal, factors={**heavy.factors, "sorcery": {}})
    arm = SimArm(TASK)
    alone = [end(SimArm(TASK), start) for start in (nominal, heavy)]
    assert not np.array_equal(alone[0]["qpos"], alone[1]["qpos"])
    for i in (1, 0, 1, 1, 0):
        with pytest.raises(UsageError, match="sorcery"):
            arm.home(broken)
        for key, value in end(arm, (nominal, heavy)[i]).items():
            assert np.array_equal(value, alone[i][key]), key


def test_an_observation_stays_as_it_was_when_the_arm_goes_on():
    for axes in ((), [("observation", "L3")]):
        arm = SimArm(TASK)
        start = starts(1, axes)[0]
        kept = arm.home(start)
        copies = {key: value.copy() for key, value in kept.items()}
        for _ in range(5):
            arm.command(np.array(start.qpos) + 0.2)
        assert all(np.array_equal(kept[key], copies[key]) for key in copies)


def test_stopping_none_changes_nothing():
    start = starts(1)[0]
    actions = demonstration(start, 0)[0]
    batch = SimBatch(TASK, size=1, threads=1)
    batch.reset([start])
    for action in actions:
        batch.stop(np.array([False]))
        batch.step(np.asarray(action)[None])
    assert batch.success.tolist() == [True]


def test_an_episode_that_has_ended_stays_as_it_was():
    batch = SimBatch(TASK, size=2, threads=1)
    batch.reset(starts(2))
    home = np.array([s.qpos for s in batch.starts])
    batch.step(home)
    batch.stop(np.array([True, False]))
    frozen = batch.state(0)["qpos"]
    for _ in range(5):
        batch.step(home + 0.2)
    assert np.array_equal(batch.state(0)["qpos"], frozen)
    assert batch.steps.tolist() == [1, 6]
    assert batch.done.tolist() == [True, False]


def test_a_command_is_limited_and_counted():
    batch = SimBatch(TASK, size=2, threads=1)
    batch.reset(starts(2))
    home = np.array([s.qpos for s in batch.starts])
    jump = home.copy()
    jump[1, 0] += 1.0
    batch.step(jump)
    assert batch.clamps.tolist() == [0, 1]


def test_a_wrong_action_is_refused_with_its_shape_or_value():
    batch = SimBatch(TASK, size=2, threads=1)
    batch.reset(starts(2))
    with pytest.raises(ValueError, match=r"shape \(2, 7\), got \(7,\)"):
        batch.step(np.zeros(7))
    for bad in (np.nan, np.inf):
        action = np.array([s.qpos for s in batch.starts])
        action[1, 2] = bad
        with pytest.raises(ValueError, match="finite"):
            batch.step(action)


def test_a_start_with_more_distractors_than_the_scene_is_refused():
    batch = SimBatch(TASK, size=1)
    with pytest.raises(UsageError, match="1 distractors"):
        batch.reset(starts(1, [("distractors", "L1")]))


def test_a_delayed_command_arrives_late():
    def first_motion(axes):
        batch = SimBatch(TASK, size=1)
        batch.reset(starts(1, axes))
        goal = np.array([batch.starts[0].qpos])
        goal[0, 0] += 0.05
        begin = batch.observe()["qpos"][0, 0]
        for t in range(20):
            batch.step(goal)
            if abs(batch.observe()["qpos"][0, 0] - begin) > 1e-3:
                return t
        return None

    assert first_motion([("action_delay", "L2")]) == first_motion([]) + 3


def test_a_dropped_frame_repeats_the_one_before():
    batch = SimBatch(TASK, size=8, threads=1)
    batch.reset(starts(8, [("observation", "L3")]))
    goal = np.array([s.qpos for s in batch.starts]) + 0.3
    repeats = 0
    before = batch.observe()["qpos"]
    for _ in range(50):
        batch.step(goal)
        now = batch.observe()["qpos"]
        repeats += (now == before).all(axis=1).sum()
        before = now
    assert 0.15 < repeats / 400 < 0.35
