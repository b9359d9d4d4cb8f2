"""The web server of teleoperation: one page, one WebSocket, on this machine alone."""

import asyncio
import contextlib
import http
import json
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from envs.errors import UsageError
from real.loopback import SHARED, Files, file_response, is_local, listen, response
from real.teleop.loop import Loop
from real.teleop.message import TAKE, Press, Stop, parse

PAGE = Path(__file__).parent / "page"
FILES: Files = {
    "/": (PAGE / "index.html", "text/html"),
    "/style.css": (PAGE / "style.css", "text/css"),
    "/teleop.js": (PAGE / "teleop.js", "text/javascript"),
    "/keys.js": (PAGE / "keys.js", "text/javascript"),
    "/xr.js": (PAGE / "xr.js", "text/javascript"),
    "/panel.js": (PAGE / "panel.js", "text/javascript"),
    **SHARED,
}
SOCKET = "/socket"

MAX_MESSAGE = 2048  # bytes of a browser's message
MOST_MESSAGES = 200  # of one browser in a second, over the last WINDOW_S; a page sends 50
WINDOW_S = 5.0  # long enough for what arrives at once after the network or this machine stalled [s]
MOST_BAD = 20  # malformed messages of one browser, then it is turned away
MOST_BROWSERS = 8
STATE_S = 0.06  # between two reports of the state [s]
VIEW_S = 0.05  # between two pictures of a view, at the least [s]

_log = logging.getLogger(__name__)


class Browser:
    """One browser: its connection and how it has behaved."""

    def __init__(self, connection: ServerConnection) -> None:
        """Take a new connection."""
        self.connection = connection
        self.bad = 0
        self._times: deque[float] = deque(maxlen=round(MOST_MESSAGES * WINDOW_S))

    def floods(self, now: float) -> bool:
        """Count a message; tell whether there were too many within the window."""
        full = len(self._times) == self._times.maxlen and now - self._times[0] < WINDOW_S
        self._times.append(now)
        return full

    async def say(self, **message: Any) -> None:  # noqa: ANN401  (JSON)
        """Send a message."""
        await self.connection.send(json.dumps(message, allow_nan=False))


