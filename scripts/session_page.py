"""A session on a page in the browser, and the report of a closed one."""

import asyncio
import contextlib
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from scripts.options import RESULTS
from scripts.session_lock import say

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from benchmarks.session.session import Session

PORT = 8766
OTHERS = (Path("results"), RESULTS)
"""Where simulated trials of the policies are looked for, beside the session's own results."""


def operate_page(session: "Session", port: int, folder: Path) -> None:
    """Serve the page of a session until Ctrl-C.

    Raises:
        UsageError: the port is not free, or what ended the session's work.
    """
    from envs.errors import UsageError
    from real.operating.server import OperatorServer

    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be 0..65535, got {port}")
    made = threading.Lock()

    def report() -> bytes:
        with made:
            path = folder / "report.html"
            return (path if path.is_file() else report_of(folder)).read_bytes()

    server = OperatorServer(session, report)

    def ready() -> None:
        say(f"The session's page: {server.address}, for this machine alone; a tablet reaches it "
            "through a forwarded port. Ctrl-C ends it, and the same command goes on.")  # fmt: skip

    asyncio.run(_until_ended(server.run(port, ready)))
    session.raise_failure()


async def _until_ended(serving: "Coroutine[None, None, None]") -> None:
    """Serve until a signal asks for the end."""
    task = asyncio.create_task(serving)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def report_of(folder: Path, results: tuple[Path, ...] = (), out: Path | None = None) -> Path:
    """Write the report of a closed session; return its path.

    Args:
        folder: of the session.
        results: folders of sealed runs in which simulated trials are looked for; none: the usual.
        out: folder of the page; None: the session's.
    """
    from benchmarks.report.session_page import write_session
    from benchmarks.session.closing import read_closed

    closed = read_closed(folder)
    own = Path(closed.lock["terms"]["results"])
    return write_session(closed, (own, *(results or OTHERS)), out or folder)


@dataclass(frozen=True)
class Report:
    """Make the report of a closed session: one page, from its files and sealed runs."""

    folder: Positional[Path] = Path("session")
    """Folder of the session."""
    results: tuple[Path, ...] = ()
    """Folders with sealed simulated runs of the policies; default: results and evaluations."""
    out: Path | None = None
    """Folder of the page; default: the session's."""

    def run(self) -> int:
        """Write it; return 0."""
        say(f"report: {report_of(self.folder, self.results, self.out)}")
        return 0
