"""Browsers that behave badly, or leave: the arm is held and the others go on."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from envs.errors import UsageError
from real.teleop import server as module
from real.teleop.server import MOST_BAD, TeleopServer
from tests.real.served import SECONDS, served

STILL: dict[str, Any] = {"type": "hand", "move": [0, 0, 0], "turn": [0, 0, 0], "slow": True}
AWAY = {**STILL, "move": [0.2, 0, 0]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeleopServer]:
    with served(tmp_path_factory.mktemp("teleop") / "data") as running:
        yield running


def wait(condition: Callable[[], Any]) -> Any:
    """Wait until ``condition`` holds and return its value."""
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return value


@contextlib.contextmanager
def browser(server: TeleopServer) -> Iterator[ClientConnection]:
    """Connect as the page does."""
    address, before = f"ws://localhost:{server.port}/socket", len(server.browsers)
    with connect(address, origin=server.address.rstrip("/"), max_size=None) as connection:
        yield connection
    wait(lambda: len(server.browsers) <= before)


def state(connection: ClientConnection, **wanted: Any) -> dict[str, Any]:
    """Return the first state in which all of ``wanted`` holds."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        message = connection.recv(SECONDS)
        if isinstance(message, str):
            read: dict[str, Any] = json.loads(message)
            if read["type"] == "state" and all(read[k] == v for k, v in wanted.items()):
                return read
    raise AssertionError(f"no state with {wanted}")


