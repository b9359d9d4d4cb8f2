"""Several cameras in a process of their own; who reads gets the newest pictures and never waits.

``with CameraRig(sources) as rig: reading = rig.read()["overhead"]`` gives the picture, its age and
how the camera does. ``rig.reader()`` can be handed to other processes.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Self

from envs.errors import UsageError
from envs.threads import one_thread
from real.camera_memory import Memory, Place
from real.camera_watch import Counts, FrameWatch, Patience, judge
from real.cameras import Camera, CameraError, CameraState, Frame, Mode

START_S = 120.0
"""So long may the process and its cameras take to deliver their first pictures [s]."""

WAIT_S = 0.25
"""So long is waited for a picture before it is looked whether the end has come [s]."""

DEAD_S = 2 * WAIT_S
DEAD = "the process of the cameras has ended or was stopped, {age:.1f} s ago; start anew"

TEXTS: Mapping[CameraState, str] = {
    CameraState.WAITING: "no picture yet",
    CameraState.LATE: "the newest picture is {age:.2f} s old",
    CameraState.FROZEN: "the same picture again and again for {age:.1f} s; plug the camera in anew",
    CameraState.STALLED: "no picture for {age:.1f} s; try another USB port and cable",
}


@dataclass(frozen=True)
class CameraSource:
    """A camera for the rig.

    Attributes:
        name: what it is called.
        open: makes its driver, in the rig's process: a function of a module, or ``partial``.
        mode: size and rate that the driver delivers.
        depth: whether it delivers depth.
    """

    name: str
    open: Callable[[], Camera]
    mode: Mode = field(default_factory=Mode)
    depth: bool = False


@dataclass(frozen=True, eq=False)
class Reading:
    """A camera at one moment.

    Attributes:
        frame: its newest picture, None before the first.
        new: whether this reader gets that picture for the first time.
        age: since the picture arrived [s]; infinite before the first.
        state: how the camera does.
        text: what is wrong and what to do; empty where all is well.
        counts: what it has delivered up to now.
    """

    frame: Frame | None
    new: bool
    age: float
    state: CameraState
    text: str
    counts: Counts

    @property
    def fault(self) -> str:
        """Why a trial must not go on; empty where it may."""
        return self.text if self.state.stops else ""


class RigReader:
    """Reads the newest pictures; every process, and every thread, has one of its own."""

    def __init__(
        self, block: str, places: Mapping[str, tuple[Place, float]], patience: Patience
    ) -> None:
        """Prepare to read the shared memory called ``block``, whose parts began at some time."""
        self._made = (block, dict(places), patience)
        self._block: SharedMemory | None = None
        self._parts: dict[str, Memory] = {}
        self._last: dict[str, tuple[int, Frame]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Be handed to another process as what it was made of."""
        return type(self), self._made

    def read(self, now: float | None = None) -> dict[str, Reading]:
        """Return all cameras, by name, at ``now`` [monotonic s]; it waits for none of them."""
        parts = self._open()
        return {name: self._look(name, part, now) for name, part in parts.items()}

    def _look(self, name: str, part: Memory, now: float | None) -> Reading:
        since = self._made[1][name][1]
        count, frame = self._last.get(name, (0, None))
        new = False
        if part.published != count and (found := part.newest()) is not None:
            self._last[name] = found
            new, frame = True, found[1]
        time_s = time.monotonic() if now is None else now
        age = float("inf") if frame is None else max(time_s - frame.arrived_s, 0.0)
        if failure := part.failure:
            return Reading(frame, new, age, *failure, part.counts)
        heard, streak = time_s - float(part.head["heard_s"]), int(part.head["streak"])
        if frame is None:
            waits = time_s - since <= START_S
            state = CameraState.WAITING if waits else CameraState.STALLED
        else:
            state = judge(age, heard, streak, part.place.mode.fps, self._made[2])
        text = TEXTS.get(state, "")
        if state == CameraState.STALLED and time_s - float(part.head["beat_s"]) > DEAD_S:
            text = DEAD
        if text:
            text = f"{name}: {text.format(age=min(age, time_s - since))}"
        return Reading(frame, new, age, state, text, part.counts)

    def _open(self) -> dict[str, Memory]:
        if self._block is None:
            name, places, _ = self._made
            self._block = SharedMemory(name)
            self._parts = {key: Memory(self._block, place) for key, (place, _) in places.items()}
        return self._parts

    def close(self) -> None:
        """Let go of the shared memory."""
        block, self._block = self._block, None
        for part in self._parts.values():
            part.close()
        self._parts.clear()
        if block is not None:
            block.close()


