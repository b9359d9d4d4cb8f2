"""The web server of a session of trials: one page, one WebSocket, on this machine alone.

It knows a session only by what it shows and takes (`Operated`), so nothing else can reach a
browser. One page operates, the others watch and may take over; each of them may stop the arm.
"""

import asyncio
import contextlib
import http
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from envs.errors import UsageError
from real.loopback import POLICY, SHARED, Files, file_response, is_local, listen, response
from real.operating.message import Answer, Hello, Message, Stop, Take, parse

PAGE = Path(__file__).parent / "page"
FILES: Files = {
    "/": (PAGE / "index.html", "text/html"),
    "/style.css": (PAGE / "style.css", "text/css"),
    "/operate.js": (PAGE / "operate.js", "text/javascript"),
    "/choices.js": (PAGE / "choices.js", "text/javascript"),
    **SHARED,
}
SOCKET, PICTURE, REPORT = "/socket", "/picture/", "/report"
PAGE_POLICY = f"{POLICY}; media-src blob:"
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data: blob:"
)
"""As the report's own: one file, nothing from elsewhere."""

MAX_MESSAGE = 4096  # bytes of a browser's message
MOST_BAD = 20  # malformed messages of one browser, then it is turned away
MOST_BROWSERS = 8
WAIT_S = 0.4  # for something new in the session, again and again [s]
PAUSE_S = 0.1  # before it is asked again, where nothing was new [s]
RATING = "rating"
"""The phase in which somebody else than the operator answers."""