def said(connection: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        message = connection.recv(SECONDS)
        if isinstance(message, str) and (read := json.loads(message))["type"] == kind:
            return dict(read)


def drive(connection: ClientConnection, server: TeleopServer, steps: int = 5) -> None:
    """Move the arm until ``steps`` more control periods are recorded."""
    connection.send(json.dumps(STILL))
    wait(lambda: not server.loop.held)
    time.sleep(0.05)
    goal = server.loop.status.steps + steps
    while server.loop.status.steps < goal:
        connection.send(json.dumps(AWAY))
        time.sleep(0.02)


def held_still(server: TeleopServer) -> bool:
    """Wait until the arm is held; tell whether it stays where it is."""
    wait(lambda: server.loop.held)
    before = server.loop.session.rig.observation["qpos"].copy()
    steps = server.loop.status.steps
    time.sleep(0.3)
    after = server.loop.session.rig.observation["qpos"]
    return np.array_equal(before, after) and server.loop.status.steps == steps


def test_the_page_and_its_files_are_served_and_nothing_else(server: TeleopServer) -> None:
    for path, (_, kind) in module.FILES.items():
        http = HTTPConnection("127.0.0.1", server.port)
        http.request("GET", path)
        answer = http.getresponse()
        assert answer.status == 200
        assert answer.getheader("Content-Type", "").startswith(kind)
        assert answer.read()
        http.close()
    for path in ("/../session.py", "/page", "/etc/passwd", "//x"):
        http = HTTPConnection("127.0.0.1", server.port)
        http.request("GET", path)
        assert http.getresponse().status == 404
        http.close()


@pytest.mark.parametrize(
    ("origin", "host"),
    [("http://evil.example", None), ("null", None), ("http://localhost:1", None),
     ("http://evil.example", "evil.example"), (None, "evil.example")],
)  # fmt: skip
def test_a_page_of_somebody_else_cannot_drive(
    server: TeleopServer, origin: str | None, host: str | None
) -> None:
    headers = {} if host is None else {"Host": host}
    if host is None:
        with (
            pytest.raises(InvalidStatus, match="403"),
            connect(f"ws://localhost:{server.port}/socket", origin=origin),  # type: ignore[arg-type]
        ):
            pass
        return
    http = HTTPConnection("127.0.0.1", server.port)
    http.request("GET", "/", headers=headers)
    assert http.getresponse().status == 403
    http.close()


def test_the_second_browser_watches_and_takes_the_controls_when_they_are_free(
    server: TeleopServer,
) -> None:
    with browser(server) as second_later:
        state(second_later, drives=True)
        with browser(server) as watcher:
            seen = state(watcher, drives=False, free=False)
            assert seen["browsers"] == 2
            watcher.send(json.dumps(STILL))
            watcher.send(json.dumps(AWAY))
            watcher.send(json.dumps({"type": "press", "key": "gripper"}))
            watcher.send(json.dumps({"type": "press", "key": "take"}))
            for _ in range(5):
                seen = state(watcher)
            assert (seen["phase"], seen["drives"], seen["closing"]) == ("ready", False, False)
            second_later.close()
            state(watcher, drives=False, free=True)
            watcher.send(json.dumps({"type": "press", "key": "take"}))
            state(watcher, drives=True)
            drive(watcher, server, 2)
            watcher.send(json.dumps({"type": "press", "key": "reset"}))
            state(watcher, phase="ready")


def test_a_driver_that_leaves_holds_the_arm_and_goes_on_when_back(server: TeleopServer) -> None:
    with browser(server) as first:
        drive(first, server)
        first.socket.close()  # no goodbye, as where the network is cut
    assert held_still(server)
    wait(lambda: server.driver is None)
    with browser(server) as again:
        seen = state(again, drives=True)
        assert (seen["phase"], seen["held"]) == ("recording", True)
        before = server.loop.status.steps
        drive(again, server, 3)
        assert server.loop.status.steps >= before + 3
        again.send(json.dumps({"type": "press", "key": "reset"}))
        state(again, phase="ready")


def test_a_driver_that_falls_silent_holds_the_arm(server: TeleopServer) -> None:
    with browser(server) as connection:
        drive(connection, server)
        assert held_still(server)
        state(connection, held=True)
        connection.send(json.dumps({"type": "press", "key": "reset"}))
        state(connection, phase="ready")


@pytest.mark.parametrize(
    "nonsense",
    ['{"type":"hand","move":[NaN,0,0],"turn":[0,0,0]}', json.dumps({**STILL, "move": [None, 0, 0]}),
     '{"type":"hand","move":[1e999,0,0],"turn":[0,0,0]}', "not json", b"\x00\xff"],
)  # fmt: skip
def test_a_driver_that_sends_no_numbers_holds_the_arm_and_is_told(
    server: TeleopServer, nonsense: str | bytes
) -> None:
    with browser(server) as connection:
        drive(connection, server)
        connection.send(nonsense)
        assert "must be" in said(connection, "complaint")["text"]
        assert held_still(server)
        drive(connection, server, 2)
        connection.send(json.dumps({"type": "press", "key": "reset"}))
        state(connection, phase="ready")


def closed(connection: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the server closes; return its code and reason."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            connection.recv(SECONDS)
    return connection.close_code, connection.close_reason


def test_a_driver_that_sends_only_nonsense_is_turned_away(server: TeleopServer) -> None:
    with browser(server) as connection:
        for _ in range(MOST_BAD):
            connection.send("nonsense")
        assert closed(connection) == (1008, "too many bad messages")
    wait(lambda: server.driver is None)


def test_a_driver_that_floods_is_turned_away_and_the_arm_held(
    server: TeleopServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_MESSAGES", 60)  # a busy machine takes no more
    with browser(server) as other, browser(server) as watcher:
        drive(other, server)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(600):
                other.send(json.dumps(AWAY))
        assert closed(other) == (1008, "more than 60 messages a second")
        assert held_still(server)
        state(watcher, free=True)
        watcher.send(json.dumps({"type": "press", "key": "take"}))
        watcher.send(json.dumps({"type": "press", "key": "reset"}))
        state(watcher, phase="ready")


def test_what_arrives_at_once_after_a_stall_is_no_flood(server: TeleopServer) -> None:
    with browser(server) as connection:
        state(connection, drives=True)
        for _ in range(500):  # ten seconds of a page
            connection.send(json.dumps(STILL))
        for _ in range(3):
            assert state(connection)["drives"]
    wait(lambda: server.driver is None)


def test_a_message_that_is_too_long_ends_the_connection(server: TeleopServer) -> None:
    with browser(server) as connection:
        connection.send("[" + "0," * module.MAX_MESSAGE)
        assert closed(connection)[0] == 1009
    wait(lambda: server.driver is None)


def test_too_many_browsers_are_refused(
    server: TeleopServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BROWSERS", 1)
    with (
        browser(server) as only,
        pytest.raises(InvalidStatus, match="503"),
        browser(server),
    ):
        state(only, drives=True)


def test_the_views_arrive_as_pictures(server: TeleopServer) -> None:
    with browser(server) as connection:
        views = said(connection, "hello")["views"]
        assert [view["name"] for view in views] == ["view", "overhead", "wrist"]
        seen = set()
        while len(seen) < len(views):
            message = connection.recv(SECONDS)
            if isinstance(message, bytes):
                assert message[1:3] == b"\xff\xd8"
                seen.add(message[0])


def test_a_port_in_use_is_told(server: TeleopServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"port {server.port} is in use; choose another"):
        asyncio.run(TeleopServer(server.loop).run(server.port))


def test_an_error_of_the_loop_ends_the_server(tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise UsageError("recording stopped: the disk is full")

    def drive_until_it_ends() -> None:
        with served(tmp_path / "data") as own, browser(own) as connection:
            own.loop.session.album.record = full  # type: ignore[method-assign,assignment]
            with contextlib.suppress(ConnectionClosed):
                drive(connection, own)
            assert closed(connection)[0] == 1001

    with pytest.raises(UsageError, match="recording stopped"):
        drive_until_it_ends()
