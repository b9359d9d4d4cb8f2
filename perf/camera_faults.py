"""What becomes of every fault of a camera: librealsense, driver, shared memory and reader.

All on a clock of its own, 150 ticks a second: pictures 30 times, the control loop 50 times.
Pictures carry in their pixels which one they are, so that a repeated one is known as such whatever
number and time it bears.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from envs.arm import Array
from real.camera_memory import Memory, Place
from real.camera_rig import CameraSource, Feed, Reading, RigReader
from real.camera_watch import Counts, Patience
from real.cameras import CameraState, Mode
from real.emulators.realsense import EmulatedCamera, RealSenseEmulator
from real.emulators.realsense_device import Picture
from real.realsense import RealSenseCamera, RealSenseConfig

TICKS = 150
MODE = Mode(424, 240, 30)
BITS, BLOCK = 20, 20  # a picture's number in black and white blocks of 20 px
MATRIX: Mapping[str, str] = {
    "none": "",
    "10 % lost": "drop=0.1",
    "10 % repeated": "duplicate=0.1",
    "both": "drop=0.1 duplicate=0.1",
    "50 ms late": "delay=0.05",
    "frozen": "freeze",
    "5 s stall": "stall",
    "wrong size": "size",
    "unplugged": "unplug",
}
"""What is injected one second after the start."""


@dataclass
class Outcome:
    """What came of a fault.

    Attributes:
        periods: pictures that the camera took.
        counts: what the watch counted.
        news: readings that were new.
        repeated: new readings of a picture that had been seen before. Must be 0.
        flagged_s, stopped_s: from the fault to the first reading that is not ok, that stops [s].
        state: of the last reading while the fault lasted.
        after: of the last reading, a second after its end.
        oldest: greatest age of a picture that was read as ok [s].
        text: what the operator is told.
    """

    periods: int = 0
    counts: Counts = field(default_factory=Counts)
    news: int = 0
    repeated: int = 0
    flagged_s: float | None = None
    stopped_s: float | None = None
    state: CameraState = CameraState.WAITING
    after: CameraState = CameraState.WAITING
    oldest: float = 0.0
    text: str = ""


class Bench:
    """One emulated D435 that is fed into shared memory and read 50 times a second."""

    def __init__(self) -> None:
        """Make all but a process."""
        self.now, self._pushed = 10.0, 0
        self._emulator = RealSenseEmulator([EmulatedCamera("overhead")], _numbered)
        device = self._emulator.device("overhead")
        push = device.push

        def counted(picture: Picture) -> None:
            self._pushed += 1
            push(picture)

        device.push = counted  # type: ignore[method-assign]
        self.faults = self._emulator.faults
        self._config = RealSenseConfig(MODE)
        source = CameraSource(
            "overhead",
            lambda: RealSenseCamera("overhead", self._config, device, lambda: self.now),
            MODE,
        )
        place = Place(0, MODE, depth=False)
        self._block = SharedMemory(create=True, size=place.size)
        self._memory = Memory(self._block, place)
        self._feed = Feed(source, self._memory)
        self._goes = self._feed.step(0.001)  # opens the camera; no picture is due yet
        self.reader = RigReader(self._block.name, {"overhead": (place, self.now)}, Patience())

    def tick(self, index: int) -> Reading | None:
        """Let a tick pass; return what the control loop reads in every third."""
        self.now += 1 / TICKS
        before = self._pushed
        self._emulator.tick(self.now)
        gone = self.faults.value("unplug", "overhead") > 0
        for _ in range(max(self._pushed - before, int(gone))):
            self._goes = self._goes and self._feed.step(0.001 if gone else 10.0)
        if index % (TICKS // 50):
            return None
        return self.reader.read(self.now)["overhead"]

    def close(self) -> None:
        """Free everything."""
        self._feed.close()
        self.reader.close()
        self._memory.close()
        self._block.close()
        self._block.unlink()


def measure(fault: str, lasts_s: float) -> Outcome:
    """Inject ``fault`` (words, as ``CameraFaults.inject`` reads them) for so long; see what comes.

    One second without it comes before, one after.
    """
    bench, outcome, seen = Bench(), Outcome(), set[int]()
    begin, end = TICKS, TICKS + round(lasts_s * TICKS)
    try:
        for index in range(end + TICKS):
            if index == begin:
                bench.faults.inject(*fault.split())
            elif index == end:
                bench.faults.clear()
            reading = bench.tick(index)
            if reading is not None and reading.frame is not None:
                _note(outcome, reading, seen, (index - begin) / TICKS, index < end)
        outcome.periods = round((end + TICKS) / TICKS * MODE.fps)
    finally:
        bench.close()
    return outcome


def _note(outcome: Outcome, reading: Reading, seen: set[int], after: float, during: bool) -> None:
    """Take a reading into account, ``after`` seconds after the fault began."""
    outcome.counts = reading.counts
    if reading.new and reading.frame is not None:
        which = _which(reading.frame.image)
        outcome.news += 1
        outcome.repeated += which in seen
        seen.add(which)
    if after >= 0 and during:
        outcome.state = reading.state
        if reading.state != CameraState.OK and outcome.flagged_s is None:
            outcome.flagged_s = after
        if reading.state.stops and outcome.stopped_s is None:
            outcome.stopped_s, outcome.text = after, reading.text
    if reading.state == CameraState.OK:
        outcome.oldest = max(outcome.oldest, reading.age)
    outcome.after = reading.state


def _numbered(camera: str, now: float) -> tuple[Array, None]:
    """Draw which picture this is: the time in milliseconds, in black and white blocks."""
    image = np.full((MODE.height, MODE.width, 3), 90, np.uint8)
    for bit in range(BITS):
        white = round(now * 1000) >> bit & 1
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 230 if white else 20
    return image, None


def _which(image: Array) -> int:
    """Read what ``_numbered`` drew."""
    half = BLOCK // 2
    return sum(1 << bit for bit in range(BITS) if image[half, bit * BLOCK + half, 0] > 125)
