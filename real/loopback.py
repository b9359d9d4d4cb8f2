"""What the web servers of this machine share: who may ask, and how a file is answered."""

import errno
import http
import logging
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Response

from envs.errors import UsageError

HOST = "127.0.0.1"
LOCAL = ("localhost", "127.0.0.1", "::1")
POLICY = "default-src 'self'; img-src 'self' blob:; connect-src 'self'"

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
