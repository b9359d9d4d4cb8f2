"""A policy that is served elsewhere at work on the twin, by the command; what refuses it."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import foreign
from test_remote_trials import SPEC, failing, hold

from envs.episode import read_episode
from envs.tasks import TASKS
from scripts.main import main

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
STEPS = 15
SERVER = """
import os, sys, threading
sys.path[:0] = sys.argv[1:]
from serving import foreign
from test_remote_trials import SPEC, hold
acts = []
def reply(message, spec):
    acts.extend([1] * (message["type"] == "act"))
    if len(acts) == 2:
        os._exit(1)
    return hold(message, spec)
with foreign(SPEC, reply) as address:
    print(address, flush=True)
    threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of the task end soon."""
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", STEPS)


@contextlib.contextmanager
def dying() -> Iterator[str]:
    """A server in a process of its own that dies when it is asked the second time."""
    here = Path(__file__).parent
    words = [sys.executable, "-c", SERVER, str(here), str(here.parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def deploy(address: str, out: Path, *words: str) -> int:
    policy = f"remote:{address}"
    return main(["deploy", "--policy", policy, "--twin", "--out", str(out), *words])


def test_it_acts_and_the_log_tells_what_its_server_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "log"
    with foreign(SPEC, hold) as address:
        assert deploy(address, out, "--episodes", "1") == 0
    told = capsys.readouterr().out
    assert "0 of 1 episodes succeeded" in told
    assert "flywheel" not in told  # it needs a checkpoint
    episode = read_episode(out / "failed" / "episode_0.hdf5")
    policy = json.loads(episode.meta.deployment)["policy"]
    assert episode.log is not None
    assert len(episode) == STEPS
    assert episode.log.predicted.sum() == STEPS // SPEC.chunk
    assert (policy["name"], policy["hashes"]) == ("theirs", {"weights": "v1"})
    assert policy["remote"]["software"] == "theirs 2"
    assert policy["source"] == f"remote:{address}"
    other = {"name": "theirs", "spec": None, "hashes": {"weights": "v2"}}

    def reply(message, spec):
        answer = hold(message, spec)
        if message["type"] == "hello":
            answer["policy"] = other | {"spec": answer["policy"]["spec"]}
        return answer

    with foreign(SPEC, reply) as address:
        assert deploy(address, out, "--episodes", "2") == 2
    assert "was collected with other settings: policy" in capsys.readouterr().err


def test_a_server_that_dies_holds_the_arm_and_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "log"
    with dying() as address:
        assert deploy(address, out, "--episodes", "2", "--patience", "0.5") == 2
    told, error = capsys.readouterr()
    assert f"does not count: the connection to the server at {address} was lost" in told
    assert f"no policy server answers at {address}" in error
    assert "it has not come back within 0.5 s. What was completed is kept" in error
    cut = read_episode(out / "failed" / "episode_0.hdf5")
    assert (cut.meta.failure, len(cut)) == ("interrupted", SPEC.chunk)
    with foreign(SPEC, hold) as address:
        assert deploy(address, out, "--episodes", "1") == 0
    assert read_episode(out / "failed" / "episode_1.hdf5").meta.failure != "interrupted"


def test_a_server_that_is_lost_again_and_again_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "log"
    with foreign(SPEC, failing(2, 4, 6)) as address:
        assert deploy(address, out, "--episodes", "1") == 2
    assert "3 times in a row" in capsys.readouterr().err
    names = {path.name for path in (out / "failed").glob("*.hdf5")}
    assert names == {f"episode_{index}.hdf5" for index in range(3)}


def test_an_arm_a_gate_and_a_session_want_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with foreign(SPEC, hold) as address:
        policy = ["--policy", f"remote:{address}", "--out", str(tmp_path / "out")]
        port = ["--port", str(tmp_path / "no_such_port")]
        for words, told in (
            (["deploy", *policy, *port], "no verdict can be of it (or give a reason"),
            (["deploy", *policy, *port, "--override", "a test"], "no_such_port"),
            (["gate", *policy], f"remote:{address} is served elsewhere: the gate checks"),
            (["session", "lock", *policy, "--twin"], "a session locks the files of its policies"),
        ):
            assert main(words) == 2
            assert told in capsys.readouterr().err
    assert not (tmp_path / "out" / "lock.json").exists()


def test_nobody_there_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("ws://127.0.0.1:1", tmp_path / "log") == 2
    assert "no policy server answers at ws://127.0.0.1:1" in capsys.readouterr().err
    assert not (tmp_path / "log").exists()


def test_a_floor_works_too(tmp_path: Path) -> None:
    out = tmp_path / "log"
    words = ["--policy", "floor:hold", "--twin", "--episodes", "1", "--out", str(out)]
    assert main(["deploy", *words]) == 0
    assert len(read_episode(out / "failed" / "episode_0.hdf5")) == STEPS
