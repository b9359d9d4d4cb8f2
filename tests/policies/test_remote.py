import gc
import socket
import threading

import numpy as np
import pytest
from serving import (
    HELLO,
    PATIENCE,
    SPEC,
    Counting,
    Hangup,
    Message,
    changed,
    foreign,
    seen,
    served,
    usual,
)
from websockets.exceptions import ConnectionClosed

from envs.arm import Array
from envs.errors import UsageError
from policies import remote
from policies.base import PolicySpec
from policies.remote import PolicyGoneError, RemotePolicy, ServedPolicyError
from policies.wire import WireError


def test_a_served_policy_acts_as_it_does_here() -> None:
    here = Counting()
    with served(Counting()) as serving:
        there = RemotePolicy(serving.address)
        assert (there.name, there.spec) == ("counting", SPEC)
        for policy in (here, there):
            policy.reset(["one", "two"], [3, 4])
        for _ in range(3):
            chunk = there.act(seen())
            assert chunk.dtype == np.float32
            np.testing.assert_array_equal(chunk, here.act(seen()))
        assert there.inference_ms is not None
        assert there.inference_ms >= 0
        assert serving.server.served == 3
        there.close()


def test_two_clients_at_once_have_trials_of_their_own() -> None:
    with served(Counting()) as serving:
        one, two = RemotePolicy(serving.address), RemotePolicy(serving.address)
        one.reset(["x"], [1])
        assert one.act(seen(1))[0, 0].tolist()[:2] == [1, 1]
        two.reset(["x", "x"], [8, 9])
        assert one.act(seen(1))[0, 0].tolist()[:2] == [2, 1]
        assert two.act(seen())[:, 0, :2].tolist() == [[1, 8], [1, 9]]
        one.close()
        two.close()


def test_many_clients_at_once_all_get_their_own_answers() -> None:
    found: dict[int, list[float]] = {}

    def client(seed: int) -> None:
        policy = RemotePolicy(serving.address)
        policy.reset(["x"], [seed])
        found[seed] = [float(policy.act(seen(1))[0, 0, column]) for column in (0, 0, 1)]
        policy.close()

    with served(Counting()) as serving:
        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {seed: [1, 2, seed] for seed in range(8)}


def test_a_policy_that_fails_is_told_with_its_words_and_the_client_goes_on() -> None:
    with served(Counting()) as serving:
        policy = RemotePolicy(serving.address)
        policy.reset(["fail"], [1])
        with pytest.raises(ServedPolicyError, match="on the server: RuntimeError: no idea"):
            policy.act(seen(1))
        policy.reset(["go"], [1])
        assert policy.act(seen(1)).shape == (1, 6, 3)
        policy.close()


def test_what_is_no_longer_used_hangs_up() -> None:
    with foreign(SPEC) as address:
        policy = RemotePolicy(address)
        policy.reset(["x"], [1])
        line = policy._line
        assert line is not None
        connection = line._connection
        del policy
        gc.collect()
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"version": 2}, "speaks armtrials-policy version 2, this is armtrials-policy version 1"),
        ({"protocol": "other"}, "speaks other version 1"),
        ({"policy": {}}, "describes its policy wrongly: spec must be dict"),
        ({"policy": {"spec": {"colour": 1}}}, "unknown key 'colour'; known: arm, joints"),
        ({"policy": {"spec": {}}}, "missing"),
        ({"max_message": "big"}, "hello.max_message must be int"),
        ({"type": "ready"}, "is no policy server: the answer must be hello 1, got ready 1"),
        ({"id": 7}, "the answer must be hello 1, got hello 7"),
        ({"type": "error", "code": "busy", "text": "one at a time"}, "serves another client"),
        ({"type": "error", "code": "version", "text": "too old"}, "refused: too old"),
        ({"type": "error", "code": "policy", "text": "no"}, "is no policy server: on the server"),
    ],
)
def test_a_server_that_cannot_be_used_is_refused(entries: Message, told: str) -> None:
    with (
        foreign(SPEC, changed("hello", **entries)) as address,
        pytest.raises(UsageError, match=told),
    ):
        RemotePolicy(address)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"name": " "}, "must be texts"),
        ({"hashes": {}}, "policy.name and policy.hashes.weights must be texts"),
        ({"data": 3}, "data must be dict"),
    ],
)
def test_a_policy_that_is_not_described_is_refused(policy: Message, told: str) -> None:
    described = usual(HELLO, SPEC)["policy"]
    with (
        foreign(SPEC, changed("hello", policy={**described, **policy})) as address,
        pytest.raises(UsageError, match=told),
    ):
        RemotePolicy(address)


def test_nobody_there_and_no_address_are_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PolicyGoneError, match=r"no policy server answers at .*armtrials serve"):
            RemotePolicy(address, PATIENCE)
    for wrong in ("http://localhost:1", "localhost:8765", "ws://", "ws://host:port"):
        with pytest.raises(UsageError, match="address is ws://HOST:PORT"):
            RemotePolicy(wrong, PATIENCE)
    with pytest.raises(UsageError, match="patience must be positive, got 0"):
        RemotePolicy(address, 0)


def zeros(*shape: int, dtype: str = "<f4") -> Array:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"actions": zeros(2, 6, 4)}, r"actions of the server must be <f4 of shape \(2, 6, 3\)"),
        ({"actions": zeros(1, 6, 3)}, r"got <f4 \(1, 6, 3\)"),
        ({"actions": zeros(2, 6, 3, dtype="<f8")}, r"got <f8 \(2, 6, 3\)"),
        ({"actions": [[0.0]]}, "got list"),
        ({"type": "ready"}, "the answer must be actions 2, got ready 2"),
        ({"id": 1}, "the answer must be actions 2, got actions 1"),
    ],
)
def test_wrong_actions_are_refused(entries: Message, told: str) -> None:
    with foreign(SPEC, changed("act", **entries)) as address:
        policy = RemotePolicy(address, PATIENCE)
        policy.reset(["x", "x"], [1, 2])
        policy._line._asked = 1
        with pytest.raises(WireError, match=told):
            policy.act(seen())
        policy.reset(["x", "x"], [1, 2])  # on a new connection
        policy.close()


