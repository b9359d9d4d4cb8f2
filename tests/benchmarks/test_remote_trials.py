"""Trials of policies that are served elsewhere."""

import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_checkpoint import CHUNK, EXECUTE, config, make_checkpoint, stable
from serving import Hangup, Message, Serving, foreign, served, usual

from benchmarks.evaluated import LONGEST
from benchmarks.execution import Execution
from benchmarks.latency import TIMED
from benchmarks.leaderboard import make_leaderboard
from benchmarks.protocol import PROTOCOLS, Wave
from benchmarks.records import TRIALS, read_run, verify_run
from benchmarks.run import evaluate, prepare
from benchmarks.trial import ATTEMPTS, Runner
from envs.errors import UsageError
from envs.robots import ROBOTS
from policies.base import PolicySpec
from policies.checkpoint import load_policy
from policies.remote import RemotePolicy
from scripts.main import main

PROTOCOL = PROTOCOLS["pick_place/v1"]
ARM = ROBOTS["viperx"].spec()
SPEC = PolicySpec("viperx", ARM.joints, 50.0, "pick_place", "state", {"qpos": (7,)}, 1, 5, 5)
PATIENCE = 5.0
SMALL: dict[str, Any] = {"trials": 2, "conditions": ("nominal",), "batch": 2, "patience": PATIENCE}


def hold(message: Message, spec: PolicySpec) -> Message:
    """Answer with the position that is observed."""
    answer = usual(message, spec)
    if message["type"] == "act":
        answer["actions"] = np.repeat(message["obs"]["qpos"][:, -1:], spec.chunk, axis=1)
    return answer


def instead(
    kind: str, calls: Collection[int], otherwise: Callable[[], Message]
) -> Callable[[Message, PolicySpec], Message]:
    """Hold, but answer ``otherwise`` at the given calls, from 1 on, of a kind of message."""
    count = [0]

    def reply(message: Message, spec: PolicySpec) -> Message:
        count[0] += message["type"] == kind
        if message["type"] == kind and count[0] in calls:
            return otherwise()
        return hold(message, spec)

    return reply


def failing(*acts: int) -> Callable[[Message, PolicySpec], Message]:
    """Hold, but hang up at the given calls of act."""

    def hang_up() -> Message:
        raise Hangup

    return instead("act", acts, hang_up)


@pytest.mark.parametrize("algorithm", ["act", "diffusion"])
def test_a_served_policy_gives_the_bytes_it_gives_here(algorithm: str, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "policy", algorithm=algorithm)
    here = read_run(evaluate(config(folder, tmp_path / "here", **SMALL)).folder)
    with served(load_policy(folder)) as serving:
        remote = f"remote:{serving.address}"
        done = evaluate(config(remote, tmp_path / "there", **SMALL))
        there = read_run(done.folder)
    assert verify_run(done.folder) == []
    assert stable(there.trials) == stable(here.trials)
    assert len({trial["actions_sha256"] for trial in there.trials}) == len(there.trials)
    entries = [run.manifest["policy"] for run in (here, there)]
    assert entries[1].pop("remote")["protocol"] == "armtrials-policy 1"
    assert entries[0] == entries[1]
    assert here.manifest["run"] != there.manifest["run"]


def test_the_latency_of_both_ends_is_recorded(checkpoint: Path) -> None:
    with served(load_policy(checkpoint)) as serving:
        policy = RemotePolicy(serving.address)
        runner = Runner(policy, "bc", PROTOCOL, Execution(EXECUTE), "test")
        latency = runner.run(Wave("nominal", 0, 2)).records[0]["latency"]
        policy.close()
    assert set(latency) == {
        *("p50_ms", "p99_ms", "server_p50_ms", "server_p99_ms"),
        *("missed", "timed", "budget_ms"),
    }
    assert latency["budget_ms"] == 1e3 * EXECUTE / SPEC.control_hz
    assert 0 < latency["server_p50_ms"] < latency["p50_ms"] <= latency["p99_ms"]


def test_a_slow_server_misses_its_deadlines() -> None:
    def slow(message: Message, spec: PolicySpec) -> Message:
        time.sleep(0.03 if message["type"] == "act" else 0)
        return hold(message, spec)

    with foreign(SPEC, slow) as address:
        policy = RemotePolicy(address)
        runner = Runner(policy, "slow", PROTOCOL, Execution(4, delay=1), "test")
        (record,) = runner.run(Wave("nominal", 0, 1)).records
        policy.close()
    assert record["status"] == "valid"
    assert record["latency"]["missed"] == TIMED  # 30 ms is more than one control step
    assert record["latency"]["p50_ms"] >= 30
    assert record["latency"]["server_p50_ms"] == 1.5


