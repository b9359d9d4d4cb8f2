"""A policy that runs elsewhere: the client of a policy server (docs/serving.md)."""

import contextlib
import socket
import struct
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from policies.greeting import Greeting
from policies.wire import (
    ACTION,
    BUSY,
    MAX_MESSAGE,
    PROTOCOL,
    VERSION,
    VERSION_ERROR,
    WireError,
    check_array,
    decode,
    dtype_of,
    encode,
    shortened,
)

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

REMOTE = "remote:"
PATIENCE_S = 60.0
"""How long an answer, or the return of a server that is gone, is waited for [s]."""
RETRY_S = 0.25
SCHEMES = ("ws://", "wss://")
TOO_BIG = 1009
"""WebSocket close code: a message was too big to read."""


class PolicyGoneError(UsageError):
    """The server cannot be reached or does not answer: nothing follows for the policy."""


class PolicyAwayError(PolicyGoneError):
    """The server was waited for and has not come back: to try once more is of no use."""


class ServedPolicyError(RuntimeError):
    """The policy failed on the server; the message is the server's."""


class Line:
    """One connection to a server: a question, an answer."""

    def __init__(self, address: str, patience: float) -> None:
        """Connect and greet.

        Raises:
            PolicyGoneError: nobody answers, or the server is busy.
            UsageError: the address cannot be one, or the server speaks another version.
        """
        self.address, self.patience = address, patience
        self._asked = 0
        self._limit = MAX_MESSAGE
        self._open = contextlib.ExitStack()
        self._connection = _connect(address, patience, self._open)
        try:
            hello = self.ask({"type": "hello", "protocol": PROTOCOL, "version": VERSION}, "hello")
            self.greeting = Greeting.read(hello, f"the server at {address}")
        except BaseException as error:
            self.close()
            if isinstance(error, WireError | ServedPolicyError):
                raise UsageError(f"{address} is no policy server: {error}") from error
            raise
        self._limit = self.greeting.max_message

    def ask(self, message: Mapping[str, Any], answer: str) -> dict[str, Any]:
        """Send a message and return the answer, of type ``answer``.

        Raises:
            PolicyGoneError: the connection was lost, or no answer came within the patience.
            UsageError: the message is larger than the server reads, or it speaks another version.
            WireError: the answer is not one that the protocol allows.
            ServedPolicyError: the server answered with an error.
        """
        self._asked += 1
        data = encode({**message, "id": self._asked})
        if len(data) > self._limit:
            raise UsageError(_too_large(self.address, len(data), self._limit))
        found = decode(self._exchange(data))
        if found["type"] == "error":
            raise self._refused(found)
        if found["type"] != answer or found.get("id") != self._asked:
            told = f"{found['type']} {found.get('id')}"
            raise WireError(f"the answer must be {answer} {self._asked}, got {told}")
        return found

    def _exchange(self, data: bytes) -> bytes | str:
        from websockets.exceptions import ConnectionClosed

        try:
            self._connection.send(data)
            answer: bytes | str = self._connection.recv(timeout=self.patience)
        except TimeoutError:
            raise PolicyGoneError(
                f"the server at {self.address} did not answer within {self.patience:g} s"
            ) from None
        except (ConnectionClosed, OSError) as error:
            received, sent = getattr(error, "rcvd", None), getattr(error, "sent", None)
            if received is not None and received.code == TOO_BIG:
                raise UsageError(_too_large(self.address, len(data), None)) from None
            if received is None and sent is not None and sent.code == TOO_BIG:
                raise WireError(f"the answer is larger than {MAX_MESSAGE} bytes") from None
            lost = f"the connection to the server at {self.address} was lost ({error})"
            raise PolicyGoneError(lost) from None
        return answer

    def _refused(self, found: Mapping[str, Any]) -> Exception:
        code, text = str(found.get("code")), shortened(str(found.get("text")), 500)
        if code == VERSION_ERROR:
            return UsageError(f"the server at {self.address} refused: {text}")
        if code == BUSY:
            return PolicyGoneError(
                f"the server at {self.address} serves another client: use --workers 1, or wait"
            )
        return ServedPolicyError(f"on the server: {text}")

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(Exception):
            self._open.close()


def _connect(address: str, patience: float, stack: contextlib.ExitStack) -> "ClientConnection":
    """Connect to a server until ``stack`` is closed."""
    from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException
    from websockets.sync.client import connect

    if not address.startswith(SCHEMES):
        raise UsageError(f"a server's address is ws://HOST:PORT, got {address!r}")
    try:
        connection = stack.enter_context(
            connect(
                address,
                compression=None,
                max_size=MAX_MESSAGE,
                open_timeout=min(patience, 10),
                close_timeout=1,
                ping_interval=None,  # a server may be silent while it computes
                proxy=None,
            )
        )
    except (InvalidURI, ValueError) as error:
        raise UsageError(f"a server's address is ws://HOST:PORT, got {address!r}") from error
    except InvalidHandshake as error:
        raise PolicyGoneError(f"{address} does not take WebSockets: {error}") from error
    except (OSError, WebSocketException) as error:
        raise PolicyGoneError(
            f"no policy server answers at {address} ({error}): start one there with "
            "armtrials serve --policy DIR"
        ) from error
    limit = struct.pack("ll", int(patience) + 1, 0)  # a server that reads nothing is gone, too
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    return connection


