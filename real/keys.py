"""Single keys from the terminal, over SSH too: the space bar is an emergency stop."""

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from real.stop import Reaction, StopBoard

HOLD_KEY, LIMP_KEY = " ", "L"
"""The space bar holds; a capital L, which nobody presses in passing, makes limp."""

WAIT_S = 0.1  # so soon does the thread notice that it is to end [s]


@contextmanager
def on_keys(
    board: StopBoard, other: Callable[[str], None] = lambda key: None, fd: int | None = None
) -> Iterator[bool]:
    """Let keys press ``board``; yields whether there is a terminal to listen to.

    A terminal that is closed holds the arm: nobody could stop it from there any more.

    Args:
        board: where the stop is asked for.
        other: told every other key, in another thread.
        fd: of the terminal, by default that of the standard input.
    """
    number = sys.stdin.fileno() if fd is None else fd
    if not os.isatty(number):
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(number)
    end = threading.Event()
    listen = threading.Thread(
        target=_listen, args=(board, other, number, end), name="keys", daemon=True
    )
    tty.setcbreak(number)
    try:
        listen.start()
        yield True
    finally:
        end.set()
        listen.join()
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(number, termios.TCSADRAIN, before)


def _listen(
    board: StopBoard, other: Callable[[str], None], number: int, end: threading.Event
) -> None:
    while not end.is_set():
        try:
            if not select.select([number], [], [], WAIT_S)[0]:
                continue
            pressed = os.read(number, 64)
        except OSError:
            pressed = b""
        if not pressed:
            board.press("closed terminal")
            return
        for key in pressed.decode("utf-8", errors="replace"):
            if key == HOLD_KEY:
                board.press("space bar")
            elif key == LIMP_KEY:
                board.press("L key", Reaction.LIMP)
            else:
                other(key)
