"""BC-RNN: what it remembers, for how long, and how it chooses."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from envs.errors import UsageError
from policies.base import PolicySpec
from policies.bc_rnn import BcRnn, BcRnnConfig

CONFIG = BcRnnConfig(horizon=4, hidden=16, chunk=2, execute=2, modes=3, min_std=0.01)


def make(config: BcRnnConfig = CONFIG) -> BcRnn:
    torch.manual_seed(0)
    steps = (config.n_obs, config.chunk, config.execute)
    return BcRnn(
        config, PolicySpec("toy", ("a", "b"), 50.0, "toy", "state", {"qpos": (2,)}, *steps)
    )


def observe(rows: int, calls: int) -> Tensor:
    return torch.randn((calls, rows, 1, 2), generator=torch.Generator().manual_seed(1))


def run(model: BcRnn, seen: Tensor, noise: Tensor) -> Tensor:
    """Return the chunks of a trial (calls, rows, chunk, n)."""
    memory, out = None, []
    with torch.no_grad():
        for qpos, drawn in zip(seen, noise, strict=True):
            chunk, memory = model.step({"qpos": qpos}, drawn, memory)
            out.append(chunk)
    return torch.stack(out)


def test_a_trial_unrolls_the_lstm_as_training_does():
    model = make(replace(CONFIG, modes=1, eval_std=0.0))
    seen = observe(3, 4)
    out = run(model, seen, torch.zeros(4, 3, *model.noise_shape))
    rolled, _ = model.lstm(seen[:, :, 0].transpose(0, 1))
    mean, *_ = model._mixture(rolled.flatten(0, 1))
    expected = mean[:, 0].view(3, 4, 2, 2).transpose(0, 1)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_the_memory_lasts_for_the_horizon_and_no_longer():
    model = make()
    seen, noise = observe(1, 6), torch.zeros(6, 1, *model.noise_shape)
    other = seen.clone()
    other[2] += 1.0
    first, second = run(model, seen, noise), run(model, other, noise)
    assert torch.equal(first[:2], second[:2])
    assert not torch.allclose(first[3], second[3])  # still remembered
    assert torch.equal(first[4:], second[4:])  # the fifth prediction begins anew


def test_rows_that_are_at_different_points_of_their_horizon_do_not_mix():
    model = make()
    seen, noise = observe(1, 6), torch.zeros(1, *model.noise_shape)
    alone = run(model, seen, noise.expand(6, 1, -1))
    memories, memory = [], None
    for qpos in seen:
        memories.append(memory)
        memory = model.step({"qpos": qpos}, noise, memory)[1]
    early, late = 1, 4  # one goes on, one forgets
    joined = tuple(torch.cat(pair) for pair in zip(memories[early], memories[late], strict=True))
    both, _ = model.step({"qpos": seen[[early, late], 0]}, noise.expand(2, -1), joined)
    torch.testing.assert_close(both, alone[[early, late], 0], atol=1e-5, rtol=1e-5)


def test_the_loss_is_the_likelihood_of_the_mixture_over_what_is_inside_the_episode():
    model = make()
    batch = {
        "qpos": torch.randn(8, 1, 2),
        "action": torch.rand(8, 2, 2) - 0.5,
        "pad": torch.tensor([[False, False]] * 6 + [[False, True], [True, True]]),
    }
    loss, _ = model.loss(batch)
    model.requires_grad_(False)
    hidden, _ = model.lstm(batch["qpos"].view(2, 4, 2))
    mean, log_weight, spread = model._mixture(hidden.flatten(0, 1))
    total = 0.0
    for row in range(8):
        inside = ~batch["pad"][row]
        if inside.any():
            normal = torch.distributions.Normal(mean[row][:, inside], spread[row][:, inside])
            each = normal.log_prob(batch["action"][row, inside]).sum((1, 2))
            total += float(torch.logsumexp(log_weight[row] + each, 0))
    assert loss.item() == pytest.approx(-total / 13, rel=1e-4)


def learn(model: BcRnn, targets: Tensor, steps: int) -> None:
    """Fit one observation to ``targets`` (B horizon, chunk, n)."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    pad = torch.zeros(targets.shape[:2], dtype=torch.bool)
    for _ in range(steps):
        batch = {"qpos": torch.zeros(len(targets), 1, 2), "action": targets, "pad": pad}
        loss, _ = model.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_it_takes_either_of_two_ways_and_not_their_mean():
    model = make(replace(CONFIG, horizon=1))
    way = torch.full((1, 2, 2), 0.7)
    learn(model, torch.cat([way, -way] * 16), 250)
    noise = torch.randn((60, *model.noise_shape), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        drawn = model.predict({"qpos": torch.zeros(60, 1, 2)}, noise).mean((1, 2))
    assert (drawn.abs() - 0.7).abs().max() < 0.1
    assert 12 <= (drawn > 0).sum() <= 48


def test_what_chooses_the_gaussian_has_its_weights_as_chances():
    model = make(replace(CONFIG, eval_std=0.0))
    torch.nn.init.zeros_(model.weight.weight)
    model.weight.bias.data = torch.tensor([0.2, 0.5, 0.3]).log()
    noise = torch.randn((4000, *model.noise_shape), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        chunks = model.predict({"qpos": torch.zeros(4000, 1, 2)}, noise)
        mean, *_ = model._mixture(model.lstm(torch.zeros(1, 1, 2))[0][:, 0])
    for mode, chance in enumerate((0.2, 0.5, 0.3)):
        share = (chunks - mean[0, mode]).abs().amax((1, 2)) < 1e-6
        assert float(share.float().mean()) == pytest.approx(chance, abs=0.03)


def test_the_noise_of_a_trial_is_the_small_one():
    model = make(replace(CONFIG, modes=1, eval_std=1e-4))
    noise = torch.ones(1, *model.noise_shape)
    with torch.no_grad():
        moved, still = (
            model.predict({"qpos": torch.zeros(1, 1, 2)}, n) for n in (noise, 0 * noise)
        )
    torch.testing.assert_close(moved - still, torch.full((1, 2, 2), 1e-4), atol=2e-7, rtol=0)


def test_the_paper_preset_is_the_published_one():
    config, training = BcRnn.PRESETS["state", "paper"]
    assert isinstance(config, BcRnnConfig)
    assert (config.horizon, config.hidden, config.layers, config.modes) == (10, 400, 2, 5)
    assert (config.chunk, config.n_obs, config.min_std) == (1, 1, 1e-4)
    assert (training.batch, training.lr, training.schedule) == (100, 1e-4, "constant")
    seeing, _ = BcRnn.PRESETS["pixels", "paper"]
    assert isinstance(seeing, BcRnnConfig)
    assert seeing.hidden == 1000
    assert math.isclose(seeing.vision.crop, 76 / 84)


def test_settings_that_cannot_be_and_missing_noise_are_refused():
    with pytest.raises(UsageError, match="horizon must be at least 1, got 0"):
        BcRnnConfig(horizon=0)
    with pytest.raises(UsageError, match=r"min_std must be positive, got 0\.0"):
        BcRnnConfig(min_std=0.0)
    with pytest.raises(ValueError, match="noise must have shape"):
        make().predict({"qpos": torch.zeros(1, 1, 2)}, None)
