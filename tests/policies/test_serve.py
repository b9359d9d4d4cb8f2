import asyncio
import time
from collections.abc import Mapping

import pytest
from serving import (
    HELLO,
    PATIENCE,
    Counting,
    Message,
    seen,
    served,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from envs.arm import Array
from envs.errors import UsageError
from policies.remote import RemotePolicy
from policies.serve import PolicyServer
from policies.wire import decode, encode


def ask(address: str, *messages: bytes | str) -> list[Message]:
    """Say what no client of ours says; return the answers until the server hangs up."""
    answers = []
    with connect(address, compression=None, proxy=None) as connection:
        for message in messages:
            try:
                connection.send(message)
                answers.append(decode(connection.recv(timeout=PATIENCE)))
            except ConnectionClosed:
                break
    return answers


def test_the_server_answers_what_is_wrong_with_a_message() -> None:
    hello = encode(HELLO)
    reset = encode({"type": "reset", "id": 2, "instructions": ["x"], "seeds": [1]})
    good = seen(1)
    narrow = {**good, "qpos": good["qpos"][:, :, :2]}
    cases = {
        ("message", "must be binary"): ["hello"],
        ("message", "must be msgpack"): [b"\xc1"],
        ("message", "unknown message 'dance'; known: hello, reset, act"): [
            encode({"type": "dance"})
        ],
        ("message", "the first message must be hello, got reset"): [reset],
        ("message", "act must follow reset"): [hello, encode({"type": "act", "obs": good})],
        ("message", "reset.seeds must hold int only"): [
            hello,
            encode({"type": "reset", "instructions": ["x"], "seeds": ["1"]}),
        ],
        ("message", "as many instructions as seeds"): [
            hello,
            encode({"type": "reset", "instructions": [], "seeds": [1]}),
        ],
        ("version", "the client speaks armtrials-policy version 9"): [
            encode({**HELLO, "version": 9})
        ],
        ("observation", "obs qpos must be <f4 of shape (1, 2, 3), got <f4 (1, 2, 2)"): [
            hello,
            reset,
            encode({"type": "act", "obs": narrow}),
        ],
        ("observation", "obs images/top must be |u1"): [
            hello,
            reset,
            encode({"type": "act", "obs": {"qpos": good["qpos"]}}),
        ],
    }
    with served(Counting()) as serving:
        for (code, told), messages in cases.items():
            more = encode({"type": "act", "id": 9, "obs": good})
            answers = ask(serving.address, *messages, more)
            wrong = answers[len(messages) - 1]
            assert (wrong["type"], wrong["code"]) == ("error", code)
            assert told in wrong["text"]
            hung_up = len(answers) == len(messages)
            assert hung_up == (code in ("message", "version"))


def test_a_page_in_a_browser_is_not_let_in() -> None:
    with (
        served(Counting()) as serving,
        pytest.raises(InvalidStatus, match="403"),
        connect(serving.address, origin="http://elsewhere.example", proxy=None),
    ):
        pass


def test_a_server_whose_port_is_taken_says_so() -> None:
    with served(Counting()) as serving:
        port = int(serving.address.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {port} is in use; choose another with --port"):
            asyncio.run(PolicyServer(Counting()).run("127.0.0.1", port))


def test_time_at_the_server_is_that_of_the_policy_alone() -> None:
    class Slow(Counting):
        def act(self, obs: Mapping[str, Array]) -> Array:
            time.sleep(0.05)
            return super().act(obs)

    with served(Slow()) as serving:
        policy = RemotePolicy(serving.address)
        policy.reset(["x"], [1])
        policy.act(seen(1))
        assert policy.inference_ms >= 50
        policy.close()
