import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import N, Scripted, observe, run, start

from envs.arm import Array
from policies.chunking import Controller, usual_execute

HOME = 0.0  # what ``observe(0)`` says of the position


def numbered(calls: int, rows: int, chunk: int) -> Array:
    """Return chunks whose action says which call made it and where it stands: 100 k + index."""
    made = 100 * np.arange(1, calls + 1)[:, None] + np.arange(chunk)
    return np.tile(made[:, None, :, None], (1, rows, 1, N)).astype(np.float32)


def test_a_chunk_takes_over_after_the_delay_behind_the_committed_prefix() -> None:
    controller = start(Scripted(numbered(4, 1, 7)), 1, execute=4, delay=3)
    actions = run(controller, 14, 1)[:, 0, 0]
    by_hand = [
        *(0, 0, 0, 103),  # nothing is there yet: hold; then the first chunk from its index 3 on
        *(104, 105, 106, 203),  # begun at step 4: committed to 4..6 of the first chunk
        *(204, 205, 206, 303),
        *(304, 305),
    ]
    assert actions.tolist() == by_hand


def test_a_delay_as_long_as_the_chunk_is_carried_out_uses_only_committed_actions_meanwhile() -> (
    None
):
    actions = run(start(Scripted(numbered(4, 1, 4)), 1, execute=2, delay=2), 7, 1)[:, 0, 0]
    assert actions.tolist() == [0, 0, 102, 103, 202, 203, 302]


def test_without_a_delay_nothing_changes() -> None:
    chunks = numbered(9, 2, 6)
    plain = run(start(Scripted(chunks), 2, execute=3), 12, 2)
    np.testing.assert_array_equal(run(start(Scripted(chunks), 2, execute=3, delay=0), 12, 2), plain)


@settings(max_examples=40, deadline=None)
@given(
    chunk=st.integers(1, 9),
    execute=st.integers(1, 9),
    delay=st.integers(0, 9),
    m=st.sampled_from([None, 0.0, 0.3]),
    seed=st.integers(0, 99),
)
def test_every_action_follows_from_predictions_that_were_there(chunk, execute, delay, m, seed):
    execute = min(execute, chunk)
    delay = min(delay, execute, chunk - execute)
    chunks = np.random.default_rng(seed).normal(size=(25, 2, chunk, N)).astype(np.float32)
    actions = run(start(Scripted(chunks), 2, execute=execute, ensemble=m, delay=delay), 20, 2)
    for t in range(20):
        made = [k for k in range(25) if k * execute + delay <= t < k * execute + chunk]
        if not made:
            np.testing.assert_array_equal(actions[t], HOME)
            continue
        if m is None:
            made = made[-1:]
        weights = np.exp([-(m or 0) * i for i in range(len(made))])
        seen = np.stack([chunks[k, :, t - k * execute] for k in made])
        expected = np.tensordot(weights / weights.sum(), seen, 1)
        np.testing.assert_allclose(actions[t], expected, atol=1e-5)


def test_what_is_observed_when_a_prediction_begins_is_what_it_sees() -> None:
    policy = Scripted(numbered(3, 1, 8), n_obs=2)
    run(start(policy, 1, execute=4, delay=2), 9, 1)
    assert [seen[0, :, 0].tolist() for seen in policy.seen] == [[0, 0], [3, 4], [7, 8]]


def test_a_row_that_becomes_nan_holds_and_the_other_keeps_its_delay() -> None:
    chunks = numbered(3, 2, 4)
    chunks[1, 0] = np.nan
    controller = start(Scripted(chunks), 2, execute=2, delay=1)
    actions = run(controller, 5, 2)[:, :, 0]
    assert controller.errors.tolist() == [True, False]
    assert actions[:, 1].tolist() == [0, 101, 102, 201, 202]
    assert actions[:, 0].tolist() == [0, 101, 101, 101, 101]


@pytest.mark.parametrize(
    ("execute", "delay", "told"),
    [
        (4, 5, "delay must be in 0..execute=4"),
        (4, -1, "delay must be in 0..execute=4"),
        (1, 6, "delay must be in 0..5, got 6: delay <= execute .* delay \\+ execute <= chunk 10"),
        (
            8,
            3,
            "execute \\+ delay must be at most chunk=10, got 8 \\+ 3: the actions would run out",
        ),
    ],
)
def test_delays_that_cannot_be_are_refused(execute: int, delay: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Controller(Scripted(numbered(1, 1, 10)), execute=execute, delay=delay)


def test_the_usual_rhythm_leaves_room_for_the_delay() -> None:
    spec = Scripted(numbered(1, 1, 10), execute=9).spec
    assert [usual_execute(spec, None, d) for d in (0, 1, 4)] == [9, 9, 6]
    assert [usual_execute(spec, 0.1, d) for d in (0, 4)] == [1, 4]


def test_a_position_to_hold_is_needed() -> None:
    controller = start(Scripted(numbered(1, 1, 4)), 1, execute=2, delay=1)
    with pytest.raises(ValueError, match="a delay needs qpos"):
        controller.action({"qpos": np.zeros((1, N + 1), np.float32)})
    assert observe(0, 1)["qpos"].tolist() == [[HOME, HOME]]
