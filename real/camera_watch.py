"""Judges what a camera delivers: which pictures are new, how many are missing, whether it lives."""

import zlib
from collections import deque
from dataclasses import dataclass

import numpy as np

from real.cameras import CameraState, Frame

REMEMBERED = 32
"""So many pictures are known again by their number or time."""

RESTARTED = 1000
"""Numbers that jump by more, or back, are not lost pictures: the camera began to count anew."""


@dataclass(frozen=True)
class Patience:
    """How long which state is borne. The safety chain holds the arm at its own ``frame_age``.

    Attributes:
        late: a newest picture so many periods old is flagged.
        same: so many pictures in a row that equal the last one to the byte are a frozen camera:
            the noise of a sensor never repeats.
        stalled: a newest picture so old stops the trial [s].
    """

    late: float = 2.5
    same: int = 10
    stalled: float = 1.0


@dataclass
class Counts:
    """What a camera delivered.

    Attributes:
        frames: pictures that were new.
        duplicates: pictures that had been delivered before, by number or time.
        same: pictures with a new number and time that equal the one before to the byte.
        dropped: numbers that never came.
    """

    frames: int = 0
    duplicates: int = 0
    same: int = 0
    dropped: int = 0


class FrameWatch:
    """Tells the new pictures of one camera from the others.

    Attributes:
        counts: of everything that was delivered.
        streak: pictures without news since the last new one.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.counts = Counts()
        self.streak = 0
        self._last: int | None = None
        self._digest = -1
        self._numbers: deque[int] = deque(maxlen=REMEMBERED)
        self._times: deque[float] = deque(maxlen=REMEMBERED)

    def take(self, frame: Frame) -> bool:
        """Count a picture; tell whether it shows something that was not seen before."""
        if frame.number in self._numbers or frame.hardware_s in self._times:
            self.counts.duplicates += 1
            self.streak += 1
            return False
        self._count_dropped(frame.number)
        self._numbers.append(frame.number)
        self._times.append(frame.hardware_s)
        digest = zlib.crc32(np.ascontiguousarray(frame.image).data)
        if digest == self._digest:
            self.counts.same += 1
            self.streak += 1
            return False
        self._digest, self.streak = digest, 0
        self.counts.frames += 1
        return True

    def _count_dropped(self, number: int) -> None:
        ahead = 1 if self._last is None else number - self._last
        if 0 < ahead <= RESTARTED:
            self.counts.dropped += ahead - 1
        self._last = number


def judge(age: float, heard: float, streak: int, fps: float, patience: Patience) -> CameraState:
    """Return how a camera does that reports no error.

    Args:
        age: of its newest picture [s]; while there is none, of the camera.
        heard: time since anything came of it [s].
        streak: pictures without news since then.
        fps: its rate [1/s].
        patience: how long what is borne.
    """
    talks = streak > 0 and heard <= max(patience.late / fps, patience.stalled / 2)
    if talks and (streak >= patience.same or age > patience.stalled):
        return CameraState.FROZEN
    if age > patience.stalled:
        return CameraState.STALLED
    return CameraState.LATE if age > patience.late / fps else CameraState.OK
