"""A session that shows what a test puts into it and remembers what it was told; and its server."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from benchmarks.session.view import Choice, View
from envs.errors import UsageError
from real.operating.server import OperatorServer

SECONDS = 30.0  # to wait for anything
NEXT = Choice("next", "next", "next trial", "n")
VOID = Choice("void", "void", "void: run it again", "v", reason=True)
FIRST = View(
    1, "friday", "next", "Stand clear, then press next.", choices=(NEXT, VOID), code="K7-T4",
    trial=1, trials=8, blocks=4, instruction="put the cube on the target",
)  # fmt: skip


class Rehearsal:
    """An ``Operated`` without an arm: what is asked is checked as a session checks it."""

    def __init__(self, view: View = FIRST) -> None:
        self.shown, self.pictures = view, {"overlay": b"\x89PNG", "film": b"mp4"}
        self.answers: list[tuple[str, str, str, str]] = []
        self.stops: list[str] = []
        self.held = threading.Event()  # answers wait for it
        self.held.set()
        self._changed = threading.Condition()

    def put(self, **fields: Any) -> View:
        """Show something else; every change has a number of its own."""
        with self._changed:
            self.shown = replace(self.shown, number=self.shown.number + 1, **fields)
            self._changed.notify_all()
            return self.shown

    def view(self) -> View:
        with self._changed:
            return self.shown

    def wait(self, number: int, timeout_s: float) -> View:
        with self._changed:
            self._changed.wait_for(lambda: self.shown.number > number, timeout_s)
            return self.shown

    def answer(
        self, name: str, value: str, who: str, text: str = "", number: int | None = None
    ) -> View:
        assert self.held.wait(SECONDS)
        view = self.view()
        if number is not None and number != view.number:
            raise UsageError(f"this answers an older question: number {number}")
        if name != "operator" and view.operator not in ("", who):
            raise UsageError(f"{view.operator} operates this session")
        self.answers.append((name, value, who, text))
        return self.put(operator=who)

    def stop(self, source: str) -> None:
        self.stops.append(source)

    def picture(self, name: str) -> bytes:
        if name not in self.view().pictures:
            raise UsageError(f"there is no picture {name!r} now")
        return self.pictures[name]


@contextmanager
def operated(session: Any, report: Any = lambda: None, port: int = 0) -> Iterator[OperatorServer]:
    """Serve a session in a thread."""
    server, ready = OperatorServer(session, report), threading.Event()
    loop = asyncio.new_event_loop()
    failed: list[BaseException] = []

    async def serve() -> None:
        try:
            await server.run(port, ready.set)
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            failed.append(error)

    task = loop.create_task(serve())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,))
    thread.start()
    try:
        wait(lambda: ready.is_set() or failed)
        if failed:
            raise failed[0]
        yield server
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(SECONDS)
        loop.close()


def wait(condition: Any) -> Any:
    """Wait until ``condition`` holds and return its value."""
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value
