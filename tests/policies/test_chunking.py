import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import N, Scripted, observe, run, start

from policies.chunking import Controller


@settings(max_examples=30, deadline=None)
@given(
    chunk=st.integers(1, 6),
    execute=st.integers(1, 6),
    steps=st.integers(1, 20),
    m=st.sampled_from([0.0, 0.01, 0.5, 2.0]),
    seed=st.integers(0, 1000),
)
def test_the_temporal_ensemble_equals_the_formula(chunk, execute, steps, m, seed):
    execute = min(execute, chunk)
    rng = np.random.default_rng(seed)
    chunks = rng.normal(size=(20, 3, chunk, N)).astype(np.float32)
    chunks[rng.random(chunks.shape) < 0.2] = 0  # exact zeros are actions like others
    actions = run(start(Scripted(chunks), 3, execute=execute, ensemble=m), steps, 3)
    for t in range(steps):
        total, weights, i = np.zeros((3, N)), 0.0, 0
        for call in range(20):
            made = call * execute
            if made <= t < made + chunk:
                total += np.exp(-m * i) * chunks[call, :, t - made]
                weights += np.exp(-m * i)
                i += 1
        np.testing.assert_allclose(actions[t], total / weights, atol=1e-5)


def test_an_action_that_is_exactly_zero_counts_in_the_ensemble():
    chunks = np.ones((2, 1, 2, N), np.float32)
    chunks[0] = 0  # the older prediction says: zero
    actions = run(start(Scripted(chunks), 1, ensemble=0.0), 2, 1)
    np.testing.assert_allclose(actions[1], 0.5)


def test_the_oldest_prediction_weighs_most():
    chunks = np.stack([np.full((1, 3, N), k, np.float32) for k in range(3)])
    actions = run(start(Scripted(chunks), 1, ensemble=1.0), 3, 1)
    weights = np.exp([0.0, -1.0, -2.0])
    np.testing.assert_allclose(actions[2], (weights @ [0, 1, 2]) / weights.sum(), rtol=1e-6)
    assert (actions[2] < 1).all()


def test_receding_horizon_executes_the_first_actions_of_each_chunk():
    chunks = np.arange(3 * 4, dtype=np.float32).reshape(3, 1, 4, 1).repeat(N, -1)
    controller = start(Scripted(chunks, execute=3), 1)
    actions = run(controller, 7, 1)
    assert actions[:, 0, 0].tolist() == [0, 1, 2, 4, 5, 6, 8]


def test_observations_are_wanted_only_where_a_prediction_needs_them():
    chunks = np.zeros((9, 1, 4, N), np.float32)
    for n_obs, expected in ((1, [0, 4, 8]), (2, [0, 3, 4, 7, 8])):
        controller = start(Scripted(chunks, n_obs, execute=4), 1)
        wanted = []
        for t in range(9):
            if controller.wants():
                wanted.append(t)
            controller.action(observe(t, 1) if controller.wants() else None)
        assert wanted == expected


def test_a_policy_with_two_observations_sees_the_step_before():
    policy = Scripted(np.zeros((3, 1, 4, N), np.float32), n_obs=2, execute=4)
    run(start(policy, 1), 9, 1)
    assert [seen[0, :, 0].tolist() for seen in policy.seen] == [[0, 0], [3, 4], [7, 8]]


def test_a_missing_observation_is_refused():
    controller = start(Scripted(np.zeros((1, 1, 1, N), np.float32)), 1)
    with pytest.raises(ValueError, match="step 0 needs an observation"):
        controller.action(None)


@pytest.mark.parametrize("ensemble", [None, 0.1])
def test_a_row_that_becomes_nan_holds_its_last_action_and_the_others_go_on(ensemble):
    chunks = np.arange(1, 6, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 1, N))
    chunks[2, 0] = np.nan
    controller = start(Scripted(chunks.astype(np.float32)), 2, ensemble=ensemble)
    actions = run(controller, 5, 2)
    assert controller.errors.tolist() == [True, False]
    assert actions[:, 0, 0].tolist() == [1, 2, 2, 2, 2]
    assert actions[:, 1, 0].tolist() == [1, 2, 3, 4, 5]


def test_a_row_that_is_infinite_at_once_holds_its_position():
    controller = start(Scripted(np.full((1, 1, 1, N), np.inf, np.float32)), 1)
    assert controller.action({"qpos": np.full((1, N), 0.7, np.float32)}).tolist() == [
        pytest.approx([0.7, 0.7])
    ]
    assert controller.errors.all()


def test_a_chunk_of_the_wrong_shape_is_an_error_of_every_row():
    policy = Scripted(np.zeros((1, 2, 3, N), np.float32))
    policy.chunks = np.zeros((1, 2, 3, N + 1), np.float32)
    controller = start(policy, 2)
    controller.action(observe(0, 2))
    assert controller.errors.all()


def test_a_new_trial_forgets_the_old_one():
    policy = Scripted(np.full((1, 1, 2, N), np.nan, np.float32), n_obs=2)
    controller = start(policy, 1)
    controller.action(observe(5, 1))
    policy.chunks = np.ones((1, 1, 2, N), np.float32)
    controller.reset(["go"], [0])
    assert controller.action(observe(0, 1)).tolist() == [[1, 1]]
    assert not controller.errors.any()
    assert policy.seen[-1][0, :, 0].tolist() == [0, 0]


@pytest.mark.parametrize("execute", [0, 4])
def test_executing_more_than_was_predicted_is_refused(execute):
    with pytest.raises(ValueError, match=r"execute must be in 1\.\.chunk=3"):
        Controller(Scripted(np.zeros((1, 1, 3, N), np.float32)), execute=execute)
