import functools
import time

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from benchmarks.failures import label
from benchmarks.protocol import PROTOCOLS
from benchmarks.trial import quality
from envs import expert_pour
from envs.batch import SimBatch
from envs.env import make
from envs.errors import UsageError
from envs.readings import Readings
from envs.tasks import TASKS
from envs.tasks.pour import BEADS, BOTTOM, CUP, ENOUGH, GAUGE, RADIUS
from envs.variation import perturb
from envs.vessels import filled
from envs.world import world
from tests.envs.acting import act_out, read

POUR = TASKS["pour"]
UPRIGHT = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


@functools.cache
def env():
    return make("pour")


@functools.cache
def demonstration(robot="viperx"):
    return act_out(make("pour", robot=robot), 0)


def counts(trace):
    return POUR.count(Readings(trace.index, list(trace.sensors[:, 0].T)))


def test_at_least_thirty_beads_are_poured_and_every_bead_is_accounted_for():
    assert ENOUGH >= 30
    trace = demonstration()
    assert trace.success[0]
    measured = quality(trace, 0, POUR, "cup")
    assert measured["beads_poured"] >= ENOUGH
    total = sum(measured[f"beads_{what}"] for what in ("poured", "kept", "spilled"))
    assert total == BEADS


def test_no_bead_leaves_the_cup_before_it_is_tipped():
    trace = demonstration()
    poured, kept = counts(trace)
    carried = trace.stages[:, 0] < POUR.stages.index("tip")
    assert (kept[carried] == BEADS).all()
    assert (poured[carried] == 0).all()


def test_the_koch_pours_too_and_the_openarm_is_refused():
    assert demonstration("koch").success[0]
    with pytest.raises(UsageError, match=r"'openarm' cannot do pour: .* viperx, koch"):
        make("pour", robot="openarm")


def test_the_gauge_shows_how_much_is_poured():
    trace = demonstration()
    seen, (poured, _) = read(trace), counts(trace)
    rise = seen["gauge_pos"][:, 2] - seen["bowl_pos"][:, 2] - BOTTOM
    assert np.abs(rise[1:] - GAUGE * poured[:-1]).max() < GAUGE / 2
    env().reset(seed=0)
    assert env().arm.observe()["objects/gauge"][2] == pytest.approx(BOTTOM, abs=1e-3)


def test_beads_poured_beside_the_cup_are_a_named_failure(monkeypatch):
    monkeypatch.setattr(expert_pour, "SHORT", 0.08)
    trace = act_out(env(), 0)
    ((failure, _),) = label(trace, POUR)
    assert failure == "spilled"
    measured = quality(trace, 0, POUR, "cup")
    assert measured["beads_spilled"] > BEADS - ENOUGH
    heights = read(trace)["bead"][-1, 2::3]
    assert heights.min() > -RADIUS


def test_a_held_cup_that_is_shaken_stays_stable():
    actions = demonstration().actions
    stages = demonstration().stages[1:, 0]
    lifted = int(np.argmax(stages >= POUR.stages.index("lift") + 1))
    env().reset(seed=0)
    for action in actions[: lifted + 10, 0]:
        env().step(action)
    for t in range(150):
        shaken = actions[lifted + 10, 0].copy()
        shaken[[0, 4, 5]] += 0.5 * np.sin(np.array([0.3, 0.5, 0.4]) * t)
        env().step(shaken)
        state = env().arm.sim.state(0)
        assert np.isfinite(state["qpos"]).all()
        assert np.abs(state["qvel"]).max() < 60
    heights = np.asarray(env().arm.readings["bead"])[2::3]
    assert heights.min() > -1.0
    assert heights.max() < 0.6


def test_it_runs_faster_than_real_time_on_one_core():
    batch = SimBatch(POUR, size=2, threads=1)
    trace = demonstration()
    batch.reset([env().task.sample(np.random.default_rng(i), batch.spec) for i in range(2)])
    begun = time.process_time()
    for action in trace.actions[:100]:
        batch.step(np.repeat(action, 2, axis=0))
    assert time.process_time() - begun < 2 * 100 / 50 / 1.5


def test_many_are_judged_as_each_alone():
    trace = demonstration()
    sensors = trace.sensors[:, 0]
    together = Readings(trace.index, sensors.T)
    many = [np.asarray(flag) for flag in (*POUR.milestones(together), POUR.goal(together))]
    for t in range(0, len(sensors), 11):
        one = Readings(trace.index, sensors[t].tolist())
        alone = [bool(flag) for flag in (*POUR.milestones(one), POUR.goal(one))]
        assert [bool(flag[t]) for flag in many] == alone


def test_the_beads_lie_in_the_cup_wherever_a_variation_puts_it():
    w = world(POUR)
    rng = np.random.default_rng(5)
    nominal = POUR.sample(rng, w.arm)
    for name in ("object_pose", "friction_mass", "home_pose"):
        start = perturb(nominal, POUR, [(name, "L3")], rng)
        assert dict(POUR.separate(start.objects)) == dict(start.objects)
        env().reset(options={"start": start})
        assert [int(n) for n in POUR.count(env().arm.readings)] == [0, BEADS]


def test_a_cup_tells_what_is_inside_it_however_it_stands():
    inside = np.array([[0.0, 0.0, 0.03], [0.01, 0.0, 0.06]])
    outside = np.array([[0.0, 0.0, -0.01], [0.0, 0.0, 0.07], [0.03, 0.0, 0.03]])
    points = np.concatenate([inside, outside])
    rng = np.random.default_rng(0)
    for _ in range(20):
        quat, place = rng.normal(size=4), rng.normal(size=3)
        quat /= np.linalg.norm(quat)
        turned = np.zeros((5, 3))
        for k in range(5):
            mujoco.mju_rotVecQuat(turned[k], points[k], quat)
        flags = CUP.holds((place, quat), turned + place)
        assert flags.tolist() == [True, True, False, False, False]


def test_more_beads_than_fit_are_refused():
    with pytest.raises(ValueError, match="the beads must fit"):
        filled(CUP, UPRIGHT, 60, RADIUS, np.random.default_rng(0))


def test_it_is_registered_with_a_protocol():
    assert PROTOCOLS["pour/v1"].task == "pour"
    assert not [c for c in PROTOCOLS["pour/v1"].conditions if "object_size" in c.name]
    made = gym.make("envs:ArmTrials/Pour-v1")
    observation, _ = made.reset(seed=0)
    assert made.observation_space.contains(observation)
