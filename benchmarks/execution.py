"""How a run carries out the chunks that its policy predicts."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from envs.errors import UsageError
from policies.background import Background
from policies.base import Policy, PolicySpec
from policies.chunking import Controller, timing_problem, usual_execute
from policies.trained import use_ddim_steps, use_sampler


@dataclass(frozen=True)
class Execution:
    """How predicted chunks are carried out.

    Attributes:
        execute: actions of a chunk that are carried out before the next prediction.
        ensemble: decay of the temporal ensemble, or None for none.
        batch: trials in a wave; part of a run's identity, because batched arithmetic is.
        delay: control steps that a prediction takes, the ones before it running on meanwhile.
        ddim_steps: denoising steps of a prediction, or None for the policy's own.
        sampler: which way they go, ``ddim`` or ``dpm``, or None for the policy's own.
    """

    execute: int
    ensemble: float | None = None
    batch: int = 50
    delay: int = 0
    ddim_steps: int | None = None
    sampler: str | None = None

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        for name, value in (("execute", self.execute), ("batch", self.batch)):
            if value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}")
        if self.delay < 0:
            raise UsageError(f"delay must be 0 or more, got {self.delay}")
        if self.ensemble is not None and not 0 <= self.ensemble < math.inf:
            raise UsageError(f"ensemble must be 0 or more and finite, got {self.ensemble}")

    def to_json(self) -> dict[str, Any]:
        """Return the form in a manifest; what is as usual is left out of what came later."""
        later = {"delay": 0, "ddim_steps": None, "sampler": None}
        return {k: v for k, v in asdict(self).items() if k not in later or v != later[k]}

    def controller(self, policy: Policy) -> Controller:
        """Return what carries the chunks of ``policy`` out in this way."""
        return Controller(policy, self.execute, self.ensemble, self.delay)

    @contextmanager
    def driving(self, policy: Policy) -> Iterator[Controller]:
        """Give what carries the chunks of ``policy`` out on an arm, where time passes.

        With a delay a thread predicts, which ends with the context.
        """
        if not self.delay:
            yield self.controller(policy)
            return
        controller = Background(policy, self.execute, self.ensemble, self.delay)
        try:
            yield controller
        finally:
            controller.close()

    def budget_ms(self, hz: float) -> float:
        """Return the time [ms] within which a prediction must be there, at ``hz`` control steps."""
        return 1e3 * (self.delay or self.execute) / hz


@dataclass(frozen=True)
class Wanted:
    """What is asked of an ``Execution``; what is not said is as the policy has it."""

    execute: int | None = None
    ensemble: float | None = None
    delay: int = 0
    ddim_steps: int | None = None
    sampler: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is asked for, without what is as usual."""
        usual = Wanted()
        return {k: v for k, v in asdict(self).items() if v != getattr(usual, k)}

    def execution(self, spec: PolicySpec, batch: int = 1) -> Execution:
        """Return how chunks of a policy of ``spec`` are carried out.

        Raises:
            UsageError: they cannot be carried out so.
        """
        usual = usual_execute(spec, self.ensemble, self.delay)
        execute = usual if self.execute is None else self.execute
        drawn = (self.ddim_steps, self.sampler)
        execution = Execution(execute, self.ensemble, batch, self.delay, *drawn)
        if problem := timing_problem(spec.chunk, execute, self.delay):
            raise UsageError(problem)
        return execution

    def use(self, policy: Policy) -> None:
        """Let ``policy`` denoise as asked.

        Raises:
            UsageError: it does not denoise here, or not so.
        """
        use_sampler(policy, self.sampler)
        use_ddim_steps(policy, self.ddim_steps)
