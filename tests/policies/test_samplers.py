"""DDIM and DPM-Solver++ against diffusers and against a case whose answer is known."""

import math

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from torch import Tensor

from policies.samplers import SAMPLERS, Ddim, DpmSolver, Network, Schedule, descent

MEAN, SPREAD = 0.2, 0.1  # of the chunks that the exact network was trained on


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("steps", [1, 4, 10, 16])
def test_a_descent_equals_the_one_of_diffusers(prediction: str, spacing: str, steps: int) -> None:
    scheduler = DDIMScheduler(
        num_train_timesteps=100,
        beta_schedule="squaredcos_cap_v2",
        prediction_type=prediction,
        timestep_spacing=spacing,
    )
    scheduler.set_timesteps(steps)
    torch.manual_seed(0)
    mine = theirs = torch.randn(3, 16, 2)
    table = descent(Schedule(100, prediction, steps, spacing))
    assert [step.level for step in table] == scheduler.timesteps.tolist()
    for step in table:
        output = torch.randn(3, 16, 2)
        mine = step.apply(mine, output, prediction)
        theirs = scheduler.step(output, step.level, theirs).prev_sample
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers'
@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_the_solver_equals_the_one_of_diffusers(steps: int) -> None:
    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=100,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        algorithm_type="dpmsolver++",
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    torch.manual_seed(0)
    clean = {int(t): torch.rand(3, 16, 2) * 2 - 1 for t in scheduler.timesteps}
    start = theirs = torch.randn(3, 16, 2)
    mine = DpmSolver(Schedule(100, "sample", steps, "trailing"))(lambda x, t: clean[t], start)
    for t in scheduler.timesteps:
        theirs = scheduler.step(clean[int(t)], t, theirs).prev_sample
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def exact(schedule: Schedule) -> tuple[Network, float]:
    """Return the best network for chunks drawn from one Gaussian, and sqrt(abar) at the start."""
    kept = Ddim(schedule).steps
    roots = {step.level: (step.signal, step.noise) for step in kept}

    def network(x: Tensor, level: int) -> Tensor:
        signal, noise = roots[level]
        gain = signal * SPREAD**2 / (signal**2 * SPREAD**2 + noise**2)
        clean = MEAN + gain * (x - signal * MEAN)
        return clean if schedule.prediction == "sample" else (x - signal * clean) / noise

    return network, kept[0].signal


def error(sampler: str, steps: int, prediction: str = "sample") -> float:
    """Return how far a sampler ends from where the exact flow of probability leads."""
    schedule = Schedule(100, prediction, steps, "leading")
    network, signal = exact(schedule)
    x = torch.linspace(-2, 2, 9)[None, :, None]
    scale = SPREAD / math.sqrt(signal**2 * SPREAD**2 + 1 - signal**2)
    wanted = MEAN + scale * (x - signal * MEAN)
    return float((SAMPLERS[sampler](schedule)(network, x) - wanted).abs().max())


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_more_steps_come_closer_to_the_exact_answer(sampler: str) -> None:
    assert error(sampler, 50) < 0.5 * error(sampler, 10) < 0.5 * error(sampler, 2)


def test_the_solver_of_second_order_needs_fewer_steps() -> None:
    assert error("dpm", 10) < 0.5 * error("ddim", 10)


def test_what_the_network_predicts_makes_no_difference_to_the_solver() -> None:
    schedule = [Schedule(100, kind, 8, "leading") for kind in ("epsilon", "sample")]
    x = torch.linspace(-1, 1, 5)[None, :, None]
    out = [DpmSolver(s)(exact(s)[0], x) for s in schedule]
    torch.testing.assert_close(out[0], out[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_the_clean_chunk_is_clipped(sampler: str) -> None:
    made = SAMPLERS[sampler](Schedule(100, "sample", 5, "trailing"))
    out = made(lambda x, level: torch.full_like(x, 7.0), torch.randn(2, 4, 1))
    assert out.max() <= 1.001
