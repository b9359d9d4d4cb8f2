"""The command `armtrials session`: its steps, on a terminal and by a script."""

import io
import os
import pty
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.session.closing import read_closed
from scripts.main import main
from scripts.session_terminal import Log, Terminal, words
from tests.benchmarks.session.stand_in import held, lock_session, until


def test_plan_tells_the_power_of_the_test_that_will_decide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["session", "plan", "--blocks", "40", "--better", "0.9"]) == 0
    said = capsys.readouterr().out
    assert "40 blocks of 2: at most 80 trials" in said
    assert "90% against 50%: found with power" in said


def test_lock_writes_what_is_fixed_and_status_names_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "monday")
    words = ["session", "lock", "--policy", "floor:hold", "floor:random", "--twin"]
    assert main([*words, "--out", out, "--blocks", "3"]) == 0
    assert "hash " in capsys.readouterr().out
    assert main([*words, "--out", out]) == 2
    assert "holds a session already" in capsys.readouterr().err
    assert main(["session", "status", out]) == 0
    said = capsys.readouterr().out
    assert "0 of at most 6 trials" in said
    assert "floor" not in said


@pytest.mark.parametrize(("step", "told"), [
    (["lock", "--policy", "floor:hold"], "give --twin, or --port of an arm"),
    (["lock", "--policy", "floor:hold", "--port", "/dev/null"], "there is no verdict"),
    (["lock", "--policy", "floor:hold", "--port", "/dev/pts/9"], "/dev/pts/9 is a program"),
    (["lock", "--policy", "floor:hold", "--twin", "--blocks", "0"], "blocks must be 1..200"),
    (["lock", "--policy", "runs/none", "--twin"], "runs/none"),
    (["lock", "--policy", "floor:hold", "floor:hold", "--twin", "--verdict", "a"],
     "--verdict needs 2 files"),
    (["lock", "--policy", "floor:hold", "--twin", "--gap", "wide"], "unknown gap 'wide'"),
    (["lock", "--policy", "floor:hold", "--twin", "--data", "nowhere"], "nowhere"),
    (["lock", "--policy", "floor:hold", "--twin", "--verdict", "none.json"], "none.json"),
    (["lock", "--policy", "floor:hold", "--twin", "--cameras", "overhead=x"], "belong to an arm"),
    (["lock", "--policy", "floor:hold", "--twin", "--override", "why"], "belong to an arm"),
    (["lock", "--policy", "floor:hold", "--port", "x", "--cameras", "y"], "must be NAME=SOURCE"),
    (["lock", "--policy", "floor:hold", "--port", "x", "--objects", "no.json"], "no.json"),
    (["lock", "--policy", "floor:hold", "--port", "x", "--calibration", "c.json"], "c.json"),
    (["run", "nowhere", "--who", "kim"], "there is no session in nowhere"),
    (["status", "nowhere"], "there is no session in nowhere"),
    (["close", "nowhere"], "--who and --reason are needed"),
    (["plan", "--blocks", "0"], "must be at least 1"),
])  # fmt: skip
def test_a_mistake_is_told_in_one_line(
    step: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["session", *step]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "session").exists()


def test_a_person_is_named_and_a_script_is_for_the_twin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_session(tmp_path / "s")
    assert main(["session", "run", str(tmp_path / "s")]) == 2
    assert "--who is needed" in capsys.readouterr().err
    lock_session(tmp_path / "real", world="real")
    assert main(["session", "run", str(tmp_path / "real"), "--script"]) == 2
    assert "there is no verdict" in capsys.readouterr().err


def test_a_session_that_cannot_go_on_is_closed_with_what_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_session(tmp_path / "s", blocks=3)
    with held(tmp_path / "s") as session:
        until(session, "next")
        while session.state.complete < 1:
            until(session, "labelled")
            session.answer("next", "next", "kim")
            until(session, "next")
    reason = ["--who", "lee", "--reason", "the gripper broke"]
    assert main(["session", "close", str(tmp_path / "s"), *reason]) == 0
    assert "ended early: the gripper broke" in capsys.readouterr().out
    closed = read_closed(tmp_path / "s")
    assert {t.ic for t in closed.trials if t.counted} == {0}
    assert len(closed.runs) == 2
    assert main(["session", "status", str(tmp_path / "s")]) == 0
    assert "1 of 1 (" in capsys.readouterr().out


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Keys that are pressed on a terminal which is the standard input."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield lambda keys: os.write(ours, keys.encode()) and None
    os.close(ours)
    os.close(theirs)


KEYS = {"next": "n", "reset": "m", "ready": "s", "labelled": "n", "label": "y"}


def test_keys_operate_a_session_over_a_terminal(
    tmp_path: Path, keyboard: Callable[[str], None]
) -> None:
    lock_session(tmp_path, blocks=1)
    out = io.StringIO()
    with held(tmp_path) as session:
        terminal = Terminal(session, "kim", tmp_path, out)
        thread = threading.Thread(target=terminal.run)
        thread.start()
        last, end = -1, time.monotonic() + 120
        while thread.is_alive() and time.monotonic() < end:
            view = session.view()
            if view.number == terminal.shown != last and view.phase in KEYS and view.choices:
                last = view.number
                void = view.phase == "label" and not view.voids
                keyboard("v" if void else KEYS[view.phase])
                while void and "reason: " not in out.getvalue() and time.monotonic() < end:
                    time.sleep(0.01)
                keyboard("the Long cable\n" if void else "")
            time.sleep(0.01)
        thread.join(10)
        assert session.view().phase == "closed"
    closed = read_closed(tmp_path)
    assert [t.void for t in closed.trials if t.void] == ["the Long cable"]
    assert "zebra" not in out.getvalue()
    assert "[y] success" in out.getvalue()
    assert (tmp_path / "overlay.png").read_bytes() == b"PNG"


def test_the_space_bar_stops_the_arm_and_ctrl_d_leaves(
    tmp_path: Path, keyboard: Callable[[str], None]
) -> None:
    lock_session(tmp_path, blocks=1)
    with held(tmp_path) as session:
        until(session, "next")
        terminal = Terminal(session, "kim", tmp_path, io.StringIO())
        thread = threading.Thread(target=terminal.run)
        thread.start()
        end = time.monotonic() + 60
        while terminal.shown < 0 and time.monotonic() < end:  # before, nobody listens
            time.sleep(0.01)
        keyboard(" ")
        board = session._work.board
        assert board is not None
        while board.request() is None and time.monotonic() < end:
            time.sleep(0.01)
        request = board.request()
        assert request is not None
        assert request.source == "space bar"
        keyboard("\x04")
        thread.join(60)
        assert not thread.is_alive()
        assert session.view().phase == "next"
        assert "block 1 of 1" in words(session.view())


def test_of_every_view_a_log_tells_what_is_new(tmp_path: Path) -> None:
    lock_session(tmp_path, blocks=1)
    told: list[str] = []
    with held(tmp_path) as session:
        log = Log(told.append)
        until(session, "next", tell=log)
        assert log(session.view()) in (True, False)
        assert not log(session.view())
        until(session, "label", tell=log)
    said = "\n".join(told)
    assert said.count("Bus: fine") == 1
    assert said.count("trial 1 of at most 2") == 1
    assert "It has 8 s." in said
    assert "[m] measure" not in said
