"""Somebody else's environment behind the observations and actions that policies here know."""

import importlib.util
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from envs.adapters import Foreign, adapt
from envs.adapters_dm import DmEnv
from envs.episode import read_episode
from envs.errors import UsageError
from envs.foreign_episodes import demonstrate, record
from envs.success import Success, Verdict

GYM_IDS = ["gym:Pendulum-v1", "gym:MountainCarContinuous-v0", "gym:ArmTrials/PickPlace-v1"]


class Odd(gym.Env):
    """Nested observations, a picture, an action of two axes; ends after three steps."""

    observation_space = spaces.Dict(
        {
            "eye": spaces.Box(0, 255, (4, 6, 3), np.uint8),
            "body": spaces.Dict({"speed": spaces.Box(-1, 1, (2,)), "gear": spaces.Discrete(3)}),
        }
    )
    action_space = spaces.Box(-2.0, 2.0, (2, 2), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock = 0
        return self._seen(), {}

    def step(self, action):
        assert action.shape == (2, 2)
        self.clock += 1
        self.sent = action
        return self._seen(), 1.0, self.clock == 3, False, {"won": self.clock == 2}

    def _seen(self):
        speed = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        eye = np.full((4, 6, 3), self.clock, np.uint8)
        return {"eye": eye, "body": {"speed": speed, "gear": 1}}


class Clockwork:
    """What a dm_env environment looks like: a counter that a seed decides."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def action_spec(self):
        return SimpleNamespace(shape=(2,), minimum=-1.0, maximum=np.array([1.0, 3.0]))

    def observation_spec(self):
        array = SimpleNamespace(shape=(3,), dtype=np.dtype(float))
        picture = SimpleNamespace(shape=(1, 4, 5, 3), dtype=np.dtype(np.uint8))
        number = SimpleNamespace(shape=(), dtype=np.dtype(float))
        return {"where": array, "camera": picture, "height": number}

    def control_timestep(self):
        return 0.04

    def reset(self):
        self.clock = 0
        return self._moment(None)

    def step(self, action):
        self.clock += 1
        return self._moment(float(action.sum()))

    def _moment(self, reward):
        seen = {
            "where": self.random.uniform(size=3),
            "camera": np.full((1, 4, 5, 3), 7, np.uint8),
            "height": 0.5,
        }
        last = self.clock == 4
        return SimpleNamespace(
            observation=seen,
            reward=reward,
            discount=None if reward is None else 1.0,
            last=lambda: last,
        )


@pytest.mark.parametrize("name", GYM_IDS)
def test_a_registered_id_is_adapted_and_its_seed_decides_the_episode(name):
    env = adapt(name)
    first = env.reset(5)
    assert {key: value.shape for key, value in first.items()} == env.shapes
    action = env.limited(np.full(env.spec.n, 0.3))
    after, reward, *_ = env.step(action)
    assert np.isfinite(reward)
    assert not np.array_equal(after["state"], first["state"])
    again = env.reset(5)
    assert all(np.array_equal(again[key], first[key]) for key in first)
    assert not np.array_equal(env.reset(6)["state"], first["state"])


def test_the_specification_says_what_the_environment_says():
    env = adapt("gym:Pendulum-v1")
    assert (env.spec.lower, env.spec.upper, env.spec.home) == ((-2.0,), (2.0,), (0.0,))
    assert (env.spec.control_hz, env.horizon) == (20.0, 200)
    assert adapt("gym:Pendulum-v1", horizon=50).horizon == 50
    assert adapt("gym:Pendulum-v1", horizon=5000).horizon == 200
    assert env.limited(np.array([9.0])).tolist() == [2.0]


def test_nested_observations_become_one_vector_and_pictures_stay():
    env = Foreign("gym:Odd-v0", Odd())
    seen = env.reset(0)
    assert env.shapes == {"qpos": (4,), "state": (5,), "images/eye": (4, 6, 3)}
    assert {key: value.shape for key, value in seen.items()} == env.shapes
    assert sorted(seen["state"].tolist())[-1] == 1.0
    assert env.horizon == 1000
    env.step(np.arange(4.0) / 2)
    assert env.env.sent.tolist() == [[0.0, 0.5], [1.0, 1.5]]


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized")
@pytest.mark.filterwarnings("ignore:.*infinity")
@pytest.mark.filterwarnings("ignore:.*not be registered")
def test_a_dm_env_environment_passes_gymnasiums_own_check():
    check_env(DmEnv(Clockwork), skip_render_check=True)


def test_a_dm_env_environment_is_adapted():
    env = Foreign("dm:clock/work", DmEnv(Clockwork))
    seen = env.reset(1)
    assert env.shapes == {"qpos": (2,), "state": (4,), "images/camera": (4, 5, 3)}
    assert env.spec.control_hz == 25.0
    assert env.spec.upper == (1.0, 3.0)
    moments = [env.step(np.array([0.5, 1.0])) for _ in range(4)]
    assert [m[1] for m in moments] == [1.5] * 4
    assert [m[2:4] for m in moments] == [(False, False)] * 3 + [(False, True)]
    assert np.array_equal(env.reset(1)["state"], seen["state"])


@pytest.mark.skipif(
    importlib.util.find_spec("dm_control") is None, reason="dm_control is not installed"
)
@pytest.mark.filterwarnings("ignore")  # what dm_control and its libraries warn of is theirs
@pytest.mark.parametrize("name", ["dm:manipulation/reach_site_features", "dm:cartpole/swingup"])
def test_a_task_of_dm_control_is_adapted(name):
    env = adapt(name)
    seen = env.reset(3)
    assert {key: value.shape for key, value in seen.items()} == env.shapes
    _, reward, terminated, truncated, info = env.step(np.array(env.spec.home, np.float32))
    assert np.isfinite(reward)
    assert (terminated, truncated, info) == (False, False, {"discount": 1.0})
    assert np.array_equal(env.reset(3)["state"], seen["state"])


@pytest.mark.skipif(
    importlib.util.find_spec("dm_control") is not None, reason="dm_control is installed"
)
def test_a_missing_dm_control_is_told():
    with pytest.raises(UsageError, match=r"needs dm_control: pip install dm_control"):
        adapt("dm:cartpole/swingup")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("Pendulum-v1", r"must be gym:<registered id> or dm:<domain>/<task>, got 'Pendulum-v1'"),
        ("gym:Pendulums-v1", r"gym:Pendulums-v1 cannot be made: .*Pendulums"),
        ("gym:CartPole-v1", r"actions of gym:CartPole-v1 must be a Box of real numbers"),
        ("dm:cartpole", r"must be dm:<domain>/<task>, got 'dm:cartpole'"),
    ],
)
def test_what_cannot_be_adapted_is_told(name, match):
    with pytest.raises(UsageError, match=match):
        adapt(name)


def test_unbounded_actions_and_observations_without_a_size_are_refused():
    wild = Odd()
    wild.action_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    with pytest.raises(UsageError, match="must be bounded"):
        Foreign("gym:Odd-v0", wild)
    wordy = Odd()
    wordy.observation_space = spaces.Sequence(spaces.Discrete(3))
    with pytest.raises(UsageError, match="must be of fixed size"):
        Foreign("gym:Odd-v0", wordy)
    with pytest.raises(UsageError, match="horizon must be at least 1, got 0"):
        Foreign("gym:Odd-v0", Odd(), horizon=0)


@pytest.mark.parametrize(
    ("text", "value", "success"),
    [
        ("return>-200", -200.0, False),
        ("return>=-200", -200.0, True),
        ("return > 1e3", 1000.5, True),
        ("return>.5", 0.4, False),
    ],
)
def test_a_return_is_judged_by_its_threshold(text, value, success):
    verdict = Verdict(Success(text))
    verdict.add(value / 2, {})
    verdict.add(value / 2, {})
    assert (verdict.now, verdict.ever) == (success, success)


@pytest.mark.parametrize("text", ["", "return", "return<3", "return>", "return>1.2.3", ">3", "a>b"])
def test_a_success_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError, match="success must be an info key, return>NUMBER or"):
        Success(text)


def test_an_info_key_counts_at_the_last_step():
    saved = demonstrate(Foreign("gym:Odd-v0", Odd()), lambda seen: np.zeros(4), Success("won"), 0)
    assert (saved.meta.success, len(saved)) == (False, 3)  # won at the second step, not at the last


def test_a_key_that_is_never_reported_is_told_with_those_that_are():
    env = Foreign("gym:Odd-v0", Odd())
    with pytest.raises(UsageError, match="reports no 'solved' in info; known: won; a return"):
        demonstrate(env, lambda seen: np.zeros(4), Success("solved"), 0)


def test_demonstrations_are_written_as_episodes(tmp_path):
    env = adapt("gym:Pendulum-v1", horizon=20)
    paths = record(env, lambda seen: -seen["state"][2:], Success("return>-1e9"), 2, tmp_path)
    saved = read_episode(paths[1])
    assert saved.observations["state"].shape == (20, 3)
    assert (saved.meta.task, saved.meta.success, saved.meta.seed) == ("gym:Pendulum-v1", True, 1)
    assert np.allclose(saved.actions, np.clip(-saved.observations["state"][:, 2:], -2, 2))
    with pytest.raises(UsageError, match="episodes must be at least 1"):
        record(env, lambda seen: seen["qpos"], Success("return>0"), 0, tmp_path)
