import numpy as np
import pytest
from toy import MakeDemos, N, arm_spec, episode

from envs.errors import UsageError
from policies.checkpoint import Deployment, load_policy, manifest_entry
from policies.chunking import Controller

HERE = Deployment(arm_spec(), "toy", "state")


def test_hold_keeps_the_first_position():
    controller = Controller(load_policy("floor:hold", HERE))
    controller.reset(["go"] * 2, [0, 1])
    first = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], np.float32)
    for drift in (0.0, 0.1, 0.2):
        np.testing.assert_array_equal(controller.action({"qpos": first + drift}), first)


def test_random_stays_within_the_limits_and_follows_from_each_rows_seed():
    arm = arm_spec()
    policy = load_policy("floor:random", HERE)
    policy.reset(["go"] * 3, [5, 6, 5])
    chunk = policy.act({"qpos": np.zeros((3, 1, N), np.float32)})
    assert (chunk >= np.float32(arm.lower)).all()
    assert (chunk <= np.float32(arm.upper)).all()
    np.testing.assert_array_equal(chunk[0], chunk[2])
    assert (chunk[0] != chunk[1]).any()
    policy.reset(["go"], [5])
    np.testing.assert_array_equal(policy.act({"qpos": np.zeros((1, 1, N))})[0], chunk[0])


@pytest.mark.parametrize("track", ["state", "pixels"])
def test_replay_plays_the_demonstration_that_starts_alike_then_holds(demos: MakeDemos, track: str):
    folder = demos(image=16)
    policy = load_policy(f"floor:replay:{folder}", Deployment(arm_spec(), "toy", track))
    wanted = [episode(i, 20 + i, 16) for i in (3, 1)]
    controller = Controller(policy)
    controller.reset(["go"] * 2, [0, 0])
    assert policy.spec.track == track
    first = {
        key: np.stack([one.observations[key][0] for one in wanted])
        for key in policy.spec.observations
    }
    actions = np.stack([controller.action(first if t == 0 else None) for t in range(29)], axis=1)
    for row, one in enumerate(wanted):
        np.testing.assert_array_equal(actions[row, : len(one)], one.actions)
        assert (actions[row, len(one) :] == one.actions[-1]).all()


def test_replay_of_another_task_is_refused(demos: MakeDemos):
    with pytest.raises(UsageError, match=r"demonstrations of toy .* cannot be replayed on stack"):
        load_policy(f"floor:replay:{demos()}", Deployment(arm_spec(), "stack", "state"))


def test_an_unknown_floor_lists_the_known_ones():
    with pytest.raises(UsageError, match="known: hold, random, replay"):
        load_policy("floor:oracle", HERE)
    with pytest.raises(UsageError, match="floor:replay needs its demonstrations"):
        load_policy("floor:replay", HERE)


def test_a_floor_is_named_as_one_in_the_manifest():
    assert manifest_entry(load_policy("floor:hold", HERE))["floor"]
