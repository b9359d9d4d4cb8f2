"""The control loop: a thread that keeps 50 Hz, and the desk where browsers leave their wishes."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from envs.cartesian import Hand
from real.realtime import BELOW, keep_time
from real.teleop.session import Session, Status

DEADMAN_S = 0.3
"""Without a command for so long [s] the arm is held."""

REST_S = 0.05  # a loop that was held up further than this does not try to catch up [s]
PRESSES = 16  # wishes that are kept until the next control period

_log = logging.getLogger(__name__)


class Desk:
    """Where the newest hand and what was pressed wait for the next control period.

    A flood of messages costs nothing here: only the newest hand counts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nobody driving."""
        self._clock, self._lock = clock, threading.Lock()
        self._hand: Hand | None = None
        self._at = 0.0
        self._presses: deque[str] = deque(maxlen=PRESSES)

    def put(self, hand: Hand | None) -> None:
        """Leave the newest hand; None: nobody drives any more."""
        with self._lock:
            self._hand, self._at = hand, self._clock()

    def press(self, key: str) -> None:
        """Leave a wish."""
        with self._lock:
            self._presses.append(key)

    def take(self) -> tuple[Hand | None, list[str]]:
        """Return the hand, None if it is older than ``DEADMAN_S``, and what was pressed since."""
        with self._lock:
            pressed = list(self._presses)
            self._presses.clear()
            stale = self._clock() - self._at > DEADMAN_S
            return (None if stale else self._hand), pressed


class Loop:
    """Runs a session at its arm's control rate, in a thread of its own.

    Attributes:
        desk: where to leave what the arm shall do.
        status: of the session, renewed every control period.
        snapshot: what the rig needs to draw its views, renewed every control period.
        instruction: what is to be done in the present episode.
        held: whether the arm is held because nobody drives.
        rate: control periods a second, over the last second or so.
        error: what ended the loop, None while it runs or after ``stop``.
        ended: called by the thread when the loop ends.
    """

    def __init__(self, session: Session) -> None:
        """Prepare to run ``session``."""
        self.session, self.desk = session, Desk()
        self.error: Exception | None = None
        self.held, self.rate = True, 0.0
        self._stop = threading.Event()
        self.ended: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="teleop", daemon=True)
        self._publish()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with what is being recorded kept as interrupted."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            try:
                self._keep_time()
            finally:
                self.session.close()
        except Exception as error:
            _log.debug("the control loop ended", exc_info=True)
            self.error = error
        finally:
            self.ended()

    def _keep_time(self) -> None:
        """Tick at the control rate; a real arm's own blocking command does the same."""
        if self.session.rig.timed:
            keep_time(BELOW)
        period = 1.0 / self.session.rig.arm.spec.control_hz
        due = since = time.monotonic()
        ticks = 0
        while not self._stop.is_set():
            self.tick()
            ticks += 1
            now = time.monotonic()
            if now - since >= 1.0:
                self.rate, since, ticks = ticks / (now - since), now, 0
            due = max(due + period, now - REST_S)
            self._stop.wait(max(0.0, due - now))

    def tick(self) -> None:
        """Do what was pressed, then one control period."""
        hand, pressed = self.desk.take()
        for key in pressed:
            self.session.press(key)
        self.session.tick(hand)
        self.held = hand is None
        self._publish()

    def _publish(self) -> None:
        self.status: Status = self.session.status()
        self.snapshot: Any = self.session.rig.snapshot()
        self.instruction = self.session.instruction
