"""The only training loop: data, schedule, validation, log, resume, checkpoint."""

import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from envs.arm import Array
from envs.disk import full_disk_told
from envs.errors import UsageError
from policies import train_state
from policies.adapter import describe_adapter
from policies.augment import augment
from policies.base import ALGORITHMS, Algorithm, Preset
from policies.checkpoint import CANARY_SEEDS, load_checkpoint, save_checkpoint
from policies.checkpoint_files import PROVENANCE
from policies.configs import to_json
from policies.dataset import spec_of
from policies.lora import attach
from policies.normalize import Normalizer, Stats
from policies.offsets import action_stats, offset_columns
from policies.optim import Ema, learning_rate, make_optimizer
from policies.parallel import ALONE, Team, check_alone, joined
from policies.preprocess import resize
from policies.sources import Source, source_of
from policies.stream import Stream
from policies.torch_build import torch_build
from policies.train_config import TrainConfig
from policies.train_log import TrainLog, overfits
from policies.train_record import identity, provenance
from policies.train_session import (
    Clock,
    device_of,
    differences,
    keep_freed_memory,
    stop_requests,
)
from policies.train_state import TrainState
from policies.trained import TrainedPolicy, inherit
from policies.warm_start import begin_with, scaling
from policies.windows import Sampler

LOG = logging.getLogger(__name__)

LINES, VALIDATIONS = 200, 20
"""Log lines and validations a run."""
VALIDATION_WINDOWS = 256
LAST_GOOD, STEPS = "last_good", "steps"
BUSY = "another training is at work in it: wait for it to end, or choose another --out"


def train(
    config: TrainConfig,
    advance: Callable[[int], None] = lambda n: None,
    say: Callable[[str], None] = LOG.info,
) -> Path:
    """Train a policy and return its checkpoint folder.

    The same config gives the same weights, bit for bit, on the same machine and versions, also
    if it was interrupted in between. A finished run is left as it is.

    Args:
        config: what to train.
        advance: told how many steps were done.
        say: told, in a sentence, what the user should know.

    Raises:
        UsageError: unknown names, unusable data, another run in ``out``, another process that
            trains into it, a full disk, a loss that is not finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state was saved.
    """
    plan = config.resolve()
    source = source_of(config)
    torch.set_num_threads(config.threads)
    keep_freed_memory()
    with joined() as team, torch.random.fork_rng():
        trainer = _trainer(config, plan, source, say, team)
        with team.locked(config.out, BUSY), full_disk_told("training", trainer.kept):
            if trainer.finished():
                say(f"{config.out}: trained already")
                advance(plan.training.steps)
                return config.out
            return trainer.run(advance)


def _trainer(
    config: TrainConfig, plan: Preset, source: Source, say: Callable[[str], None], team: Team
) -> "Trainer":
    """Make the algorithm's own trainer, or the usual one, which several processes may share."""
    own = ALGORITHMS[config.algo].load_trainer()
    if own is not None:
        check_alone(config.algo)
    if plan.training.batch < team.size:
        raise UsageError(f"batch must be at least the {team.size} processes of torchrun")
    return own(config, plan, source, say) if own else Trainer(config, plan, source, say, team)


