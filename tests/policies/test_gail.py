"""GAIL: what a step is worth, what is learned from it, and how it stops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_train import interrupted_at

from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from policies.base import PolicySpec
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet, Reading
from policies.gail import Gail, GailConfig
from policies.gail_rollout import UNIT, Rollout, as_judged, demonstrated
from policies.gail_train import FASTER, PATIENCE, GailTrainer, Watch
from policies.normalize import Normalizer
from policies.ppo import Steps, advantages, standardised, surrogate
from policies.train import LAST_GOOD, train
from policies.train_config import TrainConfig
from policies.train_log import read_log

SPEC = PolicySpec("toy", ("a", "b"), 50.0, "toy", "state", {"qpos": (2,)}, 1, 1, 1)
SMALL = GailConfig(hidden=(16,), judge=(16,), warm=5, episodes=2, judged=2, epochs=1, held=1)


@pytest.fixture(scope="module")
def demos(tmp_path_factory) -> Path:
    """Two demonstrations of pick_place."""
    folder = tmp_path_factory.mktemp("demos") / "pick_place"
    collect(Collection("pick_place"), 2, folder)
    return folder


@pytest.fixture
def config(demos, tmp_path, monkeypatch) -> TrainConfig:
    """Three small iterations."""
    known = Gail.PRESETS["state", "quick"]
    presets = {("state", "quick"): known._replace(config=SMALL)}
    monkeypatch.setattr(Gail, "PRESETS", presets)
    return TrainConfig("gail", demos, tmp_path / "run", preset="quick", steps=3, validation=0.0)


def test_it_trains_logs_its_curve_and_leaves_a_policy_like_any_other(config) -> None:
    policy = load_checkpoint(train(config))
    assert policy.name == "gail"
    policy.reset([""], [0])
    shapes = policy.spec.observations
    chunk = policy.act({key: np.zeros((1, 1, *shape), np.float32) for key, shape in shapes.items()})
    assert chunk.shape == (1, 1, 7)
    lines = read_log(config.out)
    assert [line["step"] for line in lines] == [1, 2, 3]
    for name in ("reward", "judge_loss", "judge_expert", "judge_policy", "kl", "rollout_success"):
        assert all(np.isfinite(line[name]) for line in lines)
    assert not (config.out / LAST_GOOD).exists()


def test_offsets_are_refused_instead_of_rolled_out_as_targets(config) -> None:
    with pytest.raises(UsageError, match="absolute actions: --preset without -delta"):
        train(replace(config, preset="quick-delta"))


def test_several_actions_at_once_are_refused(config) -> None:
    with pytest.raises(UsageError, match="decides at every step: --chunk 1, got 4"):
        train(replace(config, chunk=4))


def test_a_policys_own_steps_are_not_taken_for_the_experts(config, monkeypatch) -> None:
    load = EpisodeSet.load

    def partly(folder: Path, reading: Reading) -> EpisodeSet:
        data = load(folder, reading)
        return replace(data, labelled=np.arange(len(data.actions)) % 2 == 0)

    monkeypatch.setattr(EpisodeSet, "load", partly)
    with pytest.raises(UsageError, match="some of --data are a policy's"):
        train(config)


def test_an_interrupted_training_goes_on_to_the_same_weights(config) -> None:
    whole = train(config)
    cut = replace(config, out=config.out.with_name("cut"))
    with pytest.raises(KeyboardInterrupt):
        train(cut, interrupted_at(2))
    again = train(cut)
    assert (whole / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()


def test_who_has_ended_his_episode_is_in_the_absorbing_state_until_the_horizon(demos) -> None:
    data = EpisodeSet.load(demos)
    horizon, width, n = 400, 21, 7
    spec = replace(SPEC, joints=data.meta.joints, observations=dict(data.recorded))
    steps = demonstrated(data, spec, Normalizer(data.stats(), "meanstd"), horizon)
    steps = steps.view(len(data.train), horizon, width + 1 + n)
    for row, i in enumerate(data.train):
        length = int(data.lengths[i])
        assert (steps[row, :length, width] == 0).all()
        assert (steps[row, length:, width] == 1).all()
        assert (steps[row, length:, :width] == 0).all()
        assert (steps[row, length:, width + 1 :] == 0).all()


def test_an_episode_that_ends_early_gets_as_many_rewards_as_one_that_does_not() -> None:
    model = Gail(SMALL, SPEC)
    steps = torch.randn(50, 2 + 1 + 2)
    steps[20:] = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    rewards = model.reward(steps)
    assert len(rewards) == 50
    assert (rewards > 0).all()
    torch.testing.assert_close(rewards[20:], rewards[20].expand(30))  # judged like any state


def test_the_discriminator_learns_to_tell_two_sides_apart_and_pays_what_looks_demonstrated(
    config,
) -> None:
    trainer = trainer_of(config)
    theirs, ours = torch.randn(2000, 29) + 1, torch.randn(2000, 29) - 1
    trainer.expert = theirs
    rollout = type("Made", (), {"steps": ours[None]})()
    trainer.settings = replace(trainer.settings, judged=150, judge_lr=3e-3)
    values = trainer._discriminate(rollout)
    assert values["judge_expert"] > 0.95
    assert values["judge_policy"] > 0.95
    model = trainer.algorithm
    assert model.reward(theirs).mean() > 3 * model.reward(ours).mean()


def test_ppo_moves_a_policy_towards_what_is_paid() -> None:
    torch.manual_seed(0)
    model = Gail(replace(SMALL, spread=0.3), SPEC)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    seen, goal = torch.zeros(512, 2), torch.tensor([0.5, -0.5])
    before = (model.mean(seen[:1]) - goal).norm()
    for _ in range(60):
        with torch.no_grad():
            action = model.mean(seen) + 0.3 * torch.randn(512, 2)
            old = model.log_chance(seen, action)
            paid = standardised(-(action - goal).square().sum(-1), torch.ones(512, dtype=bool))
        ratio = (model.log_chance(seen, action) - old).exp()
        loss = -surrogate(ratio, paid, 0.2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model.mean(seen[:1]) - goal).norm() < 0.5 * before


def test_the_discriminator_sees_how_far_an_action_asks_the_joints_to_go(demos) -> None:
    data = EpisodeSet.load(demos)
    spec = replace(SPEC, joints=data.meta.joints, observations=dict(data.recorded))
    normalizer = Normalizer(data.stats(), "meanstd")
    steps = demonstrated(data, spec, normalizer, 400)
    seen = as_judged(steps, spec, normalizer)
    torch.testing.assert_close(seen[:, :22], steps[:, :22])
    ended = steps[:, 21] == 1
    assert (seen[ended, 22:] == 0).all()
    rows = data.steps(data.train)
    far = data.actions[rows] - data.observations["qpos"][rows]
    torch.testing.assert_close(seen[~ended, 22:] * UNIT, torch.tensor(far), atol=1e-5, rtol=0)


def test_the_policys_rate_falls_where_a_step_is_too_far_and_rises_where_none_is(config) -> None:
    trainer = trainer_of(config)
    trainer.settings = replace(trainer.settings, kl=0.05, epochs=2, minibatch=100, held=0)
    rollout = trainer.generator.roll(trainer.algorithm, 0, trainer.state.augment)
    pace = trainer.algorithm.pace
    far = trainer._learn_policy(batches_of(trainer, rollout, 0.1))
    assert far["updates"] < 8 // 2
    assert float(pace) == pytest.approx(0.1 / FASTER)
    rollout = trainer.generator.roll(trainer.algorithm, 1, trainer.state.augment)
    near = trainer._learn_policy(batches_of(trainer, rollout, 1e-7))
    assert near["updates"] == len(trainer._minibatches(trainer._judged(rollout)[0]))
    assert near["kl"] < 0.05 / 2
    assert float(pace) == pytest.approx(1e-7 * FASTER)
    assert near["policy_lr"] == float(pace)


def batches_of(trainer: GailTrainer, rollout: Rollout, rate: float) -> list[Steps]:
    """Return the minibatches of a roll-out; the policy's rate is then ``rate``."""
    trainer.algorithm.pace.fill_(rate)
    return trainer._minibatches(trainer._judged(rollout)[0])


