"""The server of an operator's page: who may answer, who may stop, what leaves the machine."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from envs.errors import UsageError
from real.operating.message import LONGEST, Answer, Hello, Stop, Take, parse
from real.operating.server import MOST_BAD, MOST_BROWSERS, OperatorServer
from tests.real.operated import FIRST, SECONDS, Rehearsal, operated, wait


@contextmanager
def browser(server: OperatorServer, who: str = "") -> Iterator[ClientConnection]:
    with connect(f"ws://localhost:{server.port}/socket", origin=server.address.rstrip("/")) as made:
        if who:
            made.send(json.dumps({"type": "hello", "who": who}))
        yield made


def heard(connection: ClientConnection, kind: str = "view", **wanted: Any) -> dict[str, Any]:
    """Return the first message of a kind in which all of ``wanted`` holds."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        message: dict[str, Any] = json.loads(connection.recv(SECONDS))
        if message["type"] == kind and all(message[k] == v for k, v in wanted.items()):
            return message
    raise AssertionError(f"no {kind} with {wanted}")


def answer(connection: ClientConnection, number: int, name: str = "next", text: str = "") -> None:
    told = {"type": "answer", "name": name, "value": name, "text": text, "number": number}
    connection.send(json.dumps(told))


def get(server: OperatorServer, path: str, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("localhost", server.port, timeout=SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_the_first_page_operates_and_its_answers_carry_the_name() -> None:
    session = Rehearsal()
    with operated(session) as server, browser(server, "anna") as page:
        assert heard(page, role="operates", who="anna")["view"]["code"] == FIRST.code
        answer(page, 1, text="all well")
        assert heard(page, driver="anna", role="operates")["view"]["number"] == 2
    assert session.answers == [("next", "next", "anna", "all well")]


def test_the_second_page_watches_until_it_takes_over_and_the_first_is_told() -> None:
    session = Rehearsal()
    with operated(session) as server, browser(server, "anna") as first:
        heard(first, role="operates", who="anna")
        answer(first, 1)
        wait(lambda: session.answers)
        with browser(server, "bert") as second:
            heard(second, role="watches", who="bert", driver="anna")
            answer(second, 2)
            assert "watches" in heard(second, "complaint")["text"]
            second.send('{"type": "take"}')
            heard(second, role="operates")
            heard(first, role="watches", driver="bert")
            answer(first, 3)
            assert "watches" in heard(first, "complaint")["text"]
    assert [(name, who) for name, _, who, _ in session.answers] == [
        ("next", "anna"), ("operator", "bert"),
    ]  # fmt: skip


def test_the_same_person_may_change_from_one_page_to_another() -> None:
    session = Rehearsal()
    with operated(session) as server, browser(server, "anna") as first:
        heard(first, role="operates", who="anna")
        with browser(server, "anna") as second:
            heard(second, role="watches", who="anna")
            second.send('{"type": "take"}')
            heard(second, role="operates")
            heard(first, role="watches")
    assert session.answers == []  # no other operator: nothing for the log


def test_a_page_that_comes_back_operates_again_and_another_person_has_to_take_over() -> None:
    session = Rehearsal()
    with operated(session) as server:
        with browser(server, "anna") as page:
            heard(page, role="operates", who="anna")
            answer(page, 1)
            wait(lambda: session.answers)
        wait(lambda: server.driver is None)
        with browser(server, "bert") as other:
            assert heard(other, who="bert")["role"] == "watches"
        wait(lambda: server.driver is None)
        with browser(server, "anna") as page:
            heard(page, role="operates", who="anna")


def test_a_stop_is_heard_from_everybody_even_while_an_answer_is_waited_for() -> None:
    session = Rehearsal()
    with operated(session) as server, browser(server, "anna") as first, browser(server) as second:
        heard(first, role="operates", who="anna")
        session.held.clear()
        answer(first, 1)
        for page in (first, second):
            page.send('{"type": "stop"}')
            heard(page, "stopped")
        assert session.stops == ["page, anna", "page, nobody named"]
        assert session.answers == []
        session.held.set()
        wait(lambda: session.answers)


def test_an_answer_to_an_older_view_or_a_second_one_is_refused() -> None:
    session = Rehearsal()
    with operated(session) as server, browser(server, "anna") as page:
        heard(page, role="operates", who="anna")
        answer(page, 1)
        answer(page, 1)
        assert "older question" in heard(page, "complaint")["text"]
    assert len(session.answers) == 1


def test_a_film_is_rated_by_somebody_who_did_not_operate() -> None:
    session = Rehearsal()
    with operated(session) as server, browser(server, "anna") as first:
        heard(first, role="operates", who="anna")
        answer(first, 1)
        wait(lambda: session.answers)
        session.put(phase="rating")
        with browser(server, "bert") as second:
            heard(second, role="rates", who="bert")
            heard(first, role="operates")
            first.send('{"type": "hello", "who": "carl"}')
            heard(first, role="rates", who="carl")


def test_every_page_hears_of_a_change_that_no_page_made() -> None:
    session = Rehearsal()
    with operated(session) as server, browser(server) as first, browser(server) as second:
        session.put(phase="running", ask="The arm drives itself.")
        for page in (first, second):
            deadline = time.monotonic() + SECONDS
            while heard(page)["view"]["phase"] != "running":
                assert time.monotonic() < deadline


def test_pictures_are_served_while_they_are_shown() -> None:
    session = Rehearsal()
    with operated(session) as server:
        assert get(server, "/picture/overlay")[0] == 404
        session.put(pictures=("overlay",))
        assert get(server, "/picture/overlay?n=2") == (200, b"\x89PNG")
        assert get(server, "/picture/../../../etc/passwd")[0] == 404


def test_the_report_is_served_once_the_session_is_closed_and_not_before() -> None:
    session = Rehearsal()
    with operated(session, lambda: b"<p>act and bc</p>") as server, browser(server) as page:
        assert get(server, "/report")[0] == 404
        session.put(phase="closed")
        heard(page, report=True)
        assert get(server, "/report") == (200, b"<p>act and bc</p>")


def test_only_this_machine_and_our_own_page_may_connect() -> None:
    with operated(Rehearsal()) as server:
        assert get(server, "/", Host="evil.example")[0] == 403
        assert get(server, "/", Host=f"localhost:{server.port}")[0] == 200
        assert get(server, "/secret")[0] == 404
        with pytest.raises(InvalidStatus), connect(
            f"ws://localhost:{server.port}/socket", origin="http://evil.example"
        ):  # fmt: skip
            pass


def test_more_than_eight_pages_are_turned_away() -> None:
    with operated(Rehearsal()) as server, ExitStack() as pages:
        for _ in range(MOST_BROWSERS):
            pages.enter_context(browser(server))
        wait(lambda: len(server.browsers) == MOST_BROWSERS)
        with pytest.raises(InvalidStatus), browser(server):
            pass


def test_nonsense_is_answered_and_at_last_turned_away() -> None:
    with operated(Rehearsal()) as server, browser(server) as page:
        for _ in range(MOST_BAD):
            page.send("nonsense")
        with pytest.raises(ConnectionClosed):
            deque(iter(lambda: page.recv(SECONDS), None))


def test_a_port_in_use_says_so() -> None:
    with (
        operated(Rehearsal()) as server,
        pytest.raises(UsageError, match=r"port \d+ is in use; choose another"),
        operated(Rehearsal(), port=server.port),
    ):
        pass


def test_the_server_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with operated(Rehearsal()) as server, browser(server, "anna") as page:
        heard(page, who="anna")
    wait(lambda: threading.active_count() <= before)


def test_messages_are_read_as_they_were_meant() -> None:
    assert parse('{"type": "stop"}') == Stop()
    assert parse('{"type": "take"}') == Take()
    assert parse('{"type": "hello", "who": " Kim "}') == Hello("Kim")
    told = '{"type": "answer", "name": "void", "value": "void", "text": " cup fell ", "number": 3}'
    assert parse(told) == Answer("void", "void", "cup fell", 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]", "must be an object, got list"),
        ("{", "must be JSON"),
        ("[" * 3000, "must be JSON"),
        ('{"type": "drive"}', "must be hello, answer, take or stop"),
        ('{"type": "hello", "who": "  "}', "who must be a name"),
        ('{"type": "hello", "who": "a\\nb"}', "printable"),
        ('{"type": "answer", "name": "a", "value": "b"}', "number must be that of a view"),
        ('{"type": "answer", "name": "a", "value": "b", "number": true}', "number must be"),
        ('{"type": "answer", "name": 1, "value": "b", "number": 1}', "name must be a text"),
        (json.dumps({"type": "answer", "text": "x" * (LONGEST + 1), "number": 1}), "at most 400"),
        (json.dumps({"type": "answer", "text": "\x1b[2J", "number": 1}), "control characters"),
    ],
)
def test_malformed_messages_say_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(text)


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_no_message_breaks_the_parser(text: str | bytes) -> None:
    with suppress(UsageError):
        parse(text)
