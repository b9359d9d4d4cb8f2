"""A whole session through the operator's page, and every byte that it serves on the way."""

import re
import socket
import threading
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from benchmarks.protocol import NOMINAL
from benchmarks.records import verify_run
from benchmarks.session.closing import read_closed
from benchmarks.session.opening import open_session
from benchmarks.session.script import eyes_of
from benchmarks.session.session import Session
from benchmarks.session.twin_rig import steady
from tests.benchmarks.session.stand_in import Clock, StandIn, held, lock_session, until
from tests.benchmarks.session.test_session_twin import short
from tests.chromium import MARKS
from tests.real.operated import operated, wait

pytestmark = MARKS
NAMES = re.compile(rb"zebra|floor:", re.IGNORECASE)
"""Of policies, and where they come from."""


class Wire:
    """Stands between browser and server, and keeps every byte that the server sends."""

    def __init__(self, port: int) -> None:
        self.data = bytearray()
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://localhost:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here = self._listener.accept()[0]
                there = socket.create_connection(("127.0.0.1", self._server))
                for ends in ((here, there, None), (there, here, self.data)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


def complaints(page: Any) -> list[str]:
    told: list[str] = []
    page.on("console", lambda m: told.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    return told


class Hands:
    """Operates a page as a person does: by its buttons, from what it shows."""

    def __init__(self, page: Any, session: Session, second: str = "Bo") -> None:
        self.page, self.session, self.second = page, session, second
        self.pressed: set[str] = set()
        self.eyes = eyes_of(session)

    def enter(self, who: str) -> None:
        self.page.locator("#who[open]").wait_for()
        self.page.locator("#name").fill(who)
        self.page.keyboard.press("Enter")
        wait(lambda: self._data("who") == who)

    def to(self, phase: str) -> None:
        """Go on until the page shows ``phase``."""
        while self._data("phase") != phase:
            self.once()

    def once(self) -> None:
        """Do what the page asks for now, if anything."""
        view = self.session.view()
        if any(c.name == "stop" and c.outcome == "running" for c in view.checks):
            self.page.locator("#stop").click()
        wanted = self._wanted(view) if self._data("number") == str(view.number) else None
        name, value = wanted or ("", "")
        button = self.page.locator(f"[data-name='{name}'][data-value='{value}']:enabled")
        if not button.count():
            self.page.wait_for_timeout(20)
            return
        self.pressed.add(name)
        button.click()
        if name == "check":
            self.page.locator("#reason").fill("no person is here to mend it")
            self.page.locator("#why-ok").click()
        wait(lambda: self.session.view().number > view.number)

    def _wanted(self, view: Any) -> tuple[str, str] | None:
        plain = {
            "next": ("next", "next"), "reset": ("measure", "measure"),
            "ready": ("start", "start"), "labelled": ("next", "next"),
        }  # fmt: skip
        if not view.choices:
            return None
        if view.phase == "rating":
            self._change_places()
            return ("rating", "yes" if self.eyes(view)["success"] else "no")
        if view.phase == "preflight":
            return ("check", "waive")
        if view.phase == "labelled" and "undo" not in self.pressed:
            return ("undo", "undo")
        if view.phase == "label":
            seen, asked = self.eyes(view), view.choices[0].name
            value = {"success": "yes" if seen["success"] else "no"}.get(asked, str(seen[asked]))
            known = [c.value for c in view.choices if c.name == asked]
            return (asked, value if value in known else known[-1])
        return plain[view.phase]

    def _change_places(self) -> None:
        if self._data("who") != self.second:
            self.page.get_by_text("I am somebody else").click()
            self.enter(self.second)
            wait(lambda: self._data("role") == "rates")

    def _data(self, name: str) -> str:
        return str(self.page.evaluate(f"document.body.dataset.{name} ?? ''"))


def test_two_policies_on_the_twin_are_compared_through_the_page_alone(
    browser: Any, tmp_path: Path
) -> None:
    lock_session(tmp_path, blocks=1, share=1.0)
    rig = partial(short, hand=steady)
    with Session(open_session(tmp_path), rig) as session, operated(session) as server:
        page = browser.new_page(viewport={"width": 1024, "height": 768})
        told, wire, hands = complaints(page), Wire(server.port), Hands(page, session)
        page.goto(wire.address)
        hands.enter("Kim")
        hands.to("closed")
        assert told == []
        page.close()
        wire.close()
    closed = read_closed(tmp_path)
    assert {"measure", "start", "success", "stage", "failure", "undo", "rating"} <= hands.pressed
    assert [t.counted for t in closed.trials] == [True, True]
    assert {t.placed["ok"] for t in closed.trials} == {True}
    assert all(verify_run(folder) == [] for folder in closed.runs.values())
    assert set(closed.agreement) == {"second", "automatic"}
    assert wire.data.count(b"\x89PNG") >= 2
    assert wire.data.count(b"ftyp") >= 2
    assert wire.data.count(b'"phase": "closed"') >= 1
    assert NAMES.findall(bytes(wire.data)) == []


def test_nothing_served_names_a_policy_even_when_everything_goes_wrong(
    browser: Any, tmp_path: Path
) -> None:
    lock_session(tmp_path, blocks=2)
    rig = StandIn(open_session(tmp_path))
    rig.voids = iter(["zebra1 did not answer, look at floor:random", *[""] * 9])
    rig.placings = iter([False, True, *[True] * 9])
    with held(tmp_path, Clock(), rig) as session, operated(session) as server:
        page = browser.new_page()
        told, wire, hands = complaints(page), Wire(server.port), Hands(page, session)
        page.goto(wire.address)
        hands.enter("zebra0")  # of all names an operator could have
        page.locator("#stop").click()
        hands.to("closed")
        assert told == []
        page.close()
        wire.close()
    closed = read_closed(tmp_path)
    assert sum(bool(t.void) for t in closed.trials) == 1
    assert wire.data.count(b'"phase": "closed"') >= 1
    for name in (b"zebra1", b"floor:"):
        assert name not in wire.data


def test_a_session_goes_on_where_it_was_when_the_program_comes_back(
    browser: Any, tmp_path: Path
) -> None:
    lock = lock_session(tmp_path, blocks=1)
    page = browser.new_page()
    with held(tmp_path) as session:
        until(session, "label", "Kim")
        with operated(session) as server:
            port = server.port
            page.goto(server.address)
            Hands(page, session).enter("Kim")
            page.get_by_text("Was the task done").wait_for()
            code = page.locator("#code").inner_text()
    page.get_by_text("Connection lost").wait_for()
    with held(tmp_path) as session, operated(session, port=port):
        hands = Hands(page, session)
        hands.to("label")  # the preflight is made again; the trial that ran is not
        assert page.locator("#code").inner_text() == code
        hands.to("closed")
    page.close()
    closed = read_closed(tmp_path)
    assert sorted(t.code for t in closed.trials) == sorted(t.code for t in lock.schedule)
    start = open_session(tmp_path).protocol.start(NOMINAL, 0)
    assert all(t.start["seed"] == start.seed for t in closed.trials)


@pytest.mark.parametrize("name", ["overlay", "film", "../blind.key", "..%2fblind.key"])
def test_no_file_of_the_session_can_be_fetched(tmp_path: Path, name: str) -> None:
    lock_session(tmp_path, blocks=1)
    with held(tmp_path) as session, operated(session) as server:
        connection = HTTPConnection("localhost", server.port, timeout=30)
        connection.request("GET", f"/picture/{name}")
        assert connection.getresponse().status == 404
        connection.close()
