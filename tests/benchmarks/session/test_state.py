"""The state of a session is a function of its events, whatever the operator and crashes do."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.session import asking
from benchmarks.session import attempt as at
from benchmarks.session.lock import Lock
from benchmarks.session.state import State, apply, fold
from envs.errors import UsageError
from tests.benchmarks.session.stand_in import lock_session

BLOCKS, ARMS = 3, 2


@pytest.fixture(scope="module")
def lock() -> Iterator[Lock]:
    with tempfile.TemporaryDirectory() as folder:
        yield lock_session(Path(folder), blocks=BLOCKS)


class Play:
    """A session without an arm: draws what an operator, the work and the power supply do."""

    def __init__(self, lock: Lock, data: st.DataObject) -> None:
        self.lock, self.data = lock, data
        self.events: list[dict[str, Any]] = []
        self.state = State(lock)
        self.ran: list[str] = []
        self.time = 0.0
        self.open()

    def add(self, kind: str, **fields: Any) -> None:
        self.time += 1.0
        event = {"n": len(self.events), "t": self.time, "kind": kind, **fields}
        self.state = apply(self.state, event)
        self.events.append(event)

    def open(self) -> None:
        self.add("opened", host="test", checks=["one"])

    def work(self, job: str) -> None:
        code = self.state.current.code if self.state.current else ""
        luck = self.data.draw(st.integers(0, 9))
        found: dict[str, tuple[str, dict[str, Any]]] = {
            "check": ("checked", {"name": "one", "outcome": "pass", "text": "", "evidence": {}}),
            "look": ("looked", {"block": self.state.complete, "decision": "continue"}),
            "end": ("ended", {"why": "all blocks are done", "early": False}),
            "prepare": ("prepared" if luck else "hitch", {"code": code, "problem": "no"}),
            "measure": ("measured", {"code": code, "placed": {"ok": luck > 2}}),
            "run": ("ran", {"code": code, "ran": {"automatic": {"success": True, "stage": 6}}}),
            "close": ("closed", {}),
        }
        kind, fields = found[job]
        self.add(kind, **fields)
        if job == "run":
            self.ran.append(code)
            if not luck:
                self.add("voided", code=code, reason="invalid_hardware")

    def answer(self) -> None:
        choices = [c for c in asking.choices(self.state, self.time) if c.name != "end"]
        choice = self.data.draw(st.sampled_from(choices))
        code = self.state.current.code if self.state.current else ""
        kinds = {"measure": "measuring", "accept": "accepted", "start": "started",
                 "undo": "undone", "void": "voided"}  # fmt: skip
        if choice.name == "next":
            labelled = self.state.attempt is not None and self.state.attempt.step == at.LABELLED
            self.add("final" if labelled else "begun", code=code, who="kim")
        elif choice.name in at.QUESTIONS:
            value: Any = choice.value
            value = {"success": value == "yes", "stage": 2}.get(choice.name, value)
            self.add("answered", code=code, name=choice.name, value=value, who="kim")
        else:
            self.add(kinds[choice.name], code=code, reason="because", who="kim")

    def run(self, most: int) -> None:
        for _ in range(most):
            if self.state.closed:
                return
            if self.data.draw(st.integers(0, 14)) == 0:
                self.open()  # a crash: whatever was going on is gone
            elif job := asking.job(self.state):
                self.work(job)
            else:
                self.answer()


@settings(max_examples=25)
@given(st.data())
def test_whatever_happens_each_outcome_is_there_once_and_replays(
    lock: Lock, data: st.DataObject
) -> None:
    play = Play(lock, data)
    play.run(most=120)
    state = play.state
    assert fold(lock, play.events) == state
    for trial in lock.schedule:
        tried = state.attempts.get(trial.code, ())
        assert all(attempt.step == at.VOID for attempt in tried[:-1])
        assert sum(attempt.step == at.FINAL for attempt in tried) <= 1
        runs = sum(bool(attempt.ran) for attempt in tried)
        interrupted = sum(attempt.void == at.INTERRUPTED for attempt in tried)
        assert runs <= play.ran.count(trial.code) <= runs + interrupted
        if trial.block > state.complete:
            assert not tried
    orders = sorted(a.order for tried in state.attempts.values() for a in tried)
    assert orders == list(range(len(orders)))
    assert all(set(block) == set(range(ARMS)) for block in state.outcomes())
    assert len(state.outcomes()) == state.complete


@settings(max_examples=12)
@given(st.data())
def test_every_prefix_of_the_log_is_a_session_that_can_go_on(
    lock: Lock, data: st.DataObject
) -> None:
    play = Play(lock, data)
    play.run(most=60)
    for end in range(1, len(play.events) + 1):
        state = fold(lock, play.events[:end])
        assert state.closed or asking.job(state) or asking.choices(state, state.time)


def begun(lock: Lock) -> State:
    state = State(lock)
    for kind, fields in (
        ("opened", {"checks": ["one"]}),
        ("checked", {"name": "one", "outcome": "pass", "text": "", "evidence": {}}),
        ("begun", {}), ("prepared", {}), ("measuring", {}),
        ("measured", {"placed": {"ok": True}}), ("started", {}),
        ("ran", {"ran": {"automatic": {"success": True}}}),
        ("answered", {"name": "success", "value": True, "who": "kim"}),
    ):  # fmt: skip
        code = lock.schedule[0].code
        event = {"n": state.number, "t": 1.0, "kind": kind, "code": code, **fields}
        state = apply(state, event)
    return state


def test_an_outcome_that_was_entered_cannot_be_entered_again(lock: Lock) -> None:
    state = begun(lock)
    again = {"n": state.number, "t": 2.0, "kind": "answered", "code": lock.schedule[0].code,
             "name": "success", "value": False, "who": "kim"}  # fmt: skip
    with pytest.raises(UsageError, match="was entered already: success"):
        apply(state, again)


def test_a_void_trial_comes_last_in_its_block(lock: Lock) -> None:
    state = begun(lock)
    first, second = lock.schedule[:2]
    event = {"n": state.number, "t": 2.0, "kind": "voided", "code": first.code, "reason": "cable"}
    state = apply(state, event)
    assert state.voids == 1
    assert state.current == second
    assert state.notes == (f"{first.code} is void and made again: cable",)


def test_a_trial_that_is_not_the_present_one_is_refused(lock: Lock) -> None:
    state = begun(lock)
    event = {"n": state.number, "t": 2.0, "kind": "final", "code": lock.schedule[1].code}
    with pytest.raises(UsageError, match="is not the one that is made now"):
        apply(state, event)
