"""Flow matching: a straight way from noise to the chunk."""

from dataclasses import replace

import pytest
import torch
from test_diffusion import LAYER, STATE, learn, observe
from torch import Tensor

from envs.errors import UsageError
from policies.base import PolicySpec
from policies.flow import PAPER, PREDICTIONS, FlowConfig, FlowPolicy
from policies.transformer import TransformerConfig

CONFIG = FlowConfig(
    chunk=16,
    execute=8,
    patch=4,
    condition=(32, 32),
    denoiser="transformer",
    transformer=TransformerConfig(layers=1, layer=LAYER),
)


def make(config: FlowConfig = CONFIG) -> FlowPolicy:
    torch.manual_seed(0)
    steps = (config.n_obs, config.chunk, config.execute)
    return FlowPolicy(config, PolicySpec("toy", ("a", "b"), 50.0, "toy", "state", STATE, *steps))


def exactly(model: FlowPolicy, towards: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the model the exact field that leads to one chunk, in the form its config asks for."""

    def field(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        if model.config.prediction == "clean":
            return torch.full_like(x, towards)
        return (towards - x) / (1 - time[:, None, None] / 100)

    monkeypatch.setattr(model, "denoise", field)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [1, 2, 4, 10])
def test_the_exact_field_leads_to_the_chunk_in_any_number_of_steps(
    steps: int, prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(replace(CONFIG, denoise=steps, prediction=prediction))
    exactly(model, 0.6, monkeypatch)
    out = model.predict(observe(model, 3), torch.randn(3, 16, 2))
    torch.testing.assert_close(out, torch.full((3, 16, 2), 0.6), atol=1e-5, rtol=0)


@pytest.mark.parametrize("tilt", [0.0, 0.5, 3.0])
def test_training_times_are_where_there_is_most_noise(
    tilt: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = make(replace(CONFIG, tilt=tilt)), []

    def keep(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        seen.append(time)
        return torch.zeros_like(x)

    monkeypatch.setattr(model, "denoise", keep)
    obs = observe(model, 5000)
    pad = torch.zeros(5000, 16, dtype=torch.bool)
    model.loss({**obs, "action": torch.zeros(5000, 16, 2), "pad": pad})
    assert float(seen[0].mean()) == pytest.approx(100 / (2 + tilt), rel=0.05)
    assert seen[0].min() >= 0
    assert seen[0].max() <= 100


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_loss_of_the_exact_field_is_zero_and_padding_is_left_out(
    prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(replace(CONFIG, prediction=prediction))
    exactly(model, 0.3, monkeypatch)
    obs, pad = observe(model, 4), torch.zeros(4, 16, dtype=torch.bool)
    pad[:, 12:] = True
    action = torch.full((4, 16, 2), 0.3)
    action[:, 12:] = 9.0
    loss, _ = model.loss({**obs, "action": action, "pad": pad})
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_it_draws_either_of_two_ways_and_not_their_mean(prediction: str) -> None:
    model = make(replace(CONFIG, denoise=10, prediction=prediction))
    way = torch.ones(1, 16, 2) * 0.7
    learn(model, torch.cat([way, -way] * 16), 400)
    obs = {k: torch.zeros(40, 1, *v) for k, v in STATE.items()}
    drawn = model.predict(obs, torch.randn(40, 16, 2)).mean((1, 2))
    assert ((drawn.abs() - 0.7).abs() < 0.2).float().mean() > 0.8
    assert 4 <= (drawn > 0).sum() <= 36


def test_steps_can_be_changed_after_training() -> None:
    model = make()
    obs, noise = observe(model, 2), torch.randn(2, 16, 2)
    usual = model.predict(obs, noise)
    model.use_steps(1)
    assert not torch.equal(usual, model.predict(obs, noise))
    with pytest.raises(UsageError, match="denoise must be at least 1, got 0"):
        model.use_steps(0)


def test_the_paper_preset_has_the_steps_and_times_of_pi0() -> None:
    assert (PAPER.chunk, PAPER.denoise, PAPER.tilt) == (50, 10, 0.5)
    assert PAPER.prediction == "direction"
    with pytest.raises(UsageError, match=r"tilt must not be negative, got -1\.0"):
        FlowConfig(tilt=-1.0)
    with pytest.raises(UsageError, match="unknown prediction 'mean'; known: clean, direction"):
        FlowConfig(prediction="mean")
