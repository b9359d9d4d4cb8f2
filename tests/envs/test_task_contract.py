"""Every registered task keeps the same contract, on every arm that can do it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.failures import FAILURES
from benchmarks.protocol import PROTOCOLS, Wave
from benchmarks.trial import Execution, Runner
from envs.ability import able, refusal
from envs.arm import InitialCondition
from envs.batch import SimBatch
from envs.env import make
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.gym_ids import make_pixels
from envs.robots import ROBOTS
from envs.tasks import TASKS
from envs.variation import CONTROLS, VARIATIONS, distractors_of, perturb, unfit
from envs.world import world
from policies.floors import RandomPolicy
from tests.envs.demonstrations import demonstration, env_of, fingerprints

PAIRS = [(name, robot) for name, task in TASKS.items() for robot in able(task)]
"""Every task with every arm that can do it."""
HOME = {name: able(task)[0] for name, task in TASKS.items()}
"""The arm of most tests."""
SEEDS = range(10)


@pytest.fixture(params=list(TASKS))
def task(request):
    return TASKS[request.param]


def protocol_of(task):
    """Return the task's newest protocol."""
    return [p for p in PROTOCOLS.values() if p.task == task.name][-1]


def test_the_task_is_fully_described(task):
    assert task.instruction
    assert len(set(task.stages)) == len(task.stages) >= 2
    assert task.manipulated in task.objects
    assert not set(task.objects) & set(task.hidden)
    assert task.horizon > task.hold_s * 50
    assert type(task).__doc__
    assert f"{task.name}/v1" in PROTOCOLS


@pytest.mark.parametrize(("name", "robot"), PAIRS)
def test_a_start_names_every_object_and_is_inside_the_limits(name, robot):
    task, arm = TASKS[name], ROBOTS[robot].spec()
    region = task.region_on(arm)
    for seed in range(100):
        start = task.sample(np.random.default_rng(seed), arm)
        assert set(start.objects) == {*task.objects, *task.hidden}
        assert (np.array(start.qpos) >= arm.lower).all()
        assert (np.array(start.qpos) <= arm.upper).all()
        x, y, _ = start.objects[task.subject(start)][:3]
        assert region.x[0] - 1e-9 <= x <= region.x[1] + 1e-9
        assert region.y[0] - 1e-9 <= y <= region.y[1] + 1e-9
        assert dict(task.separate(start.objects)) == dict(start.objects)
        assert InitialCondition.from_json(json.loads(json.dumps(start.to_json()))) == start
        assert task.encode(task.instruct(start)) or task.instruct(start) == task.instruction


def test_an_arm_that_cannot_do_it_is_refused_with_the_reason_and_those_that_can(task):
    for robot in set(ROBOTS) - set(able(task)):
        with pytest.raises(UsageError, match=f"cannot do {task.name}") as caught:
            make(task.name, robot=robot)
        assert refusal(task, robot) in str(caught.value)
        assert able(task)[0] in str(caught.value)


# ---- experts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "robot"), PAIRS)
def test_the_expert_reaches_every_stage_in_order_on_every_arm(name, robot):
    task = TASKS[name]
    for seed in range(2):
        demo = demonstration(name, robot, seed)
        assert demo.success, f"seed {seed}: stage {demo.stages[-1]}"
        assert (np.diff(demo.stages) >= 0).all()
        assert demo.stages[-1] == len(task.stages)
        assert demo.stages.count(len(task.stages) - 1) >= task.hold_s * 50 - 1
        assert 1.2 * len(demo.actions) <= task.horizon


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "clean"])
def test_every_style_of_the_expert_succeeds(task, operator):
    assert demonstration(task.name, HOME[task.name], 0, operator).success


def test_the_expert_succeeds_on_nearly_every_start(task):
    won = [demonstration(task.name, HOME[task.name], seed).success for seed in SEEDS]
    assert sum(won) >= len(SEEDS) - 1


def test_an_arm_that_stays_home_never_succeeds(task):
    env = env_of(task.name, HOME[task.name])
    env.reset(seed=0)
    for _ in range(task.horizon):
        *_, terminated, truncated, info = env.step(np.array(env.start.qpos))
    assert truncated
    assert not terminated
    assert info["stage"] == 0


