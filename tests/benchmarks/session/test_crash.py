"""A crash at any point: nothing is lost, no trial is repeated or counted twice."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.records import read_run, verify_run
from benchmarks.session import attempt as at
from benchmarks.session.closing import read_closed
from benchmarks.session.ledger import FILE, read_ledger
from benchmarks.session.state import fold
from tests.benchmarks.session.stand_in import finish, held, lock_session, until

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("seed", [1])
def test_a_session_that_is_killed_again_and_again_ends_with_every_trial_once(
    tmp_path: Path, seed: int
) -> None:
    lock = lock_session(tmp_path)
    words = [sys.executable, "-m", "tests.benchmarks.session.killed", str(tmp_path), str(seed)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) >= 3  # kills
    state = fold(lock, read_ledger(tmp_path, lock.hash))
    assert state.closed
    assert state.complete == 2
    runs = Counter((tmp_path / "runs.txt").read_text().splitlines())
    for trial in lock.schedule:
        tried = state.attempts[trial.code]
        assert [attempt.step for attempt in tried[:-1]] == [at.VOID] * (len(tried) - 1)
        assert tried[-1].labels["success"] == (trial.arm == 0)
        known = sum(bool(attempt.ran) for attempt in tried)
        assert known == 1  # what had run, and was in the log, was never run again
        lost = sum(attempt.void == at.INTERRUPTED for attempt in tried)
        assert known <= runs[f"{(trial.ic, trial.arm)}"] <= known + lost
    closed = read_closed(tmp_path)
    for name, folder in closed.runs.items():
        assert verify_run(folder) == []
        valid = [trial for trial in read_run(folder).trials if trial["status"] == "valid"]
        assert [trial["key"]["ic"] for trial in valid] == [0, 1]
        assert {t["success"] for t in valid} == {any(
            c.labels.success for c in closed.trials if c.policy == name and c.labels
        )}  # fmt: skip


def test_a_last_record_cut_off_at_any_byte_is_the_session_before_it(tmp_path: Path) -> None:
    lock = lock_session(tmp_path)
    with held(tmp_path) as session:
        until(session, "labelled")
    path = tmp_path / FILE
    data = path.read_bytes()
    events = read_ledger(tmp_path, lock.hash)
    last = data.rstrip(b"\n").rfind(b"\n") + 1
    assert events[-1]["kind"] == "answered"
    for end in range(last, len(data)):
        path.write_bytes(data[:end])
        assert read_ledger(tmp_path, lock.hash) == events[:-1]
    with held(tmp_path) as session:  # it asks again what was not on the disk
        assert session.view().phase == "preflight"
        until(session, "label")
        assert session.view().choices[0].name == "success"
        finish(session)
    assert read_closed(tmp_path).lock["hash"] == lock.hash


def test_a_run_that_was_cut_off_is_void_and_made_again(tmp_path: Path) -> None:
    lock = lock_session(tmp_path, blocks=1)
    with held(tmp_path) as session:
        until(session, "ready")
    ledger = (tmp_path / FILE).read_bytes()
    with held(tmp_path) as session:
        until(session, "ready")
        session._work.do = lambda kind, state: []  # type: ignore[method-assign]
        session.answer("start", "start", "kim")
    assert (tmp_path / FILE).read_bytes().startswith(ledger)
    with held(tmp_path) as session:
        state = session.state
        assert state.voids == 1
        first = lock.schedule[0].code
        assert state.attempts[first][-1].void == at.INTERRUPTED
        assert state.current is not None
        assert state.current.code == lock.schedule[1].code
        finish(session)
    closed = read_closed(tmp_path)
    assert [t.code for t in closed.trials] == [first, lock.schedule[1].code, first]
    assert any("is void and made again" in note for note in closed.deviations)
