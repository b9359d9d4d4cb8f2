"""How GAIL is trained: a warm start, then roll-outs, discriminator and policy in turns.

The loop, the log, resuming and checkpoints are those of every training (``policies/train.py``); a
step of it is an iteration. Every ``KEEP`` healthy iterations the policy is kept: if the losses
stop being finite or the discriminator collapses, training stops and the last one kept remains.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from envs.batch import SimBatch
from envs.collection import Collection
from envs.errors import UsageError
from envs.tasks import TASKS
from policies.base import Preset, flat
from policies.checkpoint_files import PROVENANCE
from policies.gail import JUDGED, Gail
from policies.gail_rollout import Generator, Rollout, as_judged, demonstrated
from policies.ppo import NORM, Steps, advantages, standardised, surrogate
from policies.sources import Source
from policies.stream import Stream
from policies.train import LAST_GOOD, Trainer
from policies.train_config import TrainConfig
from policies.train_log import TrainLog
from policies.train_session import Clock

KEEP = 5
"""Iterations between two policies that are kept in case it goes wrong."""
SEPARATED = 1e-3
"""Mean reward below which the discriminator tells every step apart: nothing is left to learn."""
INDIFFERENT = 1e-4
"""Deviation of its logits below which the discriminator judges nothing."""
PATIENCE = 10
"""Iterations in a row that a collapse must last."""
FASTER = 1.5
"""Factor by which the policy's learning rate adapts."""


class Watch:
    """Sees when a discriminator has collapsed."""

    def __init__(self) -> None:
        """Begin with a healthy one."""
        self.separated = self.indifferent = 0

    @property
    def healthy(self) -> bool:
        """Whether nothing was wrong in the last iteration."""
        return not (self.separated or self.indifferent)

    def look(self, reward: float, deviation: float) -> str:
        """Return what is wrong, empty if nothing is.

        Args:
            reward: mean of the policy's steps.
            deviation: of the logits over both sides.
        """
        self.separated = self.separated + 1 if reward < SEPARATED else 0
        self.indifferent = self.indifferent + 1 if deviation < INDIFFERENT else 0
        if self.separated >= PATIENCE:
            return (
                f"for {PATIENCE} iterations the discriminator has told every step apart (mean "
                f"reward {reward:.2g}): the policy gets no reward to learn from; try a larger "
                "gradient penalty, a smaller judge_lr or a longer warm start"
            )
        if self.indifferent >= PATIENCE:
            return (
                f"for {PATIENCE} iterations the discriminator has judged all steps alike "
                f"(deviation of its logits {deviation:.2g}); try a larger judge_lr"
            )
        return ""


