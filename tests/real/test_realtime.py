"""What a process that must be on time gets of the system."""

import multiprocessing
import os

import pytest

from real.realtime import Timely, keep_time, permitted


def ask(answers: "multiprocessing.SimpleQueue[tuple[Timely, int]]") -> None:
    got = keep_time(5)
    answers.put((got, os.sched_getscheduler(0)))


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no schedulers")
def test_a_process_gets_what_is_permitted_and_no_error_otherwise() -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=ask, args=(answers,))
    process.start()
    process.join(60)
    got, scheduler = answers.get()
    assert got.scheduling in ("fifo", "nice", "none")
    assert (got.scheduling == "fifo") == (scheduler == os.SCHED_FIFO)
    if permitted() == "none":
        assert got.scheduling == "none"


def test_without_any_right_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    monkeypatch.setattr(os, "setpriority", refuse, raising=False)
    monkeypatch.setattr("real.realtime._locked", lambda: False)
    monkeypatch.setattr("gc.freeze", lambda: None)
    assert keep_time() == Timely("none", False)
