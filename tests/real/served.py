"""Teleoperation served in a thread, for tests."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from envs.collection import Collection
from real.teleop.album import Album
from real.teleop.loop import Loop
from real.teleop.rig import SimRig
from real.teleop.server import TeleopServer
from real.teleop.session import Session

PICK_PLACE = Collection("pick_place")
SECONDS = 30.0  # to wait for anything


@contextmanager
def served(out: Path) -> Iterator[TeleopServer]:
    """Serve pick_place; the folder ``out`` is filled."""
    rig = SimRig(PICK_PLACE)
    with Album(out, PICK_PLACE) as album:
        server = TeleopServer(Loop(Session(rig, album, "anna")))
        ready = threading.Event()
        ending: list[Callable[[], None]] = []

        async def serve() -> None:
            task = asyncio.create_task(server.run(0, ready.set))
            running = asyncio.get_running_loop()
            ending.append(lambda: running.call_soon_threadsafe(task.cancel) and None)
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            assert ready.wait(SECONDS)
            yield server
        finally:
            ending[0]()
            thread.join(SECONDS)
            rig.close()
