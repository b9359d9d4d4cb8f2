"""Two ways round a post: both good, the middle is not."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.failures import FAILURES
from envs.arm import CameraSpec
from envs.collect import collect
from envs.collection import Collection
from envs.env import make
from envs.episode import read_episode
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.expert_ways import goes_left, left_share
from envs.readings import Readings
from envs.tasks import TASKS
from envs.variation import perturb

TASK = TASKS["two_ways"]


@pytest.fixture(scope="module")
def env():
    return make("two_ways")


def play(env, seed, command):
    """Run an episode of ``command(t, readings)``; return actions, info and the trial's readings."""
    env.reset(seed=seed)
    actions, rows = [], [env.arm.sim.sensors[0].copy()]
    for t in range(TASK.horizon):
        actions.append(np.asarray(command(t, env.arm.readings), np.float32))
        *_, terminated, truncated, info = env.step(actions[-1])
        rows.append(env.arm.sim.sensors[0].copy())
        if terminated or truncated:
            break
    return np.array(actions), info, Readings(env.arm.sim.world.sensors, list(np.array(rows).T))


def demonstrate(env, seed, left, operator="clean"):
    expert = TASK.expert(env.arm.sim.world, replace(OPERATORS[operator], left=left))
    env.reset(seed=seed)
    expert.reset(env.start, np.random.default_rng(seed))
    return play(env, seed, lambda t, r: expert.act(r))


@pytest.mark.parametrize("seed", range(4))
def test_either_way_leads_to_the_goal_and_is_told_apart(env, seed):
    for left, way in ((1.0, 1.0), (0.0, -1.0)):
        _, info, readings = demonstrate(env, seed, left)
        assert info["is_success"]
        assert TASK.quality(readings) == {"way": way}
        assert np.max(readings.scalar("arm_post")) == 0


@pytest.mark.parametrize("seed", range(6))
def test_the_mean_of_both_ways_knocks_the_post_over(env, seed):
    both = [demonstrate(env, seed, left)[0] for left in (1.0, 0.0)]
    length = max(map(len, both))
    mean = np.mean([np.pad(a, ((0, length - len(a)), (0, 0)), mode="edge") for a in both], axis=0)
    _, info, readings = play(env, seed, lambda t, r: mean[min(t, length - 1)])
    assert not info["is_success"]
    assert TASK.quality(readings)["way"] is None
    seen = TASK.failures(readings)
    assert seen["collision"][-1]
    assert set(seen) <= set(FAILURES)


def test_the_way_does_not_depend_on_the_start(env):
    expert = TASK.expert(env.arm.sim.world, OPERATORS["clean"])
    rng, went = np.random.default_rng(0), []
    start = TASK.sample(np.random.default_rng(0), env.arm.spec)
    for _ in range(400):
        expert.reset(start, rng)
        went.append(expert.way == "left")
    assert abs(np.mean(went) - 0.5) < 0.09  # 3.5 sigma


def test_going_over_the_post_is_no_way_round_it(env):
    seen = demonstrate(env, 0, 1.0)[2]
    values = [np.array(v) for v in seen._values]
    values[seen._index["tcp_pos"].start + 2] = np.full(len(values[0]), 0.3)
    assert TASK.quality(Readings(seen._index, values)) == {"way": None}


def test_the_post_stays_between_hand_and_goal_where_the_goal_is_moved(env):
    rng = np.random.default_rng(1)
    for _ in range(50):
        start = perturb(TASK.sample(rng, env.arm.spec), TASK, [("object_pose", "L3")], rng)
        goal, post, foot = (np.array(start.objects[k][:2]) for k in ("goal", "post", "foot"))
        assert np.array_equal(post, foot)
        assert np.linalg.norm(goal - post) == pytest.approx(0.12, abs=1e-3)
        assert abs(np.cross(np.append(goal, 0), np.append(post, 0))[2]) < 0.011 * np.hypot(*goal)


def test_pixels_show_post_and_goal(env):
    env.reset(seed=0)
    picture = env.arm.frame(CameraSpec("overhead", 84, 84)).reshape(-1, 3).astype(int)
    red, green, blue = picture.T
    assert ((red > 1.6 * green) & (red > 2 * blue)).sum() > 30
    assert ((green > 1.4 * red) & (green > 1.4 * blue)).sum() > 10


@pytest.mark.parametrize(
    ("strategy", "left"), [("left", 20), ("right", 0), ("mixed", 10), ("0.7", 14)]
)
def test_of_all_episodes_the_stated_share_goes_left(strategy, left):
    assert sum(goes_left(strategy, i) for i in range(20)) == left


def test_the_way_taken_is_recorded(tmp_path):
    collect(Collection("two_ways", strategy="0.25"), 4, tmp_path)
    metas = [read_episode(path).meta for path in tmp_path.glob("*.hdf5")]
    assert Counter(meta.way for meta in metas) == {"left": 1, "right": 3}
    assert '"strategy": "0.25"' in (tmp_path / "dataset.json").read_text()


@pytest.mark.parametrize("strategy", ["up", "1.5", "nan", ""])
def test_a_strategy_that_cannot_be_is_refused_with_the_known_ones(strategy):
    with pytest.raises(UsageError, match="mixed, left, right or the share"):
        left_share(strategy)


def test_a_strategy_is_refused_where_there_is_one_way():
    with pytest.raises(UsageError, match="pick_place can be done in one way"):
        Collection("pick_place", strategy="left")
    assert "strategy" not in Collection("pick_place").definition()


def test_an_arm_that_cannot_go_round_is_refused_with_those_that_can():
    with pytest.raises(UsageError, match=r"'koch' cannot do two_ways.*viperx, openarm"):
        make("two_ways", robot="koch")