def test_a_server_that_is_lost_makes_its_trials_invalid_and_they_are_run_again(
    tmp_path: Path,
) -> None:
    with foreign(SPEC, failing(2)) as address:
        done = evaluate(config(f"remote:{address}", tmp_path, **SMALL))
    run = read_run(done.folder)
    assert verify_run(done.folder) == []
    assert (done.trials, done.ran) == (2, 2)
    invalid = [trial for trial in run.trials if trial["status"] == "invalid"]
    assert [t["key"]["ic"] for t in invalid] == [0, 1]
    assert run.seal is not None
    assert (run.seal["trials"], run.seal["invalid"]) == (4, 2)
    for trial in invalid:
        assert "was lost" in trial["reason"]
        assert (trial["failure"], trial["success"], trial["video"]) == (None, False, None)
    assert [trial["steps"] for trial in invalid] == [5, 5]
    valid = [t for t in run.trials if t["status"] == "valid"]
    assert [t["key"]["ic"] for t in valid] == [0, 1]
    assert not [t for t in valid if t["failure"] == "policy_error"]
    assert done.summary()[0].startswith("nominal: 0/2")
    assert not any("policy_error" in line for line in done.summary())


def test_a_server_that_is_lost_again_and_again_stops_the_run(tmp_path: Path) -> None:
    with foreign(SPEC, failing(*range(2, 99))) as address:
        asked = config(f"remote:{address}", tmp_path, **{**SMALL, "trials": 1})
        with pytest.raises(UsageError, match=f"{ATTEMPTS} times in wave nominal_000"):
            evaluate(asked)
        assert (prepare(asked).folder / TRIALS).read_bytes().count(b"\n") == ATTEMPTS


def test_a_run_whose_server_does_not_come_back_is_continued_later(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "policy")
    one = {**SMALL, "batch": 1, "trials": 3}
    whole = read_run(evaluate(config(folder, tmp_path / "whole", **one)).folder)
    first = Serving(load_policy(folder)).begin()
    port = int(first.address.rpartition(":")[2])
    asked = config(f"remote:{first.address}", tmp_path, **{**one, "patience": 1.0})
    ended: list[threading.Thread] = []

    def progress(count: int) -> None:
        if count == 1 and not ended:  # the first trial is on disk
            ended.append(threading.Thread(target=first.end))
            ended[0].start()

    with pytest.raises(UsageError, match=r"not come back within 1 s\. What was completed is kept"):
        evaluate(asked, progress)
    ended[0].join()
    job_folder = next((tmp_path / "runs").glob("*/*"))
    kept = (job_folder / TRIALS).read_bytes()
    assert kept.count(b"\n") >= 1
    second = Serving(load_policy(folder), port=port).begin()
    try:
        done = evaluate(asked)
    finally:
        second.end()
    assert done.folder == job_folder
    assert done.ran < done.trials
    assert verify_run(done.folder) == []
    valid = [t for t in read_run(done.folder).trials if t["status"] == "valid"]
    assert stable(valid) == stable(whole.trials)


def wrong(**entries: Any) -> Callable[[Message, PolicySpec], Message]:
    def reply(message: Message, spec: PolicySpec) -> Message:
        answer = hold(message, spec)
        return {**answer, **entries} if message["type"] == "act" else answer

    return reply


def nan(message: Message, spec: PolicySpec) -> Message:
    answer = hold(message, spec)
    if message["type"] == "act" and len(answer["actions"]) > 1:
        answer["actions"][1, 3, 0] = np.nan
    return answer


@pytest.mark.parametrize(
    ("reply", "failing", "reason"),
    [
        (wrong(actions=np.zeros((3, 5, 6), "<f4")), [True] * 3, "must be <f4 of shape (3, 5, 7)"),
        (wrong(actions=np.zeros((3, 5, 7), "<f8")), [True] * 3, "got <f8 (3, 5, 7)"),
        (wrong(type="dance"), [True] * 3, "the answer must be actions"),
        (
            wrong(type="error", code="policy", text="no idea"),
            [True] * 3,
            "ServedPolicyError: on the server: no idea",
        ),
        (nan, [False, True, False], "NaN or a wrong shape at step 0"),
    ],
)
def test_wrong_actions_are_failures_of_the_policy(
    reply: Callable[[Message, PolicySpec], Message], failing: list[bool], reason: str
) -> None:
    with foreign(SPEC, reply) as address:
        policy = RemotePolicy(address, PATIENCE)
        runner = Runner(policy, "wrong", PROTOCOL, Execution(5), "test")
        records = runner.run(Wave("nominal", 0, 3)).records
        policy.close()
    assert {record["status"] for record in records} == {"valid"}
    assert [record["failure"] == "policy_error" for record in records] == failing
    assert reason in records[1]["reason"]


