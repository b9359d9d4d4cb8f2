"""A policy server: any policy behind a WebSocket, for any number of clients (docs/serving.md)."""

import asyncio
import copy
import errno
import logging
import platform
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from envs.arm import Array
from envs.errors import UsageError
from policies.base import Policy
from policies.checkpoint import manifest_entry
from policies.configs import to_json
from policies.trained import LearnedPolicy, TrainedPolicy
from policies.wire import (
    ACTION,
    MAX_MESSAGE,
    MESSAGE,
    OBSERVATION,
    POLICY,
    PROTOCOL,
    VERSION,
    VERSION_ERROR,
    WireError,
    check_array,
    decode,
    dtype_of,
    encode,
    field,
    items,
    shortened,
)

Answer = dict[str, Any]

_log = logging.getLogger(__name__)
_quiet = logging.getLogger(f"{__name__}.connections")
_quiet.setLevel(logging.CRITICAL)  # a client that opens a connection and leaves is no news

FATAL = (VERSION_ERROR, MESSAGE)
"""Errors after which the server hangs up."""


class RefusalError(Exception):
    """An error to answer with: its code and what is wrong."""

    def __init__(self, code: str, text: str) -> None:
        """Refuse a message."""
        super().__init__(text)
        self.code = code


def fork(policy: Policy) -> Policy:
    """Return a policy with the state of its trials apart and the weights shared."""
    own = copy.copy(policy)
    if isinstance(own, TrainedPolicy):
        own.algorithm = copy.copy(own.algorithm)
    return own


class Session:
    """What one client does with its own copy of the policy."""

    def __init__(self, policy: Policy, hello: Mapping[str, Any]) -> None:
        """Serve ``policy``, described by ``hello``."""
        self._policy, self._hello = fork(policy), hello
        self._greeted, self._rows = False, 0

    def answer(self, data: str | bytes) -> Answer:
        """Return the answer to a message; a message that is wrong is answered with an error."""
        number: object = None
        try:
            message = decode(data)
            number = message.get("id")
            return {**self._do(message), "id": number}
        except RefusalError as refusal:
            error = {"code": refusal.code, "text": str(refusal)}
        except WireError as wrong:
            error = {"code": MESSAGE, "text": str(wrong)}
        return {"type": "error", **error, "id": number}

    def _do(self, message: Mapping[str, Any]) -> Answer:
        kind = message["type"]
        if kind == "hello":
            return self._greet(message)
        if kind not in ("reset", "act"):
            raise WireError(f"unknown message {shortened(kind, 40)!r}; known: hello, reset, act")
        if not self._greeted:
            raise WireError(f"the first message must be hello, got {kind}")
        return self._reset(message) if kind == "reset" else self._act(message)

    def _greet(self, message: Mapping[str, Any]) -> Answer:
        spoken = (message.get("protocol"), message.get("version"))
        if spoken != (PROTOCOL, VERSION):
            raise RefusalError(
                VERSION_ERROR,
                f"the client speaks {spoken[0]} version {spoken[1]}, this is {PROTOCOL} version "
                f"{VERSION}",
            )
        self._greeted = True
        return {"type": "hello", **self._hello}

    def _reset(self, message: Mapping[str, Any]) -> Answer:
        instructions, seeds = items(message, "instructions", str), items(message, "seeds", int)
        if not seeds or len(instructions) != len(seeds) or min(seeds) < 0:
            raise WireError(
                "reset must have as many instructions as seeds, at least one, and no seed below 0"
            )
        self._rows = 0
        self._try(lambda: self._policy.reset(instructions, seeds))
        self._rows = len(seeds)
        return {"type": "ready"}

    def _act(self, message: Mapping[str, Any]) -> Answer:
        if not self._rows:
            raise WireError("act must follow reset")
        obs = self._observed(field(message, "obs", dict))
        begin = time.perf_counter()
        chunk = self._try(lambda: np.asarray(self._policy.act(obs), ACTION))
        spent = 1e3 * (time.perf_counter() - begin)
        return {"type": "actions", "actions": chunk, "inference_ms": round(spent, 3)}

    def _observed(self, given: Mapping[str, Any]) -> dict[str, Array]:
        """Return the observations that the policy reads, checked."""
        spec = self._policy.spec
        try:
            return {
                key: check_array(
                    given.get(key), f"obs {key}", (self._rows, spec.n_obs, *shape), dtype_of(key)
                )
                for key, shape in spec.observations.items()
            }
        except WireError as error:
            raise RefusalError(OBSERVATION, str(error)) from error

    def _try(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401  (what ``work`` returns)
        """Let the policy work; whatever it raises is told to the client."""
        try:
            return work()
        except Exception as error:
            _log.exception("the policy failed")
            raise RefusalError(POLICY, f"{type(error).__name__}: {error}") from error


class PolicyServer:
    """Serves one policy. Each client has trials of its own; they take turns at the network.

    Attributes:
        policy: what is served.
        max_message: largest message that is read [bytes].
        hello: what clients are told.
        served: chunks computed so far.
    """

    def __init__(self, policy: Policy, max_message: int = MAX_MESSAGE) -> None:
        """Serve ``policy`` to clients whose messages have at most ``max_message`` bytes."""
        self.policy, self.max_message = policy, max_message
        self.served = 0
        self.hello = describe(policy, max_message)

    async def run(
        self, host: str, port: int, ready: Callable[[str], None] = lambda address: None
    ) -> None:
        """Serve until cancelled; ``ready`` is called with the address.

        Raises:
            UsageError: the address cannot be served on.
        """
        with ThreadPoolExecutor(1, "inference") as self._worker:
            try:
                server = await serve(
                    self._meet,
                    host,
                    port,
                    max_size=self.max_message,
                    max_queue=2,
                    compression=None,
                    origins=[None],  # a page in a browser has no business here
                    ping_timeout=60,
                    close_timeout=1,
                    logger=_quiet,
                )
            except OSError as error:
                raise UsageError(_unservable(host, port, error)) from error
            async with server:
                bound = server.sockets[0].getsockname()
                name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
                ready(f"ws://{name}:{bound[1]}")
                await asyncio.get_running_loop().create_future()

    async def _meet(self, connection: ServerConnection) -> None:
        """Answer one client until it leaves or breaks the rules."""
        session, loop = Session(self.policy, self.hello), asyncio.get_running_loop()
        try:
            async for data in connection:
                answer = await loop.run_in_executor(self._worker, session.answer, data)
                self.served += answer["type"] == "actions"
                await connection.send(encode(answer))
                if answer.get("code") in FATAL:
                    _log.warning("a client was turned away: %s", answer["text"])
                    await connection.close(CloseCode.POLICY_VIOLATION, "see the error")
                    break
        except ConnectionClosed:
            pass


def _unservable(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; choose another with --port"
    return f"cannot serve on {host} port {port}: {error.strerror or error}"


def describe(policy: Policy, max_message: int = MAX_MESSAGE) -> Answer:
    """Return what the server says in its hello: what it serves, with which software."""
    hashes = getattr(policy, "hashes", None) or {"weights": "unknown"}
    told = {"name": policy.name, "hashes": hashes}
    if isinstance(policy, LearnedPolicy) and policy.provenance:
        told = manifest_entry(policy)
    software = {name: _version(name) for name in ("armtrials", "torch", "numpy")}
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    return {
        "protocol": PROTOCOL,
        "version": VERSION,
        "policy": {**told, "spec": to_json(policy.spec)},
        "server": {**software, **machine},
        "max_message": max_message,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
