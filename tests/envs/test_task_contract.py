"""Every registered task keeps the same contract."""

import numpy as np
import pytest

from envs.env import make
from envs.expert import OPERATORS
from envs.factor import LEVELS
from envs.tasks import TASKS
from envs.variation import VARIATIONS, distractors_of, perturb
from envs.world import world


@pytest.fixture(params=list(TASKS))
def task(request):
    return TASKS[request.param]


def demonstrate(env, seed, operator="clean"):
    env.reset(seed=seed)
    expert = env.task.expert(env.arm.sim.world, OPERATORS[operator])
    expert.reset(env.start, np.random.default_rng(seed))
    stages = []
    for _ in range(env.task.horizon):
        *_, terminated, truncated, info = env.step(expert.act(env.arm.readings))
        stages.append(info["stage"])
        if terminated or truncated:
            break
    return stages, info


def test_the_task_is_fully_described(task):
    assert task.instruction
    assert len(set(task.stages)) == len(task.stages) >= 2
    assert task.manipulated in task.objects
    assert task.horizon > task.hold_s * 50


def test_a_start_names_every_object_and_is_inside_the_limits(task):
    arm = world(task).arm
    for seed in range(200):
        start = task.sample(np.random.default_rng(seed), arm)
        assert set(start.objects) == {*task.objects, *task.hidden}
        assert (np.array(start.qpos) >= arm.lower).all()
        assert (np.array(start.qpos) <= arm.upper).all()
        x, y, _ = start.objects[task.manipulated][:3]
        assert task.region.x[0] <= x <= task.region.x[1]
        assert task.region.y[0] <= y <= task.region.y[1]


def test_a_start_survives_json(task):
    start = task.sample(np.random.default_rng(0), world(task).arm)
    assert type(start).from_json(start.to_json()) == start


@pytest.mark.parametrize("operator", list(OPERATORS))
def test_the_expert_reaches_every_stage_in_order(task, operator):
    env = make(task.name)
    for seed in range(3):
        stages, info = demonstrate(env, seed, operator)
        assert info["is_success"], f"seed {seed}: stage {stages[-1]}"
        assert (np.diff(stages) >= 0).all()
        assert stages[-1] == len(task.stages)


def test_the_expert_succeeds_on_nearly_every_start(task):
    env = make(task.name)
    results = [demonstrate(env, 1000 + seed)[1]["is_success"] for seed in range(60)]
    assert sum(results) >= 59


def test_success_needs_the_goal_to_be_held(task):
    env = make(task.name)
    stages, _ = demonstrate(env, 0)
    waiting = stages.count(len(task.stages) - 1)
    assert waiting >= task.hold_s * 50 - 1


def test_an_arm_that_stays_home_never_succeeds(task):
    env = make(task.name)
    env.reset(seed=0)
    for _ in range(task.horizon):
        *_, terminated, truncated, info = env.step(np.array(env.start.qpos))
    assert truncated
    assert not terminated
    assert info["stage"] == 0


@pytest.mark.parametrize("name", list(VARIATIONS))
@pytest.mark.parametrize("level", LEVELS)
def test_every_variation_applies_at_every_level(task, name, level):
    axes = [(name, level)]
    env = make(task.name, variations=axes)
    rng = np.random.default_rng(0)
    start = perturb(task.sample(rng, env.arm.spec), task, axes, rng)
    assert name in start.factors
    env.reset(options={"start": start})
    for _ in range(5):
        observation, *_ = env.step(np.array(start.qpos))
    assert all(np.isfinite(v).all() for v in observation.values())
    assert distractors_of(axes) == (start.factors.get("distractors", {}).get("count", 0))


@pytest.mark.parametrize("name", list(VARIATIONS))
def test_a_variation_leaves_nothing_behind(task, name):
    axes = [(name, "L3")]
    env = make(task.name, variations=axes)
    rng = np.random.default_rng(3)
    nominal = task.sample(rng, env.arm.spec)
    changed = perturb(nominal, task, axes, rng)

    def run(start):
        env.reset(options={"start": start})
        for _ in range(20):
            env.step(np.array(nominal.qpos) * 0.9)
        return env.arm.sim.state(0)["qpos"]

    before = run(nominal)
    run(changed)
    assert np.array_equal(run(nominal), before)