def test_an_iteration_changes_the_policy_by_no_more_than_it_may(config) -> None:
    trainer = trainer_of(config)
    trainer.settings = replace(trainer.settings, kl=0.05, epochs=4, minibatch=50)
    kls = []
    for i in range(8):
        rollout = trainer.generator.roll(trainer.algorithm, i, trainer.state.augment)
        batches = trainer._minibatches(trainer._judged(rollout)[0])
        kls.append(trainer._learn_policy(batches))
    assert kls[-1]["updates"] > 4  # at the rate of old, one step was too far each time
    assert all(row["kl"] < 0.5 for row in kls[5:])


def test_the_noise_of_successive_steps_is_correlated_and_as_wide_as_told(config) -> None:
    trainer = trainer_of(config)
    model = trainer.algorithm
    with torch.no_grad():
        model.actor[-1].weight.zero_()  # the mean is 0 wherever it is
        model.actor[-1].bias.zero_()
    rolls = [trainer.generator.roll(model, i, trainer.state.augment) for i in range(5)]
    noise = torch.cat([roll.steps[..., -7:] for roll in rolls], dim=1).flatten(1)
    assert float(noise.std()) == pytest.approx(SMALL.spread, rel=0.1)
    after = (noise[1:] * noise[:-1]).mean() / noise.square().mean()
    assert float(after) == pytest.approx(SMALL.sway, abs=0.05)