class GailTrainer(Trainer):
    """One training of GAIL."""

    algorithm: Gail
    fits: ClassVar[bool] = False

    def __init__(
        self, config: TrainConfig, plan: Preset, source: Source, say: Callable[[str], None]
    ) -> None:
        """Prepare simulations and demonstrations beside what every training has.

        Raises:
            UsageError: demonstrations of no task known here, or not the expert's in every step.
        """
        if isinstance(source, Stream):  # TrainConfig refuses it: Gail.streams
            raise ValueError("GAIL needs fixed demonstrations, got a stream")
        if source.labelled is not None:
            raise UsageError(
                "GAIL compares with every step of an expert's episodes, and some of --data are a "
                "policy's, as armtrials dagger and deploy record them: give it demonstrations"
            )
        super().__init__(config, plan, source, say)
        task = TASKS[self.data.meta.task]
        self.settings = self.algorithm.config
        collection = Collection(task.name, self.data.meta.robot, seed=config.seed)
        sims = SimBatch(task, self.data.meta.robot, self.settings.episodes, threads=config.threads)
        self.generator = Generator(collection, sims, self.spec, self.normalizer)
        self.expert = self._as_judged(
            demonstrated(self.data, self.spec, self.normalizer, sims.horizon)
        )
        self.watch = Watch()

    def run(self, advance: Callable[[int], None]) -> Path:
        """Train to the end and write the checkpoint."""
        out = super().run(advance)
        shutil.rmtree(out / LAST_GOOD, ignore_errors=True)
        return out

    def _step(self, log: TrainLog, clock: Clock) -> None:
        """Do one iteration, the first one after the warm start."""
        state = self.state
        self.algorithm.train()
        if state.step == 0:
            self._warm_up()
        rollout = self.generator.roll(self.algorithm, state.step, state.augment)
        values = self._discriminate(rollout)
        values |= self._improve(rollout)
        values |= {"rollout_success": rollout.success, "rollout_progress": rollout.progress}
        rolled = float(rollout.chance.numel())
        values |= {"episodes": float(self.settings.episodes), "environment_steps": rolled}
        values["cpu_seconds"] = clock.seconds()[1]
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken:
            self._fail(f"{broken[0]} is not finite")
        problem = self.watch.look(values["reward"], values["logit_deviation"])
        if problem:
            self._fail(problem)
        state.step += 1
        state.loss = (state.loss[0] + values["judge_loss"], state.loss[1] + 1)
        if self.watch.healthy and (state.step % KEEP == 0 or state.step == 1):
            self._keep()
        self._log(log, values, clock)

    def _warm_up(self) -> None:
        """Clone the demonstrations' behaviour."""
        for _ in range(self.settings.warm):
            batch = self.sampler.batch(self.state.rng, self.plan.training.batch)
            loss, _ = self.algorithm.loss(self._tensors(batch, learn=True))
            self._descend(loss, self.plan.training.lr)

    def _descend(self, loss: Tensor, rate: float, limit: float = math.inf) -> None:
        """Do one gradient step on what ``loss`` depends on, at ``rate``; never on one not finite.

        Raises:
            UsageError: the loss or its gradient is not finite.
        """
        if not math.isfinite(float(loss.detach())):
            self._fail("a loss is not finite")
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.algorithm.parameters(), limit)
        if not math.isfinite(float(norm)):
            self._fail("a gradient is not finite")
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate
        self.state.optimizer.step()
        self.state.optimizer.zero_grad(set_to_none=True)

    def _discriminate(self, rollout: Rollout) -> dict[str, float]:
        """Train the discriminator to tell the policy's steps from the expert's."""
        model, settings = self.algorithm, self.settings
        made = self._as_judged(rollout.steps.flatten(0, 1))
        loss = torch.zeros(())
        for _ in range(settings.judged):
            ours, theirs = self._draw(made), self._draw(self.expert)
            model.norm.show(torch.cat([ours, theirs]))
            logits = model.logit(torch.cat([theirs, ours]))
            truth = torch.cat([torch.ones(len(theirs)), torch.zeros(len(ours))])
            loss = functional.binary_cross_entropy_with_logits(logits, truth)
            self._descend(
                loss + settings.penalty * self._steepness(theirs, ours), settings.judge_lr
            )
        with torch.no_grad():
            judged = [model.logit(self._draw(side)) for side in (self.expert, made)]
        return {
            "judge_loss": float(loss.detach()),
            "judge_expert": float((judged[0] > 0).float().mean()),
            "judge_policy": float((judged[1] < 0).float().mean()),
            "logit_deviation": float(torch.cat(judged).std()),
        }

    def _as_judged(self, steps: Tensor) -> Tensor:
        return as_judged(steps, self.spec, self.normalizer)

    def _draw(self, steps: Tensor) -> Tensor:
        rows = torch.from_numpy(self.state.rng.integers(len(steps), size=JUDGED))
        return steps[rows]

    def _steepness(self, theirs: Tensor, ours: Tensor) -> Tensor:
        """Return the mean of (|gradient of the logit| - 1)^2 between the two sides."""
        model = self.algorithm
        share = torch.rand(len(ours), 1, generator=self.state.augment)
        between = model.norm(theirs * share + ours * (1 - share)).requires_grad_()
        logits = model.judge(between).sum()
        (gradient,) = torch.autograd.grad(logits, between, create_graph=True)
        steepness: Tensor = (gradient.norm(dim=-1) - 1).square().mean()
        return steepness

    def _improve(self, rollout: Rollout) -> dict[str, float]:
        """Train the policy, and its value, on what the discriminator thinks of its steps."""
        steps, reward = self._judged(rollout)
        batches = self._minibatches(steps)
        error = self._learn_worth(batches)
        told = {"value_loss": error, "reward": reward}
        if self.state.step >= self.settings.held:
            told |= self._learn_policy(batches)
        spread = float(self.algorithm.log_spread.detach().exp().mean())
        return {"policy_loss": 0.0, "kl": 0.0, "updates": 0.0, "spread": spread, **told}

    def _minibatches(self, steps: Steps) -> list[Steps]:
        """Return the steps as often as they are passed over, each time in another order."""
        size, count = self.settings.minibatch, len(steps.chance)
        found = []
        for _ in range(self.settings.epochs):
            order = torch.from_numpy(self.state.rng.permutation(count))
            found += [steps.take(order[i : i + size]) for i in range(0, count, size)]
        return found

    def _learn_worth(self, batches: Sequence[Steps]) -> float:
        """Train the value; return its mean squared error in the last minibatch."""
        error = torch.zeros(())
        for batch in batches:
            error = (self.algorithm.worth(batch.seen, batch.ended) - batch.worth).square().mean()
            self._descend(error, self.settings.value_lr, NORM)
        return float(error.detach())

    def _learn_policy(self, batches: Sequence[Steps]) -> dict[str, float]:
        """Train the policy until it has changed by ``kl``, at a rate that leads just there.

        The rate falls where the change came early and rises where it did not come at all
        (the adaptive penalty of Schulman et al. 2017, on the step instead).
        """
        settings, pace = self.settings, self.algorithm.pace
        kl, loss, used = 0.0, 0.0, 0
        for batch in batches:
            objective, kl = self._objective(batch)
            if kl > settings.kl:
                break
            self._descend(objective + self._cloning(), float(pace), NORM)
            loss, used = float(objective.detach()), used + 1
        if used < len(batches) // 2:
            pace.div_(FASTER)
        elif kl < settings.kl / 2:
            pace.mul_(FASTER)
        return {"policy_loss": loss, "kl": kl, "updates": float(used), "policy_lr": float(pace)}

    @torch.no_grad()
    def _judged(self, rollout: Rollout) -> tuple[Steps, float]:
        """Return the steps with advantages, and the mean reward."""
        model, width, n = self.algorithm, self.spec.width, self.spec.n
        made = rollout.steps.flatten(0, 1)
        seen, ended, action = made[:, :width], made[:, width], made[:, -n:]
        shape = rollout.chance.shape
        reward = model.reward(self._as_judged(made))
        value = model.worth(seen, ended)
        last = model.worth(rollout.last[:, :width], rollout.last[:, width])
        settings = self.settings
        scaled = (1 - settings.discount) * reward.view(shape)  # so that values are of order 1
        gain = advantages(scaled, value.view(shape), last, settings.discount, settings.trace)
        worth = gain.flatten() + value
        standard = standardised(gain.flatten(), ended == 0)
        steps = Steps(seen, ended, action, rollout.chance.flatten(), standard, worth)
        return steps, float(reward.mean())

    def _objective(self, steps: Steps) -> tuple[Tensor, float]:
        """Return the policy's loss, and its change since the roll-outs."""
        model, settings = self.algorithm, self.settings
        decides = 1 - steps.ended
        change = (model.log_chance(steps.seen, steps.action) - steps.chance) * decides
        count = decides.sum().clamp_min(1)
        gain = surrogate(change.exp(), steps.advantage, settings.clip) * decides
        kl = float((((change.exp() - 1) - change).sum() / count).detach())
        return -gain.sum() / count - settings.entropy * model.log_spread.sum(), kl

    def _cloning(self) -> Tensor:
        """Return minus the log density of demonstrated actions, weighted."""
        batch = self._tensors(
            self.sampler.batch(self.state.rng, self.plan.training.batch), learn=True
        )
        seen = flat(batch, self.spec)[:, -1]
        chance = self.algorithm.log_chance(seen, batch["action"][:, 0])
        return -self.settings.cloning * chance.mean()

    def _keep(self) -> None:
        """Keep the policy in case it goes wrong later."""
        self._export(self.config.out / LAST_GOOD)

    def _fail(self, reason: str) -> NoReturn:
        """Stop; what was kept remains."""
        folder = self.config.out / LAST_GOOD
        kept = "nothing was kept yet"
        if (folder / PROVENANCE).exists():
            kept = f"the last good policy is kept in {folder}"
        step = self.state.step
        raise UsageError(f"GAIL stopped at iteration {step}: {reason}; {kept}")