class CameraRig:
    """A process with cameras; ends with ``close`` or with the process that made it.

    Attributes:
        names: of the cameras, in order.
    """

    def __init__(self, sources: Sequence[CameraSource], patience: Patience | None = None) -> None:
        """Start the process and all cameras, and wait for the first picture of each.

        Raises:
            UsageError: no camera, or two of one name.
            CameraError: a camera that does not start, named, with what to do.
        """
        self.names = tuple(source.name for source in sources)
        if not sources or len(set(self.names)) != len(sources):
            raise UsageError(f"cameras must have different names, got {', '.join(self.names)}")
        began = time.monotonic()
        places, offset = {}, 0
        for source in sources:
            place = Place(offset, source.mode, source.depth)
            places[source.name], offset = (place, began), offset + place.size
        block = SharedMemory(create=True, size=offset)
        self._block: SharedMemory | None = block
        self._reader = RigReader(block.name, places, patience or Patience())
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        parts = [place for place, _ in places.values()]
        self.process = context.Process(
            target=_run, args=(tuple(sources), block.name, parts, far), daemon=True
        )
        try:
            with one_thread():
                self.process.start()
            far.close()
            self._await_pictures()
        except BaseException:
            self.close()
            raise

    def _await_pictures(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            readings = self._reader.read()
            for reading in readings.values():
                if reading.state.stops and reading.frame is None:
                    raise CameraError(reading.text, reading.state)
            if all(reading.frame is not None for reading in readings.values()):
                return
            if not self.process.is_alive():
                raise CameraError(f"the process of the cameras ended ({self.process.exitcode})")
            time.sleep(0.01)
        late = [name for name, reading in self._reader.read().items() if reading.frame is None]
        raise CameraError(
            f"{', '.join(late)}: no picture within {START_S:g} s; try another USB port and cable",
            CameraState.STALLED,
        )

    def read(self) -> dict[str, Reading]:
        """Return all cameras as they are now, by name."""
        return self._reader.read()

    def frames(self) -> dict[str, Frame]:
        """Return the newest picture of every camera that has one, by name."""
        readings = self.read()
        return {name: r.frame for name, r in readings.items() if r.frame is not None}

    def fault(self) -> str:
        """Return why a trial must not go on; empty where all cameras do well enough."""
        return "; ".join(filter(None, (reading.fault for reading in self.read().values())))

    def reader(self) -> RigReader:
        """Return a reader for another process or thread."""
        make, made = self._reader.__reduce__()
        return make(*made)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process and free the memory; twice does no harm."""
        self._pipe.close()
        if self.process.pid is not None:
            self.process.join(5)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
        self._reader.close()
        block, self._block = self._block, None
        if block is not None:
            block.close()
            block.unlink()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()


def _run(
    sources: tuple[CameraSource, ...], block: str, places: list[Place], pipe: Connection
) -> None:
    """Serve all cameras until the other end of ``pipe`` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory = SharedMemory(block)
    parts = [Memory(memory, place) for place in places]
    ended = threading.Event()
    threads = [
        threading.Thread(target=_serve, args=(source, part, ended), daemon=True)
        for source, part in zip(sources, parts, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        pipe.recv()  # nothing is ever sent: it ends when the other end does
    except (EOFError, OSError):
        ended.set()
    for thread in threads:
        thread.join(2)
    for part in parts:
        part.close()
    memory.close()
    sys.stderr.flush()
    os._exit(0)  # libraries of cameras and drawing end badly while their threads run


def _serve(source: CameraSource, part: Memory, ended: threading.Event) -> None:
    """Publish the pictures of one camera until the end, or until it fails."""
    feed = Feed(source, part)
    while not ended.is_set() and feed.step(WAIT_S):
        pass
    feed.close()


class Feed:
    """Brings the pictures of one camera into shared memory; what goes wrong, too."""

    def __init__(self, source: CameraSource, part: Memory) -> None:
        """Prepare to serve ``source``."""
        self._source, self._part = source, part
        self._watch = FrameWatch()
        self._camera: Camera | None = None

    def step(self, wait_s: float) -> bool:
        """Publish the next picture if it comes within ``wait_s``; tell whether to go on."""
        self._part.head["beat_s"] = time.monotonic()
        try:
            if self._camera is None:
                self._camera = self._source.open()
                self._camera.start()
            frame = self._camera.wait(wait_s)
            self._source.mode.check(self._source.name, frame.image)
        except CameraError as error:
            if error.state == CameraState.STALLED:
                return True
            self._part.fail(error.state, str(error))
            return False
        except Exception as error:
            text = f"{self._source.name}: {type(error).__name__}: {error}"
            self._part.fail(CameraState.UNPLUGGED, text)
            return False
        if self._watch.take(frame):
            self._part.publish(frame)
        self._part.tell(self._watch.counts, self._watch.streak, frame.arrived_s)
        return True

    def close(self) -> None:
        """Release the camera."""
        if self._camera is not None:
            self._camera.close()
