"""Policy servers for tests: ours in a thread, and one that does whatever a test wants."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from envs.arm import Array
from policies.base import Policy, PolicySpec
from policies.configs import to_json
from policies.serve import PolicyServer
from policies.wire import PROTOCOL, VERSION, decode, encode

SECONDS = 30.0  # to wait for anything

Message = dict[str, Any]

JOINTS = ("a", "b", "gripper")
SPEC = PolicySpec(
    "toy", JOINTS, 50.0, "toy", "pixels", {"qpos": (3,), "images/top": (4, 5, 3)}, 2, 6, 3
)
HELLO = {"type": "hello", "protocol": PROTOCOL, "version": VERSION, "id": 1}
PATIENCE = 5.0


class Counting:
    """Says how often it was asked since its reset, in which row, and from which seed."""

    name, spec = "counting", SPEC

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        self.told, self.seeds, self.calls = list(instructions), np.array(seeds), 0

    def act(self, obs: Mapping[str, Array]) -> Array:
        self.calls += 1
        if self.told[0] == "fail":
            raise RuntimeError("no idea")
        qpos = obs["qpos"][:, -1]
        assert obs["images/top"].dtype == np.uint8
        chunk = np.repeat(qpos[:, None], SPEC.chunk, axis=1)
        chunk[:, 0, 0], chunk[:, 0, 1] = self.calls, self.seeds
        return chunk.astype(np.float64)  # a server sends float32 whatever the policy gives


def seen(rows: int = 2) -> dict[str, Array]:
    return {
        "qpos": np.arange(rows * 6, dtype=np.float32).reshape(rows, 2, 3),
        "images/top": np.full((rows, 2, 4, 5, 3), 7, np.uint8),
    }


class Serving(threading.Thread):
    """Our server's event loop in a thread."""

    def __init__(self, policy: Policy, port: int = 0, **options: Any) -> None:
        super().__init__(daemon=True)
        self.server, self.port = PolicyServer(policy, **options), port
        self.address, self._ready = "", threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self.server.run("127.0.0.1", self.port, self._tell))
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    def _tell(self, address: str) -> None:
        self.address = address
        self._ready.set()

    def begin(self) -> "Serving":
        self.start()
        assert self._ready.wait(SECONDS)
        return self

    def end(self) -> None:
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self.join(SECONDS)


@contextmanager
def served(policy: Policy, **options: Any) -> Iterator[Serving]:
    """Serve ``policy`` with our server."""
    serving = Serving(policy, **options).begin()
    try:
        yield serving
    finally:
        serving.end()


class Hangup(Exception):  # noqa: N818
    """Close the connection instead of answering."""


Reply = Callable[[Message, PolicySpec], bytes | str | Message]


def rows_of(message: Message) -> int:
    return len(next(iter(message["obs"].values())))


def usual(message: Message, spec: PolicySpec) -> Message:
    """Answer as a well-behaved server does: zeros."""
    if message["type"] == "hello":
        return {
            "type": "hello",
            "protocol": PROTOCOL,
            "version": VERSION,
            "policy": {"name": "theirs", "spec": to_json(spec), "hashes": {"weights": "v1"}},
            "server": {"software": "theirs 2"},
        }
    if message["type"] == "reset":
        return {"type": "ready"}
    shape = (rows_of(message), spec.chunk, spec.n)
    return {"type": "actions", "actions": np.zeros(shape, "<f4"), "inference_ms": 1.5}


def changed(of: str, **entries: Any) -> Reply:
    """Answer as usual, with other entries in the answer to messages of type ``of``."""

    def reply(message: Message, spec: PolicySpec) -> Message:
        answer = usual(message, spec)
        return {**answer, **entries} if message["type"] == of else answer

    return reply


@contextmanager
def foreign(spec: PolicySpec, reply: Reply = usual, port: int = 0) -> Iterator[str]:
    """Serve what ``reply`` makes of each message; yields the address."""

    def meet(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed, Hangup):
            for data in connection:
                message = decode(data)
                answer = reply(message, spec)
                if isinstance(answer, Mapping):
                    answer = encode({"id": message["id"], **answer})
                connection.send(answer)

    quiet = logging.getLogger("foreign")
    quiet.setLevel(logging.CRITICAL)
    with serve(meet, "127.0.0.1", port, compression=None, max_size=None, logger=quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(SECONDS)
