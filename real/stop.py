"""Emergency stop: whoever asks for it, from wherever, is heard in the next control period.

HOLD keeps the motors on: the arm brakes and stays where it is, whatever it carries. LIMP switches
the torque off: an arm that is held up by nothing else falls. So HOLD is what every source asks for,
and LIMP only who says so.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import Any, Protocol

from envs.errors import UsageError


class Reaction(Enum):
    """What an emergency stop does to the arm."""

    HOLD = "hold"
    LIMP = "limp"


@dataclass(frozen=True)
class StopRequest:
    """Somebody's wish to stop: what shall happen, and who asks."""

    reaction: Reaction
    source: str


class Source(Protocol):
    """Something that may ask for a stop without being asked, such as a lost heartbeat."""

    def wish(self) -> StopRequest | None:
        """Return what it asks for at this moment; None: nothing."""


class StopBoard:
    """Where all sources leave their wish; it stays until somebody releases it.

    Threads and signal handlers may press at any time. LIMP prevails over HOLD.
    """

    def __init__(self, *sources: Source) -> None:
        """Listen to ``sources`` beside what is pressed."""
        # A signal handler may interrupt the thread that holds the lock.
        self._lock = threading.RLock()
        self._pressed: StopRequest | None = None
        self.sources = list(sources)

    def press(self, source: str, reaction: Reaction = Reaction.HOLD) -> None:
        """Ask for a stop."""
        with self._lock:
            held = self._pressed
            if held is None or (reaction, held.reaction) == (Reaction.LIMP, Reaction.HOLD):
                self._pressed = StopRequest(reaction, source)

    def event(self, message: Mapping[str, Any]) -> None:
        """Take a stop from a gamepad or a browser: ``{"source": "browser", "reaction": "hold"}``.

        A message that is not understood holds the arm all the same, and is then refused.

        Raises:
            UsageError: an unknown reaction, or a source that is no short word.
        """
        source, reaction = message.get("source"), message.get("reaction", Reaction.HOLD.value)
        known = {one.value: one for one in Reaction}
        if not isinstance(source, str) or not 0 < len(source) <= 40:
            self.press("an event without a source")
            raise UsageError(f"source must be a word of at most 40 letters, got {str(source)[:80]}")
        if not isinstance(reaction, str) or reaction not in known:
            self.press(source)
            raise UsageError(f"reaction must be one of {', '.join(known)}, got {reaction!r:.80}")
        self.press(source, known[reaction])

    def release(self) -> StopRequest | None:
        """Take the wish back; return what is still asked for, None if the arm may move again."""
        with self._lock:
            self._pressed = None
        return self.request()

    def request(self) -> StopRequest | None:
        """Return what is asked for; a source that wished for something once is remembered."""
        for source in self.sources:
            wish = source.wish()
            if wish is not None:
                self.press(wish.source, wish.reaction)
        with self._lock:
            return self._pressed


class Heartbeat:
    """Asks for HOLD when whoever commands the arm gives no sign of life."""

    def __init__(
        self, limit_s: float, source: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Expect a beat of ``source`` every ``limit_s`` [s], from the first beat on."""
        if not limit_s > 0:
            raise ValueError(f"limit_s must be positive, got {limit_s}")
        self.limit_s, self.source, self._clock = limit_s, source, clock
        self._last: float | None = None

    def beat(self) -> None:
        """Give a sign of life."""
        self._last = self._clock()

    def rest(self) -> None:
        """Expect nothing until the next beat: the source has ended its work in good order."""
        self._last = None

    def wish(self) -> StopRequest | None:
        """Ask for HOLD if the last beat is too long ago."""
        last = self._last
        if last is None or self._clock() - last <= self.limit_s:
            return None
        return StopRequest(Reaction.HOLD, f"lost heartbeat of {self.source}")


SIGNALS: Mapping[str, Reaction] = {
    "SIGINT": Reaction.HOLD,
    "SIGTERM": Reaction.HOLD,
    "SIGHUP": Reaction.HOLD,
    "SIGQUIT": Reaction.LIMP,
}
"""What a signal asks for: Ctrl-C holds, Ctrl-\\ makes limp; those that the system knows."""


@contextmanager
def on_signals(board: StopBoard) -> Iterator[None]:
    """Let signals press ``board``; a second Ctrl-C interrupts the program as ever.

    Only the main thread may do this.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        again = number == signal.SIGINT and board.request() is not None
        board.press(name, SIGNALS[name])
        if again:
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
