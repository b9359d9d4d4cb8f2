"""From noise to a chunk in a few steps: DDIM and DPM-Solver++.

Both are deterministic: a chunk is a function of the noise it starts from. Both ask the network for
the clean chunk at the level reached and clip it to [-1, 1], as the training data is.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from envs.errors import UsageError

Network = Callable[[Tensor, int], Tensor]
"""What the network returns for a noisy chunk (B, chunk, n) at a level."""


@dataclass(frozen=True)
class Schedule:
    """Noise levels, and which of them are visited.

    Attributes:
        levels: of training (squared cosine).
        prediction: what the network returns, ``"epsilon"`` or ``"sample"``.
        steps: levels visited.
        spacing: ``"leading"`` or ``"trailing"``.
    """

    levels: int
    prediction: str
    steps: int
    spacing: str

    def __post_init__(self) -> None:
        """Refuse more steps than levels."""
        if not 1 <= self.steps <= self.levels:
            raise UsageError(f"denoise must be in 1..levels={self.levels}, got {self.steps}")

    def training(self) -> dict[str, object]:
        """Return the arguments of diffusers' schedulers that training and inference share."""
        return {
            "num_train_timesteps": self.levels,
            "beta_schedule": "squaredcos_cap_v2",
            "prediction_type": self.prediction,
        }


@dataclass(frozen=True)
class Descent:
    """One DDIM step from a noise level to the next lower one.

    Attributes:
        level: index into the training schedule.
        signal: sqrt(abar) here, and ``noise`` is sqrt(1 - abar).
        noise: see ``signal``.
        next_signal: the same at the next level.
        next_noise: the same at the next level.
    """

    level: int
    signal: float
    noise: float
    next_signal: float
    next_noise: float

    def apply(self, x: Tensor, output: Tensor, prediction: str) -> Tensor:
        """Return the chunk at the next level; the clean estimate is clipped to [-1, 1].

        Song et al. 2021, equation 12 with eta = 0, as diffusers' ``DDIMScheduler.step``: the
        noise estimate is the one before clipping.
        """
        if prediction == "epsilon":
            noise, clean = output, (x - self.noise * output) / self.signal
        else:
            noise, clean = (x - self.signal * output) / self.noise, output
        return self.next_signal * clean.clamp(-1, 1) + self.next_noise * noise


def descent(schedule: Schedule) -> tuple[Descent, ...]:
    """Return the DDIM steps of ``schedule``, from the noisiest level to none."""
    scheduler = DDIMScheduler(**schedule.training(), timestep_spacing=schedule.spacing)
    scheduler.set_timesteps(schedule.steps)
    levels = [int(t) for t in scheduler.timesteps]
    stride = schedule.levels // schedule.steps
    steps = []
    for level in levels:
        here = float(scheduler.alphas_cumprod[level])
        after = level - stride
        there = float(scheduler.alphas_cumprod[after]) if after >= 0 else 1.0
        roots = (math.sqrt(here), math.sqrt(1 - here), math.sqrt(there), math.sqrt(1 - there))
        steps.append(Descent(level, *roots))
    return tuple(steps)


class Ddim:
    """Denoising diffusion implicit models (Song et al. 2021), written as a table of numbers.

    Without the scheduler's bookkeeping the loop is plain arithmetic and exports as one graph.
    """

    def __init__(self, schedule: Schedule) -> None:
        """Prepare the steps."""
        self.prediction = schedule.prediction
        self.steps = descent(schedule)

    def __call__(self, network: Network, x: Tensor) -> Tensor:
        """Return the clean chunk that ``network`` makes of noise ``x`` (B, chunk, n)."""
        for step in self.steps:
            x = step.apply(x, network(x, step.level), self.prediction)
        return x


@dataclass(frozen=True)
class Leap:
    """One step of DPM-Solver++ from a noise level to the next lower one.

    x' = keep x + pull clean + turn (clean - clean of the level before)
    """

    level: int
    signal: float
    noise: float
    keep: float
    pull: float
    turn: float


def multistep(schedule: Schedule) -> tuple[Leap, ...]:
    """Return the steps of DPM-Solver++(2M) (Lu et al. 2022, algorithm 2) over the levels of DDIM.

    With lambda = log(signal / noise) and h its increase: keep = noise' / noise, pull = signal'
    (1 - exp(-h)), turn = pull h / (2 h before). The first step knows no level before, the last one
    goes to no noise at all, where h is infinite: both are of first order (turn = 0).
    """
    seen = descent(schedule)
    here = [(step.signal, step.noise) for step in seen]
    there = [*here[1:], (1.0, 0.0)]
    steps, before = [], math.inf
    for step, (signal, noise) in zip(seen, there, strict=True):
        keep = noise / step.noise
        pull = signal - keep * step.signal
        last = noise == 0.0
        h = math.inf if last else math.log(signal / noise) - math.log(step.signal / step.noise)
        turn = 0.0 if last else pull * h / (2 * before)
        steps.append(Leap(step.level, step.signal, step.noise, keep, pull, turn))
        before = h
    return tuple(steps)


class DpmSolver:
    """DPM-Solver++ of second order, several steps, in its data-prediction form.

    It is what diffusers' ``DPMSolverMultistepScheduler`` does, as a table of numbers, too.
    """

    def __init__(self, schedule: Schedule) -> None:
        """Prepare the steps."""
        self.prediction = schedule.prediction
        self.steps = multistep(schedule)

    def __call__(self, network: Network, x: Tensor) -> Tensor:
        """Return the clean chunk that ``network`` makes of noise ``x`` (B, chunk, n)."""
        before = x
        for step in self.steps:
            clean = network(x, step.level)
            if self.prediction == "epsilon":
                clean = (x - step.noise * clean) / step.signal
            clean = clean.clamp(-1, 1)
            x = step.keep * x + step.pull * clean + step.turn * (clean - before)
            before = clean
        return x


SAMPLERS: Mapping[str, type[Ddim] | type[DpmSolver]] = {"ddim": Ddim, "dpm": DpmSolver}
