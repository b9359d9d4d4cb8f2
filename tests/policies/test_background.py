"""Predictions in a thread: the same actions as with a simulated delay, and what can go wrong."""

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import N, Scripted, observe, run

from envs.arm import Array
from policies.background import THREAD, Background
from policies.chunking import Controller
from policies.remote import PolicyGoneError

PATIENCE = 30.0  # of a test that would otherwise hang [s]


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith(THREAD)]


def numbered(calls: int, chunk: int) -> Array:
    """Return chunks whose action says which call made it and where it stands: 100 k + index."""
    made = 100 * np.arange(1, calls + 1)[:, None] + np.arange(chunk)
    return np.tile(made[:, None, :, None], (1, 1, 1, N)).astype(np.float32)


class Slow(Scripted):
    """Answers call ``at`` when ``go`` is set, or raises ``error`` then."""

    def __init__(self, chunks: Array, at: int = 1, error: Exception | None = None) -> None:
        super().__init__(chunks)
        self.at, self.error = at, error
        self.asked, self.go = threading.Event(), threading.Event()
        self.busy = self.clashed = False

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        self.clashed |= self.busy
        super().reset(instructions, seeds)

    def act(self, obs: Mapping[str, Array]) -> Array:
        answer = super().act(obs)
        if self.calls == self.at:
            self.busy = True
            self.asked.set()
            assert self.go.wait(PATIENCE)
            self.busy = False
            if self.error is not None:
                raise self.error
        return answer


@pytest.fixture
def begin():
    """Begin a trial; its thread ends with the test."""
    made = []

    def start(policy: Scripted, rows: int = 1, execute: int = 4, delay: int = 2, **more: object):
        controller = Background(policy, execute, more.get("ensemble"), delay)
        made.append(controller)
        controller.reset(["go"] * rows, range(rows))
        return controller

    yield start
    for one in made:
        one.close()
    assert threads() == []


@settings(max_examples=40, deadline=None)
@given(
    chunk=st.integers(2, 9),
    execute=st.integers(1, 9),
    delay=st.integers(1, 9),
    n_obs=st.integers(1, 3),
    m=st.sampled_from([None, 0.0, 0.3]),
    seed=st.integers(0, 99),
)
def test_a_quick_policy_acts_as_with_a_simulated_delay(chunk, execute, delay, n_obs, m, seed):
    execute = min(execute, chunk - 1)
    delay = min(delay, execute, chunk - execute)
    chunks = np.random.default_rng(seed).normal(size=(25, 2, chunk, N)).astype(np.float32)
    there, here = (Scripted(chunks, n_obs) for _ in range(2))
    simulated, real = Controller(there, execute, m, delay), Background(here, execute, m, delay)
    for controller in (simulated, real):
        controller.reset(["go"] * 2, range(2))
    np.testing.assert_array_equal(run(real, 20, 2), run(simulated, 20, 2))
    real.close()
    np.testing.assert_array_equal(np.stack(here.seen), np.stack(there.seen))


def test_the_committed_actions_run_while_a_prediction_is_computed(begin) -> None:
    policy = Slow(numbered(3, 8), at=2)
    controller = begin(policy)
    actions = run(controller, 6, 1)[:, 0, 0].tolist()
    assert policy.asked.wait(PATIENCE)
    assert actions == [0, 0, 102, 103, 104, 105]  # the second, begun at step 4, still computes
    assert policy.busy
    policy.go.set()
    assert controller.action(None)[0, 0] == 202
    assert controller.predicted is not None
    assert controller.predicted[0, 0, 0] == 200
    assert controller.seconds > 0


def test_what_is_taken_is_told_when_it_is_in_force(begin) -> None:
    controller = begin(Scripted(numbered(3, 8)))
    told = []
    for step in range(7):
        controller.action(observe(step, 1) if controller.wants() else None)
        told.append(None if controller.predicted is None else controller.predicted[0, 0, 0])
    assert told == [None, None, 100, None, None, None, 200]


@pytest.mark.parametrize("error", [RuntimeError("no idea"), PolicyGoneError("the line is cut")])
def test_what_the_policy_raises_comes_when_its_actions_are_due(begin, error: Exception) -> None:
    policy = Slow(numbered(4, 8), at=2, error=error)
    policy.go.set()
    controller = begin(policy)
    assert run(controller, 6, 1)[:, 0, 0].tolist() == [0, 0, 102, 103, 104, 105]
    with pytest.raises(type(error), match=str(error)):
        controller.action(None)
    controller.reset(["go"], [1])
    assert run(controller, 3, 1)[:, 0, 0].tolist() == [0, 0, 102]


def test_nonsense_is_held_from_when_it_is_due(begin) -> None:
    chunks = numbered(3, 8)
    chunks[1] = np.nan
    controller = begin(Scripted(chunks))
    assert run(controller, 6, 1)[:, 0, 0].tolist() == [0, 0, 102, 103, 104, 105]
    assert not controller.errors.any()
    assert controller.action(None)[0, 0] == 105
    assert controller.errors.all()


def test_a_new_trial_waits_for_the_old_prediction_and_forgets_it(begin) -> None:
    policy = Slow(numbered(4, 8), error=RuntimeError("of the old trial"))
    controller = begin(policy)
    run(controller, 1, 1)
    assert policy.asked.wait(PATIENCE)
    later = threading.Timer(0.05, policy.go.set)
    later.start()
    policy.at = 0
    controller.reset(["go"], [1])
    later.join()
    assert not policy.clashed
    assert run(controller, 4, 1)[:, 0, 0].tolist() == [0, 0, 102, 103]


def test_the_end_waits_for_the_prediction_and_leaves_no_thread() -> None:
    policy = Slow(numbered(4, 8))
    controller = Background(policy, 4, None, 2)
    controller.reset(["go"], [0])
    run(controller, 1, 1)
    assert policy.asked.wait(PATIENCE)
    assert len(threads()) == 1
    policy.go.set()
    controller.close()
    assert (threads(), policy.busy) == ([], False)


def test_without_a_delay_there_is_nothing_to_do_meanwhile() -> None:
    with pytest.raises(ValueError, match="delay must be at least 1"):
        Background(Scripted(numbered(1, 8)), 4, None, 0)
