"""A policy server that does not begin trials: they are invalid, no failures, and run again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_checkpoint import config
from serving import Hangup, Message, foreign
from test_remote_trials import PATIENCE, SMALL, SPEC, hold, instead

from benchmarks.drive import SERVER_GONE, drive
from benchmarks.protocol import PROTOCOLS
from benchmarks.real_trial import trials_of
from benchmarks.records import MANIFEST, Run, read_run, verify_run
from benchmarks.run import evaluate
from benchmarks.trial import ATTEMPTS
from envs.adapters import adapt
from envs.errors import UsageError
from envs.tasks import TASKS
from policies.base import PolicySpec
from policies.remote import PolicyAwayError, PolicyGoneError, RemotePolicy
from scripts.main import main

CAR = "gym:MountainCarContinuous-v0"
TOLD = "did not begin the trials: on the server: no idea"
ERROR = {"type": "error", "code": "policy", "text": "no idea"}
WORDS = ["--conditions", "nominal", "--trials", "2", "--batch", "2", "--workers", "1"]

Reply = Callable[[Message, PolicySpec], Message]


def refusing(*resets: int, answer: Message = ERROR) -> Reply:
    """Hold, but answer the given calls of reset otherwise."""
    return instead("reset", resets, lambda: answer)


def runs(folder: Path) -> Run:
    (found,) = (path.parent for path in folder.rglob(MANIFEST))
    return read_run(found)


@pytest.mark.parametrize("answer", [ERROR, {"type": "dance"}])
def test_trials_that_a_server_does_not_begin_are_invalid_and_run_again(
    answer: Message, tmp_path: Path
) -> None:
    with foreign(SPEC, refusing(1, answer=answer)) as address:
        done = evaluate(config(f"remote:{address}", tmp_path, **SMALL))
    assert verify_run(done.folder) == []
    trials = read_run(done.folder).trials
    assert [t["status"] for t in trials] == ["invalid"] * 2 + ["valid"] * 2
    assert [t["key"]["ic"] for t in trials] == [0, 1, 0, 1]
    for trial in trials[:2]:
        assert "did not begin the trials" in trial["reason"]
        assert (trial["failure"], trial["steps"], trial["success"]) == (None, 0, False)
    assert not any("policy_error" in line for line in done.summary())


def test_a_server_that_begins_no_trial_ends_the_command_as_one_that_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with foreign(SPEC, refusing(*range(1, 99))) as address:
        words = ["--policy", f"remote:{address}", "--videos", "none", "--results", str(tmp_path)]
        assert main(["evaluate", *words, *WORDS]) == 2
    told = capsys.readouterr().err
    assert TOLD in told
    assert f"{ATTEMPTS} times in wave nominal_000; what was completed is kept: run the" in told
    assert [t["status"] for t in runs(tmp_path).trials] == ["invalid"] * 2 * ATTEMPTS


def test_a_server_that_is_gone_when_trials_begin_leaves_them_invalid(tmp_path: Path) -> None:
    acts = [0]

    def leaving(message: Message, spec: PolicySpec) -> Message:
        acts[0] += message["type"] == "act"
        if message["type"] == "reset" and acts[0]:
            raise Hangup
        return hold(message, spec)

    asked = {**SMALL, "batch": 1, "patience": 0.5}
    with foreign(SPEC, leaving) as address:
        with pytest.raises(UsageError, match=r"not come back within 0\.5 s\. What was completed"):
            evaluate(config(f"remote:{address}", tmp_path, **asked))
        trials = runs(tmp_path).trials
    assert [(t["key"]["ic"], t["status"]) for t in trials] == [(0, "valid"), (1, "invalid")]
    assert "was lost" in trials[1]["reason"]


def test_the_same_holds_in_an_environment_of_others(tmp_path: Path) -> None:
    arm = adapt(CAR).spec
    spec = PolicySpec(arm.name, arm.joints, arm.control_hz, CAR, "state", {"state": (2,)}, 1, 5, 5)

    def still(refuse: Reply) -> Reply:
        def reply(message: Message, spec: PolicySpec) -> Message:
            if message["type"] != "act":
                return refuse(message, spec)
            rows = len(message["obs"]["state"])
            return {"type": "actions", "actions": np.zeros((rows, 5, 1), "<f4")}

        return reply

    for resets, code, states in (
        ((1,), 0, ["invalid"] * 2 + ["valid"] * 2),
        (range(1, 99), 2, ["invalid"] * 2 * ATTEMPTS),
    ):
        out = tmp_path / str(code)
        with foreign(spec, still(refusing(*resets))) as address:
            words = ["--policy", f"remote:{address}", "--env", CAR, "--success", "return>0"]
            words += ["--horizon", "10", "--videos", "none", "--results", str(out)]
            assert main(["evaluate", *words, *WORDS[2:]]) == code
        assert [t["status"] for t in runs(out).trials] == states


def test_who_waited_in_vain_is_told_from_who_was_refused() -> None:
    with foreign(SPEC, refusing(1)) as address:
        policy = RemotePolicy(address, 0.5)
        with pytest.raises(PolicyGoneError, match=TOLD) as refused:
            policy.reset(["x"], [1])
        policy.reset(["x"], [1])
    assert not isinstance(refused.value, PolicyAwayError)
    with pytest.raises(PolicyAwayError, match=r"has not come back within 0\.5 s"):
        policy.reset(["x"], [1])


def test_a_policy_that_cannot_begin_anew_in_mid_episode_leaves_the_arm_held() -> None:
    class Arm:
        commands = 0

        def command(self, action):
            self.commands += 1
            return {"qpos": action}

    def handed_back(period):
        raise PolicyGoneError("the line is cut")

    arm = Arm()
    ended = drive(arm, {}, lambda seen: np.zeros(7), 5, handed_back)  # type: ignore[arg-type]
    assert (ended.ends, ended.reason, arm.commands) == (SERVER_GONE, "the line is cut", 1)


def test_on_an_arm_it_is_void_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dynamixel_easy_sdk")
    from real.emulators.twin import ClockTwin
    from real.emulators.twin_table import twin_arm

    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", 10)
    start = PROTOCOLS["pick_place/v1"].start("nominal", 0, "test")
    with foreign(SPEC, refusing(1)) as address, ClockTwin() as twin, twin_arm(twin) as arm:
        made = trials_of(arm, RemotePolicy(address, PATIENCE))
        refused, after = made.run(start), made.run(start)
    assert (refused.ends, refused.void, len(refused.actions)) == (SERVER_GONE, True, 0)
    assert TOLD in refused.reason
    assert (after.ends, len(after.actions)) == ("", 10)


@pytest.mark.parametrize(("resets", "code"), [((1,), 0), (range(1, 99), 2)])
def test_a_deployment_goes_on_or_ends_as_after_a_lost_server(
    resets: range, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip("dynamixel_easy_sdk")
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", 10)
    out = tmp_path / "log"
    with foreign(SPEC, refusing(*resets)) as address:
        words = ["--policy", f"remote:{address}", "--twin", "--episodes", "1", "--out", str(out)]
        assert main(["deploy", *words]) == code
    told, error = capsys.readouterr()
    assert "The arm is held, and the episode does not count: the server at" in told
    assert TOLD in told
    assert [path.name for path in out.rglob("*.hdf5")] == ["episode_0.hdf5"] * (code == 0)
    assert code == 0 or (
        f"{ATTEMPTS} times in a row" in error and "what was logged is kept" in error
    )