class Trainer:
    """One training run.

    Attributes:
        fits: whether all that is learned is to fit the data, so that there is over-fitting.
    """

    fits: ClassVar[bool] = True

    def __init__(
        self,
        config: TrainConfig,
        plan: Preset,
        source: Source,
        say: Callable[[str], None],
        team: Team = ALONE,
    ) -> None:
        """Build network, optimiser and samplers from the config's seed."""
        self.team = team
        self.config, self.source, self.say = config, source, say
        self.plan, self.begun = plan, begun = begin_with(config, plan)
        self.data = data = source.data if isinstance(source, Stream) else source
        self.device = team.device(device_of(config.device))
        self.bf16 = plan.training.precision == "bf16" and torch_build().bf16
        self.spec = spec_of(data, plan.config)
        self._offsets = offset_columns(plan.config, self.spec)
        kind = ALGORITHMS[config.algo].load()
        fresh = Normalizer(self._stats(), plan.training.normalization)
        self.normalizer = scaling(config, begun, self.spec, fresh) if begun else fresh
        torch.manual_seed(config.seed)
        algorithm = kind(plan.config, self.spec.with_images(config.image_size)).to(self.device)
        if begun:
            inherit(algorithm, begun.algorithm)
        if config.lora:
            attach(algorithm, config.lora, kind.whole)
        self.algorithm: Algorithm = algorithm
        self.state = TrainState(
            make_optimizer(algorithm, plan.training),
            Ema(algorithm, plan.training),
            np.random.default_rng((config.seed, 1)),
            torch.Generator().manual_seed(team.seed(config.seed)),
            team=team,
        )
        if not team.leads:
            torch.manual_seed(team.seed(config.seed))
        self.sampler = self._windows(data.train, algorithm.sequence)
        self.held = self._windows(data.validation, algorithm.sequence)
        self.identity = identity(self)

    def _windows(self, episodes: Sequence[int], sequence: int = 1) -> Sampler:
        spec = self.spec
        together = (sequence, spec.execute)
        return Sampler(self.data, episodes, spec.n_obs, spec.chunk, self._offsets, together)

    def _stats(self) -> Stats:
        """Return the statistics of what is learned from, actions as they are learned."""
        stats = self.data.stats()
        if not self._offsets:
            return stats
        return Stats({**stats.keys, "action": action_stats(self._windows(self.data.train))})

    def finished(self) -> bool:
        """Prepare to start or to continue; tell whether the run is finished already.

        Raises:
            UsageError: the folder holds another run.
        """
        out = self.config.out
        if self.team.leads:
            train_state.sweep(out)
            if not self.config.resume:
                train_state.discard(out)
                (out / PROVENANCE).unlink(missing_ok=True)
        self.team.meet()
        if not self.config.resume:
            return False
        if (out / PROVENANCE).exists():
            self._check_identity(load_checkpoint(out).provenance.get("identity", {}))
            return True
        stored = train_state.identity_of(out)
        if stored is not None:
            self._check_identity(stored)
            self.state.restore(out)
            self.say(f"{out}: continues at step {self.state.step}")
        return False

    def kept(self) -> str:
        """Say what an interruption leaves on disk."""
        step = train_state.step_of(self.config.out)
        if step is None:
            return "nothing was saved yet"
        return f"the state of step {step} is kept in {self.config.out}"

    def run(self, advance: Callable[[int], None]) -> Path:
        """Train to the end and write the checkpoint."""
        state, steps = self.state, self.plan.training.steps
        clock = Clock(state.seconds)
        advance(state.step)
        with self.team.log(self.config.out, state.step) as log, stop_requests() as stopped:
            while state.step < steps:
                self._step(log, clock)
                advance(1)
                if self.config.keep and state.step % self.config.keep == 0:
                    self._export(self.config.out / STEPS / f"{state.step:07d}")
                due, stop = self.team.agree(clock.save_is_due(), stopped())
                if due or stop:
                    state.seconds = clock.seconds()
                    with clock.saving():
                        state.save(self.config.out, self.identity)
                if stop:
                    raise KeyboardInterrupt
        state.seconds = clock.seconds()
        self._export(self.config.out)
        if self.team.leads:
            train_state.discard(self.config.out)
        self.team.meet()
        return self.config.out

    def _step(self, log: TrainLog, clock: Clock) -> None:
        """Do one optimiser step, and what is due after it: validation, log."""
        state, training = self.state, self.plan.training
        if isinstance(self.source, Stream) and self.source.advance(state.step):
            self.sampler = self._windows(self.data.train, self.algorithm.sequence)
        rate = learning_rate(training, state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        self.algorithm.train()
        drawn = self.team.part(self.sampler.draw(state.rng, training.batch))
        batch = self._tensors(self.sampler.sequences(drawn), learn=True)
        with self._autocast():
            loss, extra = self.algorithm.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        value = self.team.average(self.algorithm.parameters(), loss, batch["pad"])
        limit = training.clip or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.algorithm.parameters(), limit))
        if not (math.isfinite(value) and math.isfinite(norm)):
            self._diverged(value)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.ema.update(state.step)
        state.step += 1
        state.loss = (state.loss[0] + value, state.loss[1] + 1)
        if state.step % max(1, training.steps // LINES) == 0 or state.step == training.steps:
            self._log(log, {"lr": rate, "grad_norm": norm, **extra}, clock)

    def _log(self, log: TrainLog, values: dict[str, float], clock: Clock) -> None:
        """Write a line, with a validation loss where one is due."""
        state, steps = self.state, self.plan.training.steps
        mean = state.loss[0] / state.loss[1]
        state.loss = (0.0, 0)
        if not self.team.leads:
            return
        line: dict[str, float | str] = {"loss": mean, "seconds": clock.seconds()[0], **values}
        every = max(1, steps // LINES) * (LINES // VALIDATIONS)
        if len(self.held) and (state.step % every == 0 or state.step == steps):
            warned = any(overfits(state.history[: i + 1]) for i in range(len(state.history)))
            line["val_loss"] = self.validate()
            state.history += ((mean, float(line["val_loss"])),)
            if self.fits and overfits(state.history) and not warned:
                line["event"] = "overfitting"
                self.say(
                    f"over-fitting: at step {state.step} the validation loss rises "
                    f"({line['val_loss']:.3g}) while the training loss falls ({mean:.3g}); "
                    "more demonstrations or fewer steps would help"
                )
        log.write(state.step, line)

    @torch.no_grad()
    def validate(self) -> float:
        """Return the loss over fixed windows of the held-out episodes, with fixed noise."""
        model = self.state.ema.model.eval()
        count = min(VALIDATION_WINDOWS, len(self.held))
        chosen = np.random.default_rng(0).choice(len(self.held), count, replace=False)
        total = 0.0
        with torch.random.fork_rng(), self._autocast():
            torch.manual_seed(0)
            for part in np.array_split(chosen, -(-count // self.plan.training.batch)):
                loss, _ = model.loss(self._tensors(self.held.sequences(part), learn=False))
                total += float(loss) * len(part)
        return total / count

    def _tensors(self, batch: Mapping[str, Array], learn: bool) -> dict[str, Tensor]:
        """Scale a batch, augment its images if ``learn``, and move it to the device."""
        out = {}
        for key, values in batch.items():
            seen = key.startswith("images/")
            if key == "sentence":
                tensor = self.algorithm.read(values.tolist())
            elif seen or key == "pad":
                tensor = torch.from_numpy(values)
            else:
                tensor = torch.from_numpy(self.normalizer.normalize(key, values))
            if seen and learn and self.plan.training.augment is not None:
                tensor = augment(tensor, self.plan.training.augment, self.state.augment)
            out[key] = tensor.to(self.device)
        return out

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def _diverged(self, value: float) -> None:
        """Stop at a loss or gradient that is not finite; keep the last good state as a policy."""
        step, out = self.state.step, self.config.out
        kept = "nothing was saved yet"
        if (out / train_state.FILE).exists():
            self.state.restore(out)
            self._export(out / LAST_GOOD)
            kept = f"the checkpoint of step {self.state.step} is kept in {out / LAST_GOOD}"
        self.team.meet()
        raise UsageError(
            f"training stopped: loss or gradient is not finite at step {step} (loss {value}); "
            f"{kept}; try a lower --lr"
        )

    def _export(self, folder: Path) -> None:
        """Write the policy as a checkpoint folder."""
        if not self.team.leads:
            return
        algorithm = copy.deepcopy(self.state.ema.model).to("cpu")
        policy = TrainedPolicy(self.config.algo, self.spec, algorithm, self.normalizer)
        held = self.held if len(self.held) else self.sampler
        windows = held.windows(np.linspace(0, len(held) - 1, len(CANARY_SEEDS)).astype(int))
        sizes = {key: self.spec.observations[key][:2] for key in self.spec.images}
        seen = {key: resize(windows[key], (size[0], size[1])) for key, size in sizes.items()}
        canary = {key: seen.get(key, windows[key]) for key in self.spec.observations}
        config = {
            "algorithm": self.config.algo,
            "settings": to_json(self.plan.config),
            "image_size": self.config.image_size,
            "training": to_json(self.plan.training),
            **describe_adapter(self.config.lora, self.begun),
        }
        save_checkpoint(folder, policy, canary, config, provenance(self))

    def _check_identity(self, stored: Mapping[str, Any]) -> None:
        for what in {**self.identity, **stored}:
            mine = self.identity.get(what)
            if stored.get(what) != mine:
                raise UsageError(
                    f"{self.config.out} holds a run with another {what}: "
                    f"{differences(stored.get(what), mine)}; "
                    "choose another --out, or --no-resume to start over"
                )
