"""Whole sessions on the twin from the command line: `demo session`, `session run --script`."""

from pathlib import Path

import pytest

from benchmarks.session.closing import read_closed
from benchmarks.session.lock import read_lock
from envs.tasks import TASKS
from scripts.main import main
from tests.benchmarks.made_checkpoint import make_checkpoint
from tests.benchmarks.session.stand_in import lock_session

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task, for so short a time that nobody can do it."""
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", 20)


@pytest.mark.usefixtures("short")
def test_a_demo_session_goes_from_the_lock_to_the_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["demo", "session", "--policy", "floor:hold", "floor:random", "--trials", "1"]
    assert main([*words, "--cache", str(tmp_path)]) == 0
    said = capfd.readouterr().out
    closed = read_closed(tmp_path / "session")
    assert closed.world == "twin"
    assert sorted(closed.policies) == ["floor:hold", "floor:random"]
    assert sum(trial.counted for trial in closed.trials) == 2
    before, after = said.split("The codes are resolved:", 1)
    assert "floor" not in before
    assert "floor:hold: 0 of 1" in after
    assert before.count("Watchdog of the motors armed") == 1
    assert "[n]" not in before
    assert "floor:random" in (tmp_path / "session" / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("short")
def test_a_script_operates_a_locked_session_and_the_same_command_shows_what_came_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock_session(tmp_path / "s", ["floor:hold"], blocks=1)
    words = ["session", "run", str(tmp_path / "s"), "--script"]
    assert main(words) == 0
    assert "zebra0: 0 of 1" in capfd.readouterr().out
    log = (tmp_path / "s" / "events.jsonl").read_bytes()
    assert main(words) == 0
    assert "zebra0: 0 of 1" in capfd.readouterr().out
    assert (tmp_path / "s" / "events.jsonl").read_bytes() == log


def test_a_session_is_of_the_task_of_its_policies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(make_checkpoint(tmp_path / "other", task="insertion"))
    out = tmp_path / "s"
    assert main(["session", "lock", "--policy", other, "--twin", "--out", str(out)]) == 0
    assert "insertion/v1 on the viperx" in capsys.readouterr().out
    assert read_lock(out).body["task"] == "insertion"


def test_a_demo_session_refuses_what_it_cannot_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(make_checkpoint(tmp_path / "other", task="transfer"))
    own = str(make_checkpoint(tmp_path / "own"))
    for words, told in (
        ([other, own], "the policies of a session must do the same; these do pick_place, transfer"),
        ([other], "trained for arm 'viperx'"),
        ([str(tmp_path / "none"), own], "none"),
        ([own, "--trials", "0"], "--trials must be at least 1"),
        ([own, "--script"], "belong to armtrials demo twin"),
    ):
        command = ["demo", "session", "--cache", str(tmp_path), "--policy", *words]
        assert main(command) == 2
        assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "session").exists()


def test_an_unfinished_demo_session_goes_on_with_its_own_policies_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_session(tmp_path / "session", ["floor:hold"], blocks=1)
    lock = (tmp_path / "session" / "lock.json").read_bytes()
    words = ["demo", "session", "--cache", str(tmp_path), "--policy", "floor:random"]
    assert main(words) == 2
    assert "holds an unfinished session" in capsys.readouterr().err
    assert (tmp_path / "session" / "lock.json").read_bytes() == lock
