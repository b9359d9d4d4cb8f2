import functools

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.failures import label
from benchmarks.protocol import PROTOCOLS
from benchmarks.trial import quality
from envs import expert_wipe
from envs.env import make
from envs.errors import UsageError
from envs.readings import Readings
from envs.tasks import TASKS
from envs.tasks.wipe import BAND, BREAKING, GONE, MARKS, TOP
from tests.envs.acting import act_out, read

WIPE = TASKS["wipe"]


@functools.cache
def env():
    return make("wipe")


@functools.cache
def demonstration(seed=0):
    return act_out(env(), seed)


def test_the_expert_keeps_the_force_in_its_band():
    for seed in range(3):
        trace = demonstration(seed)
        assert trace.success[0]
        measured = quality(trace, 0, WIPE, "sponge")
        assert measured["marks_wiped"] == MARKS
        assert measured["force_in_band"] > 0.9
        assert BAND[0] < measured["force_mean_n"] < BAND[1]
        assert measured["force_std_n"] < 3
        assert measured["force_mean_n"] < measured["force_peak_n"] < BREAKING
        assert measured["sparc"] < 0


def test_marks_go_one_after_another_and_stay_gone():
    seen = read(demonstration())
    gone = np.stack([seen[f"{mark}_pos"][:, 2] for mark in WIPE.marks]) < GONE / 2
    assert not gone[:, 0].any()
    assert gone[:, -1].all()
    assert (np.diff(gone.astype(int), axis=1) >= 0).all()
    assert len(set(gone.argmax(axis=1))) > MARKS // 2


def test_the_observation_tells_which_marks_are_left():
    _, info = env().reset(seed=0)
    observation = env().arm.observe()
    assert info["stage"] == 0
    for mark in WIPE.marks:
        assert observation[f"objects/{mark}"][2] == pytest.approx(TOP)
    demonstration.cache_clear()
    demonstration()
    observation = env().arm.observe()
    for mark in WIPE.marks:
        assert observation[f"objects/{mark}"][2] == pytest.approx(GONE)
    assert "objects/crack" not in observation


def test_too_much_force_cracks_the_board_and_is_named(monkeypatch):
    monkeypatch.setattr(expert_wipe, "FORCE", 60.0)
    monkeypatch.setattr(expert_wipe, "YIELD", 0.02)
    monkeypatch.setattr(expert_wipe, "DEEPEST", 0.10)
    trace = act_out(env(), 0)
    assert not trace.success_any[0]
    assert read(trace)["crack_pos"][-1, 2] == pytest.approx(TOP)
    ((failure, _),) = label(trace, WIPE)
    assert failure == "excess_force"
    assert quality(trace, 0, WIPE, "sponge")["force_peak_n"] > BREAKING


def test_force_outside_the_band_does_not_wipe_and_is_named(monkeypatch):
    monkeypatch.setattr(expert_wipe, "FORCE", 19.0)
    monkeypatch.setattr(expert_wipe, "DEEPEST", 0.06)
    trace = act_out(env(), 0)
    ((failure, tags),) = label(trace, WIPE)
    assert quality(trace, 0, WIPE, "sponge")["marks_wiped"] <= 2
    assert failure == "wrong_force"
    assert "excess_force" not in tags


def test_a_trial_without_contact_has_no_force():
    trace = demonstration()
    before = Readings(trace.index, list(trace.sensors[:20, 0].T))
    measured = WIPE.quality(before)
    assert measured.pop("marks_wiped") == 0
    assert set(measured.values()) == {None}


def test_many_are_judged_as_each_alone():
    sensors = demonstration().sensors[:, 0]
    together = Readings(demonstration().index, sensors.T)
    many = [np.asarray(flag) for flag in (*WIPE.milestones(together), WIPE.goal(together))]
    moved = np.array([np.broadcast_to(v, len(sensors)) for pos in WIPE.move(together) for v in pos])
    for t in range(0, len(sensors), 7):
        one = Readings(demonstration().index, sensors[t].tolist())
        assert [bool(flag[t]) for flag in many] == [
            bool(flag) for flag in (*WIPE.milestones(one), WIPE.goal(one))
        ]
        assert moved[:, t].tolist() == [float(v) for pos in WIPE.move(one) for v in pos]


@pytest.mark.parametrize("robot", ["koch", "openarm"])
def test_arms_that_cannot_reach_the_board_are_refused(robot):
    with pytest.raises(UsageError, match=rf"{robot!r} cannot do wipe: .* viperx"):
        make("wipe", robot=robot)


def test_it_is_registered_with_a_protocol():
    assert PROTOCOLS["wipe/v1"].task == "wipe"
    made = gym.make("envs:ArmTrials/Wipe-v1")
    observation, _ = made.reset(seed=0)
    assert made.observation_space.contains(observation)
