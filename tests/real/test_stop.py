import os
import signal
import threading

import pytest

from envs.errors import UsageError
from real.keys import on_keys
from real.stop import Heartbeat, Reaction, StopBoard, StopRequest, on_signals
from tests.real.machines import Clock

pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")

PATIENT_S = 20.0


def test_limp_prevails_over_hold_and_the_first_source_is_remembered() -> None:
    board = StopBoard()
    assert board.request() is None
    board.press("space key")
    board.press("gamepad")
    assert board.request() == StopRequest(Reaction.HOLD, "space key")
    board.event({"source": "browser", "reaction": "limp"})
    board.press("gamepad")
    assert board.request() == StopRequest(Reaction.LIMP, "browser")
    assert board.release() is None


@pytest.mark.parametrize(
    "message",
    [{}, {"source": ""}, {"source": "x" * 50}, {"source": "pad", "reaction": "go"},
     {"source": "pad", "reaction": None}, {"source": 3, "reaction": "limp"}],
)  # fmt: skip
def test_an_event_that_is_not_understood_holds_the_arm_all_the_same(message) -> None:
    board = StopBoard()
    with pytest.raises(UsageError, match="must be"):
        board.event(message)
    assert board.request().reaction is Reaction.HOLD


def test_a_lost_heartbeat_asks_for_hold_until_it_is_released() -> None:
    clock = Clock()
    beat = Heartbeat(0.1, "page", clock)
    board = StopBoard(beat)
    clock.sleep(1.0)
    assert board.request() is None
    beat.beat()
    clock.sleep(0.2)
    assert board.request() == StopRequest(Reaction.HOLD, "lost heartbeat of page")
    beat.beat()
    assert board.request() is not None
    assert board.release() is None
    beat.rest()
    clock.sleep(9.0)
    assert board.request() is None


@pytest.mark.parametrize(
    ("number", "reaction"),
    [(signal.SIGINT, "hold"), (signal.SIGTERM, "hold"), (signal.SIGQUIT, "limp")],
)
def test_a_signal_stops_the_arm_and_the_old_handlers_come_back(number, reaction) -> None:
    board, before = StopBoard(), signal.getsignal(number)
    with on_signals(board):
        os.kill(os.getpid(), number)
        assert board.request() == StopRequest(Reaction(reaction), signal.Signals(number).name)
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_the_program() -> None:
    board = StopBoard()
    with on_signals(board):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def pressed(board: StopBoard) -> StopRequest:
    """Wait for a request."""
    done = threading.Event()
    for _ in range(int(PATIENT_S / 0.01)):
        if board.request() is not None:
            return board.request()
        done.wait(0.01)
    raise AssertionError("nobody asked for a stop")


@pytest.mark.parametrize(
    ("key", "request_"),
    [
        (b" ", StopRequest(Reaction.HOLD, "space bar")),
        (b"L", StopRequest(Reaction.LIMP, "L key")),
    ],
)
def test_a_key_of_the_terminal_stops_the_arm_and_the_others_are_passed_on(key, request_) -> None:
    host, terminal = pty.openpty()
    board, others = StopBoard(), []
    try:
        with on_keys(board, others.append, terminal) as listening:
            assert listening
            os.write(host, b"sf" + key)
            assert pressed(board) == request_
        assert others == ["s", "f"]
    finally:
        os.close(host)
        os.close(terminal)


def test_a_terminal_that_is_closed_holds_the_arm() -> None:
    host, terminal = pty.openpty()
    board = StopBoard()
    try:
        with on_keys(board, fd=terminal):
            os.close(host)
            assert pressed(board) == StopRequest(Reaction.HOLD, "closed terminal")
    finally:
        os.close(terminal)


def test_without_a_terminal_there_are_no_keys() -> None:
    read, write = os.pipe()
    with on_keys(StopBoard(), fd=read) as listening:
        assert not listening
    os.close(read)
    os.close(write)