class TeleopServer:
    """Serves the page and connects browsers to a control loop.

    The first browser drives, the others watch. When the driver leaves the arm is held and the
    controls are free: the next browser that connects has them, or a watcher takes them.
    """

    def __init__(self, loop: Loop) -> None:
        """Serve ``loop``."""
        self.loop = loop
        self.browsers: set[Browser] = set()
        self.driver: Browser | None = None
        self.frames: tuple[bytes, ...] = ()
        self._frame = 0

    async def run(self, port: int, ready: Callable[[], None] = lambda: None) -> None:
        """Serve on loopback ``port`` (0: a free one) until cancelled or the loop ends.

        ``ready`` is called once the page can be opened.

        Raises:
            UsageError: the port is not free; or what ended the control loop.
        """
        running = asyncio.get_running_loop()
        ended = asyncio.Event()
        limits = {"max_size": MAX_MESSAGE, "max_queue": 64, "ping_timeout": 4}
        server = await listen(port, self._meet, self._answer, **limits)

        def tell() -> None:
            running.call_soon_threadsafe(ended.set)

        self.loop.ended = tell
        async with server:
            self.port = int(server.sockets[0].getsockname()[1])
            self.loop.start()
            drawing = asyncio.create_task(self._draw())
            ready()
            try:
                await ended.wait()
            finally:
                drawing.cancel()
                await asyncio.to_thread(self.loop.stop)
        if self.loop.error is not None:
            raise self.loop.error

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://localhost:{self.port}/"

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Serve a file; let a WebSocket of our own page through; refuse everything else."""
        if not is_local(request.headers):
            return response(http.HTTPStatus.FORBIDDEN, b"only this machine may drive\n")
        path = request.path.partition("?")[0]
        if path == SOCKET:
            full = len(self.browsers) >= MOST_BROWSERS
            status = http.HTTPStatus.SERVICE_UNAVAILABLE
            return response(status, b"too many browsers\n") if full else None
        return file_response(FILES, path)

    async def _meet(self, connection: ServerConnection) -> None:
        """Look after one browser until it leaves."""
        browser = Browser(connection)
        self.browsers.add(browser)
        self.driver = self.driver or browser
        reports = asyncio.create_task(self._report(browser))
        try:
            async for message in connection:
                if not await self._hear(browser, message):
                    break
        except ConnectionClosed:
            pass
        finally:
            self.browsers.discard(browser)
            self._release(browser)
            reports.cancel()

    def _release(self, browser: Browser) -> None:
        """Take the controls from a browser that has them, and hold the arm."""
        if self.driver is browser:
            self.driver = None
            self.loop.desk.put(None)

    async def _hear(self, browser: Browser, message: str | bytes) -> bool:
        """Act on a message; return False where the browser has been turned away."""
        if browser.floods(asyncio.get_running_loop().time()):
            return await self._turn_away(browser, f"more than {MOST_MESSAGES} messages a second")
        try:
            wish = parse(message)
            if isinstance(wish, Stop):  # anybody may, at once; not understood it holds all the same
                self.loop.session.rig.stop(wish.message)
                return True
        except UsageError as error:
            return await self._complain(browser, str(error))
        if isinstance(wish, Press) and wish.key == TAKE:
            self.driver = self.driver or browser
        elif browser is not self.driver:
            pass  # who watches does not drive
        elif isinstance(wish, Press):
            self.loop.desk.press(wish.key)
        else:
            self.loop.desk.put(wish)
        return True

    async def _complain(self, browser: Browser, text: str) -> bool:
        """Hold the arm of a driver who sends nonsense, and say what is wrong."""
        browser.bad += 1
        if browser is self.driver:
            self.loop.desk.put(None)
        if browser.bad >= MOST_BAD:
            return await self._turn_away(browser, "too many bad messages")
        await browser.say(type="complaint", text=text)
        return True

    async def _turn_away(self, browser: Browser, why: str) -> bool:
        """Take the controls away, say why and hang up; return False: there is no more to hear.

        What is still on the way is read meanwhile: unread, it would fill the queue, keep the answer
        to the goodbye from being seen, and reset the connection before the browser knows why.
        """
        self._release(browser)
        connection = browser.connection
        goodbye = asyncio.create_task(connection.close(CloseCode.POLICY_VIOLATION, why))
        with contextlib.suppress(ConnectionClosed):
            async for _ in connection:
                pass
        await goodbye
        return False

    async def _report(self, browser: Browser) -> None:
        """Send state and pictures as fast as this browser takes them; the newest only."""
        shown = -1
        with contextlib.suppress(ConnectionClosed):
            await browser.say(type="hello", **self._hello())
            while True:
                await browser.say(type="state", **self._state(browser))
                if self._frame != shown and self.frames:
                    shown = self._frame
                    for number, jpeg in enumerate(self.frames):
                        await browser.connection.send(bytes([number]) + jpeg)
                await asyncio.sleep(STATE_S)

    def _hello(self) -> dict[str, Any]:
        rig = self.loop.session.rig
        hz = rig.arm.spec.control_hz
        return {
            "task": rig.task.name,
            "robot": rig.collection.robot,
            "stages": list(rig.task.stages),
            "judges": rig.judges,
            "stops": rig.stops,
            "hands": list(rig.control.hands),
            "hz": hz,
            "horizon": rig.task.horizon / hz,
            "limit": rig.limit / hz,
            "folder": self.loop.session.album.out.name,
            "views": [
                {"name": c.name, "width": c.width, "height": c.height, "compass": ways}
                for c, ways in zip(rig.seat.cameras, rig.seat.compass, strict=True)
            ],
        }

    def _state(self, browser: Browser) -> dict[str, Any]:
        return {
            **self.loop.status.to_json(),
            "instruction": self.loop.instruction,
            "scene": self.loop.session.rig.scene,
            "held": self.loop.held,
            "rate": round(self.loop.rate, 1),
            "drives": browser is self.driver,
            "free": self.driver is None,
            "browsers": len(self.browsers),
        }

    async def _draw(self) -> None:
        """Draw the views again and again, with pauses as long as drawing takes."""
        clock = asyncio.get_running_loop().time
        rig = self.loop.session.rig
        while True:
            began = clock()
            if self.browsers or not self.frames:  # the first one warms up
                try:
                    self.frames = await asyncio.to_thread(rig.draw, self.loop.snapshot)
                except (ConnectionError, KeyError, ValueError) as error:
                    _log.error("the views can no longer be drawn: %s", error)
                    return
                self._frame += 1
            await asyncio.sleep(max(VIEW_S - (clock() - began), 0.25 * (clock() - began), 0.01))
