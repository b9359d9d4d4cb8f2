"""What the web servers of this machine share: who may ask, how a file is answered, how it looks."""

import errno
import http
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from envs.errors import UsageError

HOST = "127.0.0.1"
LOCAL = ("localhost", "127.0.0.1", "::1")
POLICY = "default-src 'self'; img-src 'self' blob:; connect-src 'self'"

PAGE = Path(__file__).parent / "page"
Files = Mapping[str, tuple[Path, str]]
"""File and media type by path."""

SHARED: Files = {
    "/palette.css": (PAGE / "palette.css", "text/css"),
    "/mark.svg": (PAGE / "mark.svg", "image/svg+xml"),
}
"""Of every page."""

Answer = Callable[[ServerConnection, Request], Awaitable[Response | None] | Response | None]

quiet = logging.getLogger(f"{__name__}.connections")
quiet.setLevel(logging.CRITICAL)  # a browser that opens a connection and leaves is no news


def is_local(headers: Headers) -> bool:
    """Tell whether a request is for this machine and, where a page made it, by our own page.

    A page of another origin must not drive the arm, whatever name it reached us by.
    """
    host = headers.get("Host", "")
    origin = headers.get("Origin")
    named = urlsplit(f"//{host}").hostname in LOCAL
    return named and (origin is None or urlsplit(origin).netloc == host)


async def listen(
    port: int,
    meet: Callable[[ServerConnection], Awaitable[None]],
    answer: Answer,
    **limits: Any,  # noqa: ANN401  (of websockets)
) -> Server:
    """Serve on loopback.

    Args:
        port: 0 takes a free one.
        meet: looks after a browser.
        answer: returns a file, or None for what opens a WebSocket.
        limits: what differs from server to server, such as ``max_size``.

    Raises:
        UsageError: the port is not free.
    """
    try:
        return await serve(
            meet,
            HOST,
            port,
            process_request=answer,
            compression=None,
            ping_interval=2,
            close_timeout=1,
            logger=quiet,
            **limits,
        )
    except OSError as error:
        raise unusable(port, error) from error


def file_response(files: Files, path: str, policy: str = POLICY) -> Response:
    """Return one of ``files``, or that there is no such page."""
    if path not in files:
        return response(http.HTTPStatus.NOT_FOUND, b"there is no such page\n")
    file, kind = files[path]
    return response(http.HTTPStatus.OK, file.read_bytes(), kind, policy)


def response(
    status: http.HTTPStatus, body: bytes, kind: str = "text/plain", policy: str = POLICY
) -> Response:
    """Return an answer over HTTP.

    Args:
        status: of it.
        body: its bytes.
        kind: media type; texts are UTF-8.
        policy: what the page may load.
    """
    charset = "; charset=utf-8" if kind.startswith(("text/", "image/svg")) else ""
    headers = Headers(
        {
            "Content-Type": f"{kind}{charset}",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, body)


def unusable(port: int, error: OSError) -> UsageError:
    """Return what to tell where a port cannot be listened on."""
    taken = "is in use" if error.errno == errno.EADDRINUSE else f"failed: {error.strerror}"
    return UsageError(f"port {port} {taken}; choose another with --port")