def test_bytes_that_are_no_message_are_refused() -> None:
    replies = iter([b"\xc1", "text"])

    def reply(message: Message, spec: PolicySpec) -> bytes | str | Message:
        return next(replies) if message["type"] == "act" else usual(message, spec)

    with foreign(SPEC, reply) as address:
        policy = RemotePolicy(address, PATIENCE)
        for told in ("must be msgpack", "must be binary"):
            policy.reset(["x"], [1])
            with pytest.raises(WireError, match=told):
                policy.act(seen(1))


def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_MESSAGE", 4000)
    huge = changed("act", actions=zeros(100, 6, 3))
    with foreign(SPEC, huge) as address:
        policy = RemotePolicy(address, PATIENCE)
        policy.reset(["x"], [1])
        with pytest.raises(WireError, match="the answer is larger than 4000 bytes"):
            policy.act(seen(1))


def test_nan_is_passed_on_for_the_controller_to_judge() -> None:
    chunk = zeros(2, 6, 3)
    chunk[1, 2, 0] = np.nan
    with foreign(SPEC, changed("act", actions=chunk)) as address:
        policy = RemotePolicy(address, PATIENCE)
        policy.reset(["x", "x"], [1, 2])
        np.testing.assert_array_equal(policy.act(seen()), chunk)
        policy.close()


def test_a_message_that_is_too_large_is_not_even_sent() -> None:
    with served(Counting(), max_message=2000) as serving:
        policy = RemotePolicy(serving.address, PATIENCE)
        policy.reset(["x"], [1])
        policy.act(seen(1))
        policy.reset(["x"] * 20, range(20))
        with pytest.raises(UsageError, match=r"too large for the server .* use a smaller --batch"):
            policy.act(seen(20))


def test_a_server_that_hides_its_limit_says_so_by_hanging_up() -> None:
    with served(Counting(), max_message=2000) as serving:
        serving.server.hello["max_message"] = 10**6
        policy = RemotePolicy(serving.address, PATIENCE)
        policy.reset(["x"] * 20, range(20))
        with pytest.raises(UsageError, match=r"too large for the server .* it reads less"):
            policy.act(seen(20))


def test_more_trials_than_a_server_acts_for_are_refused() -> None:
    with foreign(SPEC, changed("hello", max_batch=1)) as address:
        policy = RemotePolicy(address)
        policy.reset(["x"], [1])
        with pytest.raises(UsageError, match="at most 1 at once, got 2: use --batch 1"):
            policy.reset(["x", "x"], [1, 2])
        policy.close()


def test_a_lost_connection_is_no_answer_and_new_trials_connect_anew() -> None:
    calls = {"act": 0}

    def reply(message: Message, spec: PolicySpec) -> Message:
        calls["act"] += message["type"] == "act"
        if message["type"] == "act" and calls["act"] == 2:
            raise Hangup
        return usual(message, spec)

    with foreign(SPEC, reply) as address:
        policy = RemotePolicy(address, PATIENCE)
        policy.reset(["x"], [1])
        policy.act(seen(1))
        for _ in range(2):  # the state of these trials is lost with the connection
            with pytest.raises(PolicyGoneError, match=r"the connection to the server .* was lost"):
                policy.act(seen(1))
        policy.reset(["x"], [1])
        assert policy.act(seen(1)).shape == (1, 6, 3)
        policy.close()


def test_a_server_that_says_nothing_is_given_up() -> None:
    over = threading.Event()

    def reply(message: Message, spec: PolicySpec) -> Message:
        if message["type"] == "act":
            over.wait(PATIENCE)
        return usual(message, spec)

    with foreign(SPEC, reply) as address:
        policy = RemotePolicy(address, 0.4)
        policy.reset(["x"], [1])
        with pytest.raises(PolicyGoneError, match=r"did not answer within 0\.4 s"):
            policy.act(seen(1))
        over.set()


def test_a_server_that_is_gone_is_waited_for_and_then_given_up() -> None:
    with served(Counting()) as serving:
        policy = RemotePolicy(serving.address, 1.0)
        policy.reset(["x"], [1])
        port = int(serving.address.rpartition(":")[2])
    with pytest.raises(PolicyGoneError, match=r"not come back within 1 s\. What was completed is"):
        policy.reset(["x"], [1])
    patient = RemotePolicy.__new__(RemotePolicy)
    patient.__dict__.update(policy.__dict__, patience=PATIENCE)
    later = type(serving)(Counting(), port=port)
    back = threading.Timer(0.5, later.begin)
    back.start()
    try:
        patient.reset(["x"], [5])
        assert patient.act(seen(1))[0, 0, 1] == 5
        patient.close()
    finally:
        back.join()
        later.end()


def test_a_server_that_comes_back_with_another_policy_is_refused() -> None:
    hashes = ["v1", "v1", "v2"]

    def reply(message: Message, spec: PolicySpec) -> Message:
        answer = usual(message, spec)
        if message["type"] == "hello":
            answer["policy"]["hashes"] = {"weights": hashes.pop(0)}
        return answer

    with foreign(SPEC, reply) as address:
        policy = RemotePolicy(address, PATIENCE)
        policy.reset(["x"], [1])
        policy.close()
        with pytest.raises(UsageError, match="now serves another policy"):
            policy.reset(["x"], [1])
