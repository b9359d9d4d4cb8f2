"""A policy server for any framework: the protocol of docs/serving.md, nothing of ArmTrials.

It needs msgpack, numpy and websockets. Give ``listening`` a ``Model`` and what the server says of
it; ``serve_lerobot.py`` beside this file does so for LeRobot.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgpack
import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

Array = NDArray[Any]
Message = dict[str, Any]

PROTOCOL, VERSION = "armtrials-policy", 1
MAX_MESSAGE = 2**28
"""Largest message that is read [bytes]."""
FATAL = ("version", "message")
"""Errors after which the server hangs up."""
PARTS = {"dtype", "shape", "data"}


class RefusalError(Exception):
    """An error to answer with: its code in the protocol, and what is wrong."""

    def __init__(self, code: str, text: str) -> None:
        """Refuse a message."""
        super().__init__(text)
        self.code = code


class Model(Protocol):
    """What is served.

    Attributes:
        shapes: by key of an observation, the shape of one; images (h, w, 3).
        n_obs: observation steps that it sees.
    """

    shapes: Mapping[str, tuple[int, ...]]
    n_obs: int

    def begin(self, instructions: Sequence[str], seeds: Sequence[int]) -> Any:  # noqa: ANN401
        """Return the state of new trials of one client; what is random follows from the seeds."""

    def act(self, obs: Mapping[str, Array], trials: Any) -> Array:  # noqa: ANN401
        """Return (trials, chunk, joints) absolute targets [rad], grippers 0..1.

        Args:
            obs: by key, (trials, n_obs, *shape): images uint8, everything else float32.
            trials: what ``begin`` returned; may be changed. Clients call this at the same time.
        """


def dtype_of(key: str) -> str:
    """Return the dtype of an observation: images uint8, everything else float32."""
    return "|u1" if key.startswith("images/") else "<f4"


def read(found: Message) -> Any:  # noqa: ANN401  (an array, or the map itself)
    """Return the array that a map of a message is, or the map; an object hook of msgpack."""
    if set(found) != PARTS:
        return found
    return np.frombuffer(found["data"], found["dtype"]).reshape(found["shape"])


def write(array: Array) -> Message:
    """Return an array as the map of a message, float32."""
    array = np.ascontiguousarray(array, "<f4")
    return {"dtype": "<f4", "shape": list(array.shape), "data": array.tobytes()}


class Session:
    """What one client asks, answered."""

    def __init__(self, model: Model, hello: Message) -> None:
        """Answer for ``model``, described by ``hello``: policy and server of the protocol."""
        self._model, self._hello = model, hello
        self._greeted, self._rows = False, 0
        self._trials: Any = None

    def answer(self, data: str | bytes) -> Message:
        """Return the answer to a message; one that is wrong is answered with an error."""
        number = None
        try:
            message = _unpacked(data)
            number = message.get("id")
            return {**self._do(message), "id": number}
        except RefusalError as refusal:
            return {"type": "error", "code": refusal.code, "text": str(refusal), "id": number}

    def _do(self, message: Message) -> Message:
        kind = message.get("type")
        if kind == "hello":
            return self._greet(message)
        if not self._greeted or kind not in ("reset", "act"):
            raise RefusalError("message", f"hello, then reset and act, must come, got {kind!r}")
        return self._reset(message) if kind == "reset" else self._act(message)

    def _greet(self, message: Message) -> Message:
        spoken = (message.get("protocol"), message.get("version"))
        if spoken != (PROTOCOL, VERSION):
            raise RefusalError("version", f"this is {PROTOCOL} version {VERSION}, got {spoken}")
        self._greeted = True
        said = {"protocol": PROTOCOL, "version": VERSION, "max_message": MAX_MESSAGE}
        return {"type": "hello", **said, **self._hello}

    def _reset(self, message: Message) -> Message:
        told, seeds = _items(message, "instructions", str), _items(message, "seeds", int)
        if not len(told) == len(seeds) > 0 or min(seeds) < 0:
            raise RefusalError("message", "reset must have a text and a seed from 0 for each trial")
        self._rows = 0
        self._trials = _trying(lambda: self._model.begin(told, seeds))
        self._rows = len(seeds)
        return {"type": "ready"}

    def _act(self, message: Message) -> Message:
        given = message.get("obs")
        if not self._rows or not isinstance(given, dict):
            raise RefusalError("message", "act must follow reset and carry obs, a map of arrays")
        obs = {key: self._checked(key, given.get(key)) for key in self._model.shapes}
        begun = time.perf_counter()
        actions = _trying(lambda: self._model.act(obs, self._trials))
        spent = round(1e3 * (time.perf_counter() - begun), 3)
        return {"type": "actions", "actions": write(actions), "inference_ms": spent}

    def _checked(self, key: str, found: object) -> Array:
        shape = (self._rows, self._model.n_obs, *self._model.shapes[key])
        wanted = f"{dtype_of(key)} {shape}"
        got = f"{found.dtype.str} {found.shape}" if isinstance(found, np.ndarray) else "no array"
        if not isinstance(found, np.ndarray) or got != wanted:
            raise RefusalError("observation", f"{key} must be {wanted}, got {got}")
        return found


def _items(message: Message, name: str, kind: type) -> list[Any]:
    values = message.get(name)
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise RefusalError("message", f"reset.{name} must be a list of {kind.__name__}")
    return values


def _unpacked(data: str | bytes) -> Message:
    try:
        message = msgpack.unpackb(data, object_hook=read)
    except Exception as error:  # msgpack and numpy raise a dozen kinds
        raise RefusalError("message", f"a message must be msgpack: {error!r}") from error
    if not isinstance(message, dict):
        raise RefusalError("message", f"a message must be a map, got {type(message).__name__}")
    return message


def _trying(work: Callable[[], Any]) -> Any:  # noqa: ANN401  (what ``work`` returns)
    """Let the model work; whatever it raises is told to the client."""
    try:
        return work()
    except Exception as error:
        raise RefusalError("policy", f"{type(error).__name__}: {error}") from error


def answers(session: Session, messages: Iterator[str | bytes]) -> Iterator[bytes]:
    """Answer message after message, until one breaks the rules."""
    for data in messages:
        answer = session.answer(data)
        yield msgpack.packb(answer)
        if answer.get("code") in FATAL:
            return


def listening(model: Model, hello: Message, host: str, port: int) -> Server:
    """Return a server on an address, port 0 for a free one; each client has trials of its own.

    Args:
        model: what acts.
        hello: ``policy`` and ``server`` of the protocol's hello.
        host: address to serve on. There is no password.
        port: port to serve on.

    Raises:
        OSError: the address cannot be served on.
    """

    def meet(connection: ServerConnection) -> None:
        try:
            for answer in answers(Session(model, hello), iter(connection)):
                connection.send(answer)
        except ConnectionClosed:
            pass

    return serve(
        meet,
        host,
        port,
        compression=None,
        max_size=MAX_MESSAGE,
        origins=[None],  # a page in a browser has no business here
        ping_timeout=None,  # it may be silent while it computes
    )


def address_of(server: Server) -> str:
    """Return the address that a client connects to."""
    host, port = server.socket.getsockname()[:2]
    return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
