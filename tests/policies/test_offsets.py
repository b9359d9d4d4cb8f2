"""Actions as offsets from where the joints are: learnt as such, given as absolute targets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toy import JOINTS, MakeDemos, N

from envs.errors import UsageError
from envs.robots import ROBOTS
from policies.base import Algorithm, AlgorithmConfig, PolicySpec, preset
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet
from policies.normalize import KeyStats, Normalizer, Stats
from policies.offsets import action_stats, offset_columns
from policies.train import train
from policies.train_config import TrainConfig
from policies.trained import TrainedPolicy
from policies.windows import Sampler

CHUNK = 4
DELTA = AlgorithmConfig(chunk=CHUNK, execute=2, actions="delta")
STATS = Stats({k: KeyStats.of(np.array([[-2.0] * N, [2.0] * N])) for k in ("qpos", "action")})


def spec(joints: tuple[str, ...] = JOINTS, n_obs: int = 1) -> PolicySpec:
    return PolicySpec(
        "toy", joints, 50.0, "toy", "state", {"qpos": (len(joints),)}, n_obs, CHUNK, 2
    )


class Constant(Algorithm):
    """Predicts the same normalised actions wherever the arm is."""

    def __init__(self, config: AlgorithmConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.level = torch.nn.Parameter(torch.tensor(0.25))

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        return self.level.detach().expand(len(obs["qpos"]), CHUNK, N)


@given(
    where=st.lists(st.floats(-2, 2, width=32), min_size=N, max_size=N),
    rows=st.integers(1, 3),
    n_obs=st.integers(1, 3),
)
def test_a_chunk_starts_where_the_arm_is_now_and_the_gripper_does_not(where, rows, n_obs):
    made = spec(n_obs=n_obs)
    policy = TrainedPolicy("constant", made, Constant(DELTA, made), Normalizer(STATS, "minmax"))
    policy.reset([""] * rows, range(rows))
    qpos = np.zeros((rows, n_obs, N), np.float32)
    qpos[:, -1] = np.array(where, np.float32) + np.arange(rows, dtype=np.float32)[:, None]
    actions = policy.act({"qpos": qpos})
    arm, grip = [0, 1], 2
    expected = np.repeat(qpos[:, -1:, arm] + 0.5, CHUNK, axis=1)
    np.testing.assert_allclose(actions[..., arm], expected, atol=1e-5)
    np.testing.assert_allclose(actions[..., grip], 0.5)


def test_windows_hold_offsets_from_the_step_of_the_prediction(demos: MakeDemos):
    data = EpisodeSet.load(demos())
    absolute = Sampler(data, data.train, 2, CHUNK).windows(np.arange(40))
    offsets = Sampler(data, data.train, 2, CHUNK, offset_columns(DELTA, spec())).windows(
        np.arange(40)
    )
    here = absolute["qpos"][:, -1:, :2]
    np.testing.assert_array_equal(offsets["action"][..., :2], absolute["action"][..., :2] - here)
    np.testing.assert_array_equal(offsets["action"][..., 2], absolute["action"][..., 2])
    np.testing.assert_array_equal(
        data.actions[data.steps(data.train)[:40]], absolute["action"][:, 0]
    )


def test_the_statistics_are_those_of_all_offsets_inside_the_episodes(demos: MakeDemos, monkeypatch):
    monkeypatch.setattr("policies.offsets.BLOCK", 7)
    data = EpisodeSet.load(demos())
    found = action_stats(Sampler(data, data.train, 1, CHUNK, (0, 1)))
    every = []
    for i in data.train:
        rows = range(data.starts[i], data.starts[i] + data.lengths[i])
        for now in rows:
            for then in rows[now - rows[0] :][:CHUNK]:
                moved = data.actions[then].astype(np.float64)
                moved[:2] = data.actions[then, :2] - data.observations["qpos"][now, :2]
                every.append(moved)
    expected = KeyStats.of(np.array(every))
    assert found.count == expected.count
    for what in ("minimum", "maximum", "mean", "std"):
        np.testing.assert_allclose(getattr(found, what), getattr(expected, what), atol=1e-9)


def test_what_was_learnt_as_offsets_leads_where_the_demonstrations_go(
    small: None, demos: MakeDemos, tmp_path: Path
):
    data = demos()
    config = TrainConfig("bc", data, tmp_path / "run", preset="quick-delta", steps=300, batch=16)
    policy = load_checkpoint(train(config))
    assert policy.name == "bc-delta"
    demonstrated = EpisodeSet.load(data)
    rows = demonstrated.steps(demonstrated.train)
    policy.reset(["go"] * len(rows), rows)
    seen = {key: array[rows, None] for key, array in demonstrated.observations.items()}
    assert np.abs(policy.act(seen)[:, 0] - demonstrated.actions[rows]).mean() < 0.03
    offsets = policy.normalizer.stats.keys["action"]
    assert max(np.abs(offsets.maximum[:2])) < 0.2  # a step's way, not the joints' range


@pytest.mark.parametrize("robot", list(ROBOTS))
def test_the_grippers_of_every_robot_stay_absolute(robot: str):
    arm = ROBOTS[robot].spec()
    columns = offset_columns(DELTA, spec(arm.joints))
    assert sorted({*columns, *arm.grippers}) == list(range(arm.n))
    assert not set(columns) & set(arm.grippers)


def test_offsets_need_a_joint_position_and_a_known_name():
    made = PolicySpec("gym:x", ("a",), 50.0, "x", "state", {"state": (3,)}, 1, CHUNK, 2)
    with pytest.raises(UsageError, match="delta actions need qpos of 1 joints, got none"):
        offset_columns(DELTA, made)
    with pytest.raises(UsageError, match="unknown actions 'velocity'; known: absolute, delta"):
        AlgorithmConfig(actions="velocity")
    with pytest.raises(UsageError, match=r"unknown preset 'huge' .*each with -delta after it"):
        preset("bc", "state", "huge-delta")