def _too_large(address: str, size: int, limit: int | None) -> str:
    most = "" if limit is None else f" {limit / 2**20:.3g} MiB"
    return (
        f"observations of {size / 2**20:.3g} MiB are too large for the server at {address}, it "
        f"reads{most or ' less'}: use a smaller --batch, or serve with a larger --max-message"
    )


class RemotePolicy:
    """A policy on a server. It connects anew for new trials where the connection was lost.

    Attributes:
        name, spec: as the server says.
        entry: what a manifest says of the policy.
        inference_ms: time the server took for the last chunk, as it says [ms]; None if it does not.
    """

    def __init__(self, address: str, patience: float = PATIENCE_S) -> None:
        """Ask the server at ``address`` (ws://host:port) what it serves, and hang up again.

        Raises:
            UsageError: nobody answers there, or not as docs/serving.md says.
        """
        if not patience > 0:
            raise UsageError(f"patience must be positive, got {patience}")
        self.address, self.patience = address, patience
        line = Line(address, patience)
        line.close()
        self.greeting = line.greeting
        self.name, self.spec = str(line.greeting.entry["name"]), line.greeting.spec
        self.entry = line.greeting.entry
        self.inference_ms: float | None = None
        self._line: Line | None = None
        self._rows = 0

    def check_batch(self, rows: int) -> None:
        """Refuse, with ``UsageError``, more trials at once than the server acts for."""
        most = self.greeting.max_batch
        if most is not None and rows > most:
            raise UsageError(
                f"the server at {self.address} acts for at most {most} at once, got {rows}: "
                f"use --batch {most}"
            )

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials, one a seed; a server that is gone is waited for.

        Raises:
            PolicyAwayError: it has not come back within the patience.
            PolicyGoneError: it is there and answers with an error, or with what is no answer.
            UsageError: it came back with another policy, or cannot act for so many.
        """
        self.check_batch(len(seeds))
        message = {
            "type": "reset",
            "instructions": [str(text) for text in instructions],
            "seeds": [int(seed) for seed in seeds],
        }
        deadline = time.monotonic() + self.patience
        while True:
            try:
                self._ask(message, "ready")
                break
            except PolicyGoneError as gone:
                if time.monotonic() + RETRY_S > deadline:
                    raise PolicyAwayError(
                        f"{gone}; it has not come back within {self.patience:g} s. What was "
                        "completed is kept: start the server and run the same command again"
                    ) from gone
                time.sleep(RETRY_S)
            except (ServedPolicyError, WireError) as error:
                told = f"the server at {self.address} did not begin the trials: {error}"
                raise PolicyGoneError(told) from error
        self._rows = len(seeds)

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return chunks (batch, chunk, n) float32, as the server gives them; NaN included.

        Raises:
            PolicyGoneError: the connection was lost, and with it the state of these trials.
            ServedPolicyError: the policy failed on the server.
            WireError: what came back is no chunk of the spec's shape and float32.
        """
        if self._line is None:
            raise PolicyGoneError(f"the connection to the server at {self.address} was lost")
        sent = {
            key: np.ascontiguousarray(obs[key], dtype_of(key)) for key in self.spec.observations
        }
        found = self._ask({"type": "act", "obs": sent}, "actions")
        told = found.get("inference_ms")
        self.inference_ms = float(told) if isinstance(told, int | float) else None
        shape = (self._rows, self.spec.chunk, self.spec.n)
        return check_array(found.get("actions"), "actions of the server", shape, ACTION)

    def _ask(self, message: Mapping[str, Any], answer: str) -> dict[str, Any]:
        """Ask on the line there is, or on a new one; after any trouble there is none."""
        line = self._line or self._open()
        try:
            return line.ask(message, answer)
        except ServedPolicyError:
            raise
        except BaseException:
            self.close()
            raise

    def _open(self) -> Line:
        line = Line(self.address, self.patience)
        if line.greeting != self.greeting:
            line.close()
            raise UsageError(
                f"the server at {self.address} now serves another policy or is of another version "
                f"({line.greeting.entry['name']}): serve the one that the run began with"
            )
        self._line = line
        self._hang_up = weakref.finalize(self, line.close)
        return line

    def close(self) -> None:
        """Hang up; the next ``reset`` connects again."""
        if self._line is not None:
            self._line = None
            self._hang_up()
