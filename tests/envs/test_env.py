"""The Gymnasium environment keeps Gymnasium's contract."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs
from envs.env import TabletopEnv, make
from envs.errors import UsageError
from envs.sim import SimArm
from envs.tasks import TASKS

IDS = [spec for spec in gym.registry if spec.startswith("ArmTrials/")]


def test_every_task_is_registered_on_both_tracks():
    assert len(IDS) == 2 * len(TASKS)
    assert envs.__doc__


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_finds_nothing_to_warn_of(name):
    check_env(gym.make(name).unwrapped)
    check_env(gym.make(name, render_mode="rgb_array").unwrapped)


def test_normalized_actions_span_the_joint_range():
    env = gym.make("ArmTrials/PickPlace-v1").unwrapped
    seen = []
    env.arm.command = lambda target: seen.append(target) or env.arm.observe()
    env.reset(seed=0)
    env.step(np.ones(7, np.float32))
    env.step(-np.ones(7, np.float32))
    assert np.allclose(seen[0], env.arm.spec.upper, atol=1e-6)
    assert np.allclose(seen[1], env.arm.spec.lower, atol=1e-6)


def test_the_same_seed_gives_the_same_episode_in_another_process():
    code = (
        "from envs.env import make; import numpy as np, hashlib\n"
        "env = make('pick_place'); env.reset(seed=7)\n"
        "for t in range(30): env.step(np.array(env.start.qpos) + .01 * t)\n"
        "print(hashlib.sha256(env.arm.sim.state(0)['qpos'].tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code]
    out = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert out[0].stdout == out[1].stdout != ""


def test_the_observation_of_the_pixel_track_hides_the_objects():
    env = gym.make("ArmTrials/PickPlacePixels-v1").unwrapped
    observation, _ = env.reset(seed=0)
    assert not [key for key in observation if key.startswith("objects/")]
    assert observation["images/overhead"].shape == (84, 84, 3)
    assert observation["images/overhead"].std() > 10
    assert observation["images/wrist"].std() > 10


@pytest.mark.parametrize("bad", [np.zeros(6), np.full(7, np.nan)])
def test_a_wrong_action_is_refused(bad):
    env = make("pick_place")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="actions must"):
        env.step(bad)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown task 'stack'; known: .*pick_place"):
        make("stack")
    with pytest.raises(UsageError, match="unknown arm 'ur5'; known: koch, openarm, viperx"):
        make("pick_place", "ur5")
    with pytest.raises(UsageError, match="unknown variation 'wind'; known: action_delay"):
        make("pick_place", variations=[("wind", "L1")])
    with pytest.raises(UsageError, match="unknown level 'L4'; known: L1, L2, L3"):
        make("pick_place", variations=[("distractors", "L4")])
    with pytest.raises(UsageError, match="rgb_array"):
        TabletopEnv(SimArm(TASKS["pick_place"]), TASKS["pick_place"], render_mode="human")
