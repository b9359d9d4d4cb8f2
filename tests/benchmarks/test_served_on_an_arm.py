"""A policy that is served elsewhere drives an arm: a lost line is not the policy's failure."""

import re
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from serving import Message, foreign
from test_remote_trials import PATIENCE, SPEC, failing, hold, wrong

from benchmarks.protocol import PROTOCOLS
from benchmarks.real_trial import Trials, trials_of
from benchmarks.session.driving import described
from envs.tasks import TASKS
from policies.base import PolicySpec
from policies.remote import RemotePolicy
from real.emulators.twin import ClockTwin
from real.emulators.twin_table import twin_arm
from real.real_arm import RealArm

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
START = PROTOCOLS["pick_place/v1"].start("nominal", 0, "test")
STEPS = 15

Reply = Callable[[Message, PolicySpec], Message]


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealArm]:
    """A twin, whose clock stands still while a server thinks."""
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", STEPS)
    with ClockTwin() as twin, twin_arm(twin) as arm:
        yield arm


def trials(arm: RealArm, address: str, patience: float = PATIENCE) -> Trials:
    return trials_of(arm, RemotePolicy(address, patience))


def test_a_server_that_goes_leaves_the_arm_held_and_the_trial_void(arm: RealArm) -> None:
    with foreign(SPEC, failing(2)) as address:
        made = trials(arm, address)
        trial = made.run(START)
        assert (trial.ends, trial.void, trial.success) == ("server_gone", True, False)
        assert "was lost" in trial.reason
        assert len(trial.actions) == SPEC.chunk
        ran = described(trial, None, arm.task)
        assert ran.void.startswith("server_gone: the connection to the server")
        assert ran.told["automatic"]["failure"] is None
        there = arm.joints.observe()["qpos"]
        for _ in range(25):
            arm.joints.keep()  # type: ignore[attr-defined]
        np.testing.assert_allclose(arm.joints.observe()["qpos"], there, atol=5e-3)
        again = made.run(START)
    assert (again.ends, len(again.actions)) == ("", STEPS)


def test_a_server_that_is_not_there_for_the_next_trial_makes_it_void(arm: RealArm) -> None:
    with foreign(SPEC, hold) as address:
        made = trials(arm, address, 0.5)
    trial = made.run(START)
    assert (trial.ends, trial.void, len(trial.actions)) == ("server_gone", True, 0)
    assert "not come back within 0.5 s" in trial.reason


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (wrong(actions=np.zeros((1, 5, 6), "<f4")), r"must be <f4 of shape \(1, 5, 7\)"),
        (wrong(actions=np.full((1, 5, 7), np.nan, "<f4")), "not finite"),
        (wrong(type="error", code="policy", text="no idea"), "on the server: no idea"),
    ],
)
def test_a_wrong_answer_is_a_failure_of_the_policy(reply: Reply, told: str, arm: RealArm) -> None:
    with foreign(SPEC, reply) as address:
        trial = trials(arm, address).run(START)
    assert (trial.ends, trial.void, len(trial.actions)) == ("policy_error", False, 0)
    assert re.search(told, trial.reason)
    ran = described(trial, None, arm.task)
    assert (ran.void, ran.told["automatic"]["failure"]) == ("", "policy_error")


def test_a_slow_server_is_waited_for_and_told(arm: RealArm) -> None:
    def slow(message: Message, spec: PolicySpec) -> Message:
        time.sleep(0.05 if message["type"] == "act" else 0)
        return hold(message, spec)

    with foreign(SPEC, slow) as address:
        trial = trials(arm, address).run(START)
    assert (trial.ends, len(trial.actions)) == ("", STEPS)
    assert described(trial, None, arm.task).told["latency"]["p50_ms"] >= 50
