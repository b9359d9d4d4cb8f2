"""Teleoperation served in a thread, for tests."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from envs.arm import CameraSpec
from envs.collection import Collection
from real.teleop.album import Album
from real.teleop.loop import Loop
from real.teleop.rig import ArmRig, SimRig
from real.teleop.server import TeleopServer
from real.teleop.session import Session

PICK_PLACE = Collection("pick_place")
SMALL = tuple(CameraSpec(name, 96, 72) for name in ("view", "overhead", "wrist"))
SECONDS = 30.0  # to wait for anything


class Serving(threading.Thread):
    """The server's event loop in a thread; ``failed`` holds what ended it."""

    def __init__(self, server: TeleopServer) -> None:
        super().__init__()
        self.server, self.ready = server, threading.Event()
        self.failed: list[Exception] = []

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self.failed.append(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self.server.run(0, self.ready.set))
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    def end(self) -> None:
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self.join(SECONDS)
        if self.failed:
            raise self.failed[0]


@contextmanager
def served(
    out: Path, collection: Collection = PICK_PLACE, views: Sequence[CameraSpec] = SMALL
) -> Iterator[TeleopServer]:
    """Serve a task, by default pick_place; the folder ``out`` is filled."""
    with drives(SimRig(collection, views=views), out, collection) as server:
        yield server


@contextmanager
def drives(rig: ArmRig, out: Path, collection: Collection) -> Iterator[TeleopServer]:
    """Serve whatever a person drives; it is closed afterwards."""
    with Album(out, collection) as album:
        server = TeleopServer(Loop(Session(rig, album, "anna")))
        serving = Serving(server)
        serving.start()
        try:
            assert serving.ready.wait(SECONDS)
            yield server
        finally:
            try:
                serving.end()
            finally:
                rig.close()