class Shown(Protocol):
    """What there is to see at one moment, `benchmarks.session.view.View`."""

    @property
    def number(self) -> int:
        """Counts up with everything that happens."""

    @property
    def phase(self) -> str:
        """What is going on."""

    @property
    def operator(self) -> str:
        """Who operates; empty: nobody yet."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""


class Operated(Protocol):
    """A session, `benchmarks.session.view.Operated`."""

    def view(self) -> Shown:
        """Return what there is to see now."""

    def answer(
        self, name: str, value: str, who: str, text: str = "", number: int | None = None
    ) -> Shown:
        """Take an answer."""

    def stop(self, source: str) -> None:
        """Stop the arm."""

    def picture(self, name: str) -> bytes:
        """Return a picture or a film."""

    def wait(self, number: int, timeout_s: float) -> Shown:
        """Return the view once it is newer, or after the time."""


class Browser:
    """One browser: its connection, who sits there, how it has behaved."""

    def __init__(self, connection: ServerConnection) -> None:
        """Take a new connection."""
        self.connection = connection
        self.who = ""
        self.bad = 0

    async def say(self, **message: Any) -> None:  # noqa: ANN401  (JSON)
        """Send a message; a browser that has left hears nothing."""
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send(json.dumps(message, allow_nan=False))


class OperatorServer:
    """Serves the page and connects browsers to a session.

    The first browser operates. When it leaves, the next one that connects does, or a watcher
    takes over; a watcher may at any time, by asking for it.
    """

    def __init__(
        self, session: Operated, report: Callable[[], bytes | None] = lambda: None
    ) -> None:
        """Serve ``session``; ``report`` returns the page about it, once it is closed."""
        self.session, self.report = session, report
        self.browsers: set[Browser] = set()
        self.driver: Browser | None = None
        self._acting: set[asyncio.Task[None]] = set()
        self._view = session.view()
        # Who waits for an answer or a picture must not keep the stop waiting.
        self._work = ThreadPoolExecutor(4, "operating")
        self._stop = ThreadPoolExecutor(1, "stop")

    async def run(self, port: int, ready: Callable[[], None] = lambda: None) -> None:
        """Serve on loopback ``port`` (0: a free one) until cancelled.

        ``ready`` is called once the page can be opened.

        Raises:
            UsageError: the port is not free; or what ended the session.
        """
        limits = {"max_size": MAX_MESSAGE, "ping_timeout": 6}
        server = await listen(port, self._meet, self._answer, **limits)
        try:
            async with server:
                self.port = int(server.sockets[0].getsockname()[1])
                ready()
                await self._follow()
        finally:
            self._work.shutdown(wait=False, cancel_futures=True)
            self._stop.shutdown(wait=True)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://localhost:{self.port}/"

    async def _follow(self) -> None:
        """Tell every browser of every change."""
        running = asyncio.get_running_loop()
        while True:
            wait = partial(self.session.wait, self._view.number, WAIT_S)
            view = await running.run_in_executor(self._work, wait)
            if view != self._view and view.number >= self._view.number:
                self._view = view
                await self._tell_all()
            else:
                await asyncio.sleep(PAUSE_S)

    async def _tell_all(self) -> None:
        await asyncio.gather(*(self._tell(browser) for browser in tuple(self.browsers)))

    async def _tell(self, browser: Browser) -> None:
        await browser.say(type="view", view=self._view.to_json(), **self._role(browser))

    def _role(self, browser: Browser) -> Mapping[str, Any]:
        """Return who this browser is, and what goes with it."""
        return {
            "role": self._part(browser),
            "who": browser.who,
            "driver": self._view.operator or (self.driver.who if self.driver else ""),
            "watching": len(self.browsers) - (self.driver is not None),
            "now": time.time(),
            "report": self._view.phase == "closed",
        }

    def _part(self, browser: Browser) -> str:
        """Return ``operates``, ``rates`` (a second person), ``watches`` or ``free`` (nobody)."""
        if self._view.phase == RATING and browser.who not in ("", self._view.operator):
            return "rates"
        if browser is self.driver and self._view.operator in ("", browser.who):
            return "operates"
        return "free" if self.driver is None else "watches"

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Serve a file or a picture; let a WebSocket of our own page through; refuse the rest."""
        if not is_local(request.headers):
            return response(http.HTTPStatus.FORBIDDEN, b"only this machine may operate\n")
        path = request.path.partition("?")[0]
        if path == SOCKET:
            full = len(self.browsers) >= MOST_BROWSERS
            status = http.HTTPStatus.SERVICE_UNAVAILABLE
            return response(status, b"too many browsers\n") if full else None
        if path.startswith(PICTURE):
            return await self._picture(path.removeprefix(PICTURE))
        if path == REPORT and (page := await self._reported()):
            return response(http.HTTPStatus.OK, page, "text/html", REPORT_POLICY)
        return file_response(FILES, path, PAGE_POLICY)

    async def _reported(self) -> bytes | None:
        """Return the report; it names policies, so not before the session is closed."""
        if self._view.phase != "closed":
            return None
        return await asyncio.get_running_loop().run_in_executor(self._work, self.report)

    async def _picture(self, name: str) -> Response:
        running = asyncio.get_running_loop()
        try:
            data = await running.run_in_executor(self._work, self.session.picture, name)
        except UsageError:
            return response(http.HTTPStatus.NOT_FOUND, b"there is no such picture now\n")
        kind = "image/png" if data.startswith(b"\x89PNG") else "video/mp4"
        return response(http.HTTPStatus.OK, data, kind)

    async def _meet(self, connection: ServerConnection) -> None:
        """Look after one browser until it leaves."""
        browser = Browser(connection)
        self.browsers.add(browser)
        self.driver = self.driver or browser
        try:
            await self._tell_all()
            async for message in connection:
                if not await self._hear(browser, message):
                    break
        except ConnectionClosed:
            pass
        finally:
            self.browsers.discard(browser)
            if self.driver is browser:
                self.driver = None
            await self._tell_all()

    async def _hear(self, browser: Browser, text: str | bytes) -> bool:
        """Act on a message; return False where the browser has been turned away."""
        try:
            message = parse(text)
        except UsageError as error:
            browser.bad += 1
            if browser.bad >= MOST_BAD:
                await browser.connection.close(CloseCode.POLICY_VIOLATION, "too many bad messages")
                return False
            await browser.say(type="complaint", text=str(error))
            return True
        acting = asyncio.create_task(self._try(browser, message))
        self._acting.add(acting)  # not waited for: a stop may be the next message
        acting.add_done_callback(self._acting.discard)
        return True

    async def _try(self, browser: Browser, message: Message) -> None:
        try:
            await self._act(browser, message)
        except UsageError as error:
            await browser.say(type="complaint", text=str(error))

    async def _act(self, browser: Browser, message: Message) -> None:
        """Do what a message asks for.

        Raises:
            UsageError: the session refuses; nothing has happened.
        """
        running = asyncio.get_running_loop()
        match message:
            case Stop():
                source = f"page, {browser.who or 'nobody named'}"
                await running.run_in_executor(self._stop, self.session.stop, source)
                await browser.say(type="stopped")
            case Hello(who):
                browser.who = who
                await self._tell_all()
            case Take():
                await self._take(browser)
            case Answer(name, value, words, number):
                if not browser.who or self._part(browser) not in ("operates", "rates"):
                    raise UsageError("this page watches: take over first")
                given = partial(
                    self.session.answer, name, value, browser.who, text=words, number=number
                )
                self._seen(await running.run_in_executor(self._work, given))
                await self._tell_all()

    async def _take(self, browser: Browser) -> None:
        """Make a browser the one that operates; the session notes another operator."""
        if not browser.who:
            raise UsageError("whoever takes over says who it is: enter a name first")
        if self._view.operator not in ("", browser.who):
            given = partial(self.session.answer, "operator", "take over", browser.who)
            running = asyncio.get_running_loop()
            self._seen(await running.run_in_executor(self._work, given))
        self.driver = browser
        await self._tell_all()

    def _seen(self, view: Shown) -> None:
        """Keep the newest view."""
        if view.number >= self._view.number:
            self._view = view
