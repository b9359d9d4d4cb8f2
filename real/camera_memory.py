"""The newest picture of a camera in shared memory: one process writes, others read, none waits.

Two slots: the writer fills the one that was not published last. Each slot carries the count of
the picture in it; a reader that finds another count after copying than before has been overtaken
and looks again. Numbers of 8 bytes are written and read whole on the processors we know of.
"""

from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from envs.arm import Array
from real.camera_watch import Counts
from real.cameras import CameraState, Frame, Mode

TRIES = 4
"""So often is a picture looked for that is overwritten while it is copied."""

TEXT = 400
STATES = tuple(CameraState)

_SLOT = [
    ("count", "i8"),
    ("number", "i8"),
    ("hardware_s", "f8"),
    ("arrived_s", "f8"),
    ("deep", "i8"),
]
_HEAD = np.dtype(
    [
        ("published", "i8"),
        ("slots", _SLOT, (2,)),
        ("frames", "i8"),
        ("duplicates", "i8"),
        ("same", "i8"),
        ("dropped", "i8"),
        ("streak", "i8"),
        ("heard_s", "f8"),
        ("beat_s", "f8"),
        ("failed", "i8"),
        ("text", f"S{TEXT}"),
    ]
)


@dataclass(frozen=True)
class Place:
    """Where one camera's part begins in a block of shared memory [bytes], and what is in it."""

    offset: int
    mode: Mode
    depth: bool

    @property
    def pixels(self) -> int:
        """Pixels in a picture."""
        return self.mode.width * self.mode.height

    @property
    def size(self) -> int:
        """Bytes that it takes, a multiple of 64."""
        total = _HEAD.itemsize + 2 * self.pixels * (5 if self.depth else 3)
        return -(-total // 64) * 64


class Memory:
    """One camera's part of a block of shared memory, seen by writer or reader.

    Attributes:
        head: counts, times and errors, of dtype ``_HEAD``.
    """

    def __init__(self, block: SharedMemory, place: Place) -> None:
        """Look at ``place`` in ``block``."""
        self.place = place
        height, width = place.mode.height, place.mode.width
        buffer, at = block.buf, place.offset
        self.head: Array = np.ndarray((), _HEAD, buffer, at)
        at += _HEAD.itemsize
        self._images: Array = np.ndarray((2, height, width, 3), np.uint8, buffer, at)
        at += self._images.nbytes
        deep = (2, height, width) if place.depth else (2, 0, 0)
        self._depths: Array = np.ndarray(deep, np.uint16, buffer, at)

    def publish(self, frame: Frame) -> None:
        """Make a picture the newest one."""
        count = int(self.head["published"]) + 1
        slot = self.head["slots"][count % 2]
        slot["count"] = -1
        self._images[count % 2] = frame.image
        deep = self.place.depth and frame.depth is not None
        if deep:
            self._depths[count % 2] = frame.depth
        for name in ("number", "hardware_s", "arrived_s"):
            slot[name] = getattr(frame, name)
        slot["deep"] = deep
        slot["count"] = count
        self.head["published"] = count

    def tell(self, counts: Counts, streak: int, heard_s: float) -> None:
        """Write down what else came, at ``heard_s`` [monotonic s]."""
        for name, value in vars(counts).items():
            self.head[name] = value
        self.head["streak"], self.head["heard_s"] = streak, heard_s

    def fail(self, state: CameraState, text: str) -> None:
        """Write down why no more pictures come."""
        self.head["text"] = text.encode()[:TEXT]
        self.head["failed"] = STATES.index(state)

    @property
    def failure(self) -> tuple[CameraState, str] | None:
        """Why no more pictures come; None while they do."""
        failed = int(self.head["failed"])
        text = bytes(self.head["text"]).rstrip(b"\0").decode(errors="replace")
        return (STATES[failed], text) if failed else None

    @property
    def counts(self) -> Counts:
        """What was delivered."""
        return Counts(
            *(int(self.head[name]) for name in ("frames", "duplicates", "same", "dropped"))
        )

    @property
    def published(self) -> int:
        """So many pictures have been published; the last is the newest."""
        return int(self.head["published"])

    def newest(self) -> tuple[int, Frame] | None:
        """Copy the newest picture, with its count; None if every try was overtaken."""
        for _ in range(TRIES):
            count = self.published
            slot = self.head["slots"][count % 2]
            if not count or slot["count"] != count:
                continue
            image = self._images[count % 2].copy()
            depth = self._depths[count % 2].copy() if slot["deep"] else None
            number, at, arrived = int(slot["number"]), slot["hardware_s"], slot["arrived_s"]
            if slot["count"] == count:
                return count, Frame(image, depth, number, float(at), float(arrived))
        return None

    def close(self) -> None:
        """Let go of the block, which could not be closed otherwise."""
        del self.head, self._images, self._depths