def test_cloning_pulls_the_policy_towards_the_demonstrations(config) -> None:
    trainer = trainer_of(config)
    trainer.settings = replace(trainer.settings, kl=1e9)
    before = trainer._cloning().item()
    rollout = trainer.generator.roll(trainer.algorithm, 0, trainer.state.augment)
    steps, _ = trainer._judged(rollout)
    idle = replace(steps, advantage=torch.zeros_like(steps.advantage))
    trainer.algorithm.pace.fill_(1e-3)
    trainer._learn_policy([idle] * 100)
    assert trainer._cloning().item() < before


def test_cloning_loss_that_rises_is_no_over_fitting(config, monkeypatch) -> None:
    monkeypatch.setattr("policies.train.overfits", lambda history: True)
    said: list[str] = []
    train(replace(config, validation=0.5), say=said.append)
    assert not [text for text in said if "over-fitting" in text]
    assert "val_loss" in read_log(config.out)[-1]


def test_advantages_are_the_discounted_sums_of_errors() -> None:
    rng = np.random.default_rng(0)
    reward, value = (torch.tensor(rng.normal(size=(5, 2))) for _ in range(2))
    last = torch.tensor(rng.normal(size=2))
    found = advantages(reward, value, last, 0.9, 0.8)
    after = torch.cat([value[1:], last[None]])
    error = reward + 0.9 * after - value
    direct = sum((0.9 * 0.8) ** k * error[k] for k in range(5))
    torch.testing.assert_close(found[0], direct)
    plain = advantages(reward, value, last, 0.9, 1.0)[0]
    returns = sum(0.9**k * reward[k] for k in range(5)) + 0.9**5 * last
    torch.testing.assert_close(plain, returns - value[0])


def trainer_of(config: TrainConfig) -> GailTrainer:
    data = EpisodeSet.load(Path(config.data))
    return GailTrainer(config, config.resolve(), data, lambda text: None)


def test_a_collapsed_discriminator_is_told_after_a_while_and_a_passing_one_is_not() -> None:
    watch = Watch()
    for _ in range(PATIENCE - 1):
        assert not watch.look(reward=1e-5, deviation=1.0)
    assert not watch.look(reward=0.5, deviation=1.0)  # it recovered
    assert watch.healthy
    told = [watch.look(reward=1e-5, deviation=1.0) for _ in range(PATIENCE)]
    assert told[:-1] == [""] * (PATIENCE - 1)
    assert "told every step apart" in told[-1]
    told = [Watch().look(0.5, 0.0)] + [watch.look(0.5, 0.0) for _ in range(PATIENCE)]
    assert "judged all steps alike" in told[-1]


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ({"reward": 1e-6}, "told every step apart"),
        ({"logit_deviation": 0.0}, "judged all steps alike"),
        ({"kl": float("nan")}, "kl is not finite"),
    ],
)
def test_it_stops_with_the_last_good_policy_when_something_breaks(
    config, monkeypatch, planted, message
) -> None:
    improve, broken = GailTrainer._improve, dict(planted)

    def sabotage(trainer, rollout):
        values = improve(trainer, rollout)
        return values | broken if trainer.state.step >= 1 else values

    monkeypatch.setattr(GailTrainer, "_improve", sabotage)
    monkeypatch.setattr("policies.gail_train.PATIENCE", 1)
    with pytest.raises(UsageError, match=rf"GAIL stopped at iteration 1: .*{message}.*last good"):
        train(config)
    kept = load_checkpoint(config.out / LAST_GOOD)
    assert kept.provenance["training"]["steps"] == 1


def test_a_loss_that_is_not_finite_stops_it_before_the_weights_are_harmed(
    config, monkeypatch
) -> None:
    steep = GailTrainer._steepness

    def explode(trainer, theirs, ours):
        return steep(trainer, theirs, ours) * (float("nan") if trainer.state.step else 1.0)

    monkeypatch.setattr(GailTrainer, "_steepness", explode)
    with pytest.raises(UsageError, match="a loss is not finite; the last good policy is kept in"):
        train(config)
    weights = load_checkpoint(config.out / LAST_GOOD).algorithm.state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_what_gail_cannot_learn_from_is_refused(config, tmp_path) -> None:
    with pytest.raises(UsageError, match="gail does not learn on the pixels track"):
        train(replace(config, track="pixels"))