# ---- simulation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "robot"), PAIRS)
def test_one_simulation_and_many_give_equal_bytes(name, robot):
    demos = [demonstration(name, robot, seed) for seed in (0, 1)]
    batch = SimBatch(TASKS[name], robot, size=3, threads=1)
    batch.reset([demos[0].start, demos[1].start, demos[0].start])
    for t in range(max(len(d.actions) for d in demos)):
        first, second = (d.actions[min(t, len(d.actions) - 1)] for d in demos)
        batch.step(np.stack([first, second, np.array(demos[0].start.qpos)]))
    for i, demo in enumerate(demos):
        assert np.array_equal(batch.state(i)["qpos"], demo.final)
        assert batch.steps[i] == len(demo.actions)
        seen = batch.observe()
        assert all(np.array_equal(seen[key][i], value) for key, value in demo.seen.items())
    assert batch.success.tolist() == [True, True, False]


def test_another_process_sees_the_same():
    code = (
        "import json; from tests.envs.demonstrations import fingerprints\n"
        f"print(json.dumps(fingerprints({HOME!r})))"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout
    assert json.loads(out) == fingerprints(HOME)


def test_pictures_show_the_scene_and_differ_between_starts(task):
    env = make_pixels(task.name, HOME[task.name])
    frames = []
    for seed in (0, 1):
        observation, info = env.reset(seed=seed)
        assert env.observation_space.contains(observation)
        assert not [key for key in observation if key.startswith("objects/")]
        assert info["instruction"] == task.instruct(env.start)
        frames.append([v for key, v in sorted(observation.items()) if key.startswith("images/")])
    for one, other in zip(*frames, strict=True):
        assert one.shape == (84, 84, 3)
        assert one.std() > 10
        assert (one != other).any(axis=2).sum() > 20


def test_the_state_track_shows_the_objects_and_hides_the_rest(task):
    env = env_of(task.name, HOME[task.name])
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    shown = {key.removeprefix("objects/") for key in observation if key.startswith("objects/")}
    assert shown == set(task.objects)
    for name in task.objects:
        if name not in task.moving:
            assert np.allclose(
                observation[f"objects/{name}"][:2], env.start.objects[name][:2], atol=5e-3
            )


# ---- variations ---------------------------------------------------------------------------------


def test_every_axis_applies_at_every_level_or_says_why_not(task):
    protocol, robot = protocol_of(task), HOME[task.name]
    arm = ROBOTS[robot].spec()
    used = {name for condition in protocol.conditions for name, _ in condition.axes}
    for name in (*VARIATIONS, *CONTROLS):
        reason = unfit(name, task)
        assert (name in used) == (reason is None)
        if reason is not None:
            rng = np.random.default_rng(0)
            with pytest.raises(UsageError, match=f"{name!r} does not apply to {task.name}: ."):
                perturb(task.sample(rng, arm), task, [(name, "L1")], rng, arm=arm)
    for condition in protocol.conditions:
        start = protocol.start(condition.name, 0)
        assert {name for name, _ in condition.axes} <= set(start.factors)
        sims = SimBatch(task, robot, 1, threads=1, distractors=distractors_of(condition.axes))
        sims.reset([start])
        for _ in range(5):
            sims.step(np.array(start.qpos)[None])
        assert all(np.isfinite(value).all() for value in sims.observe().values())
        told = task.instruct(start)
        assert told == task.instruction or len(task.encode(told))


def test_variations_leave_nothing_behind(task):
    axes = [(name, "L3") for name in VARIATIONS if unfit(name, task) is None]
    env = make(task.name, robot=HOME[task.name], variations=axes)
    rng = np.random.default_rng(3)
    nominal = task.sample(rng, env.arm.spec)

    def run(start):
        env.reset(options={"start": start})
        for _ in range(20):
            env.step(np.array(nominal.qpos) * 0.9)
        return env.arm.sim.state(0)["qpos"]

    before = run(nominal)
    for axis in axes:
        run(perturb(nominal, task, [axis], rng, arm=env.arm.spec))
        assert np.array_equal(run(nominal), before), axis


# ---- evaluation ---------------------------------------------------------------------------------


def test_trials_of_a_policy_that_knows_nothing_fail_with_known_labels(task):
    protocol = protocol_of(task)
    arm = world(task, HOME[task.name]).arm
    policy = RandomPolicy(arm, task.name, "state")
    runner = Runner(policy, "random", protocol, Execution(policy.spec.execute, batch=3), "test")
    for record in runner.run(Wave("nominal", 0, 3)).records:
        assert record["success"] is False
        assert record["failure"] in FAILURES
        assert set(record["tags"]) <= set(FAILURES)
        assert all(v is None or np.isfinite(v) for v in record["quality"].values())
        assert {"sparc", "path_ratio", "contact_peak_n"} <= set(record["quality"])