def test_evaluate_says_in_one_short_line_how_the_policy_failed_at_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = wrong(type="error", code="policy", text="no [/idea]\n" * 60)
    words = ["--conditions", "nominal", "--trials", "2", "--batch", "2", "--workers", "1"]
    with foreign(SPEC, broken) as address:
        given = ["--policy", f"remote:{address}", "floor:hold", "--videos", "none"]
        assert main(["evaluate", *given, *words, "--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if "missed their deadline" not in line]  # a busy computer
    assert told[1] == "  nominal: 0/2 (policy_error 2)"
    start = "policy_error in nominal/0: "
    assert told[2].startswith(f"  {start}ServedPolicyError: on the server: no [/idea] no [/idea]")
    assert told[2].endswith("\u2026")
    assert len(told[2].strip()) == len(start) + LONGEST
    assert told[3].startswith("sealed: ")  # the next policy, which did not fail so
    assert len(told) == 5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "stack"}, "trained for task 'stack', this is 'pick_place'"),
        ({"arm": "koch"}, "trained for arm 'koch', this is 'viperx'"),
        ({"control_hz": 10.0}, r"trained for control rate \[Hz\] 10.0"),
        ({"observations": {"qpos": (6,)}}, r"reads qpos \(6,\), pick_place with viperx gives"),
        ({"observations": {"tactile": (3,)}}, r"reads tactile \(3,\), pick_place with viperx"),
    ],
)
def test_a_server_for_something_else_is_refused_before_anything_is_written(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    other = PolicySpec(**{**SPEC.__dict__, **changes})
    with foreign(other) as address, pytest.raises(UsageError, match=told):
        evaluate(config(f"remote:{address}", tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_a_batch_that_is_too_large_for_the_server_is_refused_at_once(tmp_path: Path) -> None:
    def single(message: Message, spec: PolicySpec) -> Message:
        more = {"max_batch": 1} if message["type"] == "hello" else {}
        return {**hold(message, spec), **more}

    with foreign(SPEC, single) as address:
        with pytest.raises(UsageError, match="use --batch 1"):
            evaluate(config(f"remote:{address}", tmp_path / "results"))
        assert not (tmp_path / "results").exists()
        prepare(config(f"remote:{address}", tmp_path / "results", batch=1))


def test_settings_that_a_server_has_to_itself_are_refused(tmp_path: Path) -> None:
    with (
        foreign(SPEC, hold) as address,
        pytest.raises(UsageError, match="ddim_steps belongs to a diffusion policy"),
    ):
        prepare(config(f"remote:{address}", tmp_path, ddim_steps=4))


def test_the_leaderboard_says_which_row_is_remote_and_which_is_delayed(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "policy")
    small = {**SMALL, "trials": 1}
    evaluate(config(folder, tmp_path, **small))
    evaluate(config(folder, tmp_path, delay=3, **small))
    with served(load_policy(folder)) as serving:
        evaluate(config(f"remote:{serving.address}", tmp_path, **small))
    (table,) = make_leaderboard(tmp_path).board["tables"]
    rows = {row["label"]: row for row in table["rows"]}
    assert set(rows) == {
        "bc (delay 0)", "bc (delay 3)", "bc (delay 0, remote)",
    }  # fmt: skip
    assert "--delay 3" in rows["bc (delay 3)"]["reproduce"]
    remote = rows["bc (delay 0, remote)"]["reproduce"]
    assert "armtrials serve --policy runs/bc-s0" in remote
    assert "--policy remote:ws://localhost:8765" in remote


def test_a_delay_is_in_the_manifest_only_where_there_is_one(
    checkpoint: Path, tmp_path: Path
) -> None:
    plain = prepare(config(checkpoint, tmp_path)).manifest["execution"]
    assert plain == {"chunk": CHUNK, "execute": EXECUTE, "ensemble": None, "batch": 3}
    late = prepare(config(checkpoint, tmp_path, delay=2)).manifest["execution"]
    assert late == {**plain, "delay": 2}
    mixed = prepare(config(checkpoint, tmp_path, delay=2, ensemble=0.1)).manifest["execution"]
    assert mixed["execute"] == 2
    for changes, told in (
        ({"delay": -1}, "delay must be 0 or more, got -1"),
        ({"delay": 4, "execute": 3}, r"delay must be in 0\.\.execute=3"),
        ({"delay": 6}, r"delay must be in 0\.\.5, got 6: .* delay \+ execute <= chunk 10"),
        ({"delay": 3, "execute": 8}, r"execute \+ delay must be at most chunk=10"),
    ):
        with pytest.raises(UsageError, match=told):
            prepare(config(checkpoint, tmp_path, **changes))


def test_denoising_steps_are_overridden_for_one_run(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "policy", algorithm="diffusion")
    small = {**SMALL, "trials": 1}
    found = [
        read_run(evaluate(config(folder, tmp_path, ddim_steps=steps, **small)).folder)
        for steps in (None, 4, 2)
    ]
    usual_steps, same, fewer = (run.trials[0]["actions_sha256"] for run in found)
    assert usual_steps == same != fewer
    assert found[2].manifest["execution"]["ddim_steps"] == 2
    assert "ddim_steps" not in found[0].manifest["execution"]
    with pytest.raises(UsageError, match=r"^--ddim-steps must be in 1\.\.levels=100, got 0"):
        prepare(config(folder, tmp_path, ddim_steps=0))
    with pytest.raises(UsageError, match="ddim_steps belongs to a diffusion policy, and bc is"):
        prepare(config(make_checkpoint(tmp_path / "bc"), tmp_path, ddim_steps=4))
