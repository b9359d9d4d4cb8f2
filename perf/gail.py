"""GAIL, ours or the one of the ``imitation`` library, on pick_place with the same demonstrations.

``python -m perf.gail armtrials --data DIR`` trains and prints environment steps a second of CPU
time and successes from starts of the ``dev`` split; so does ``python -m perf.gail imitation``, in
an environment that has that library (docs/dagger-gail.md). Both see the same normalised vectors,
act on the same simulations, begin with behaviour cloning of as many gradient steps, and have equal
networks, roll-outs and, where both have it, settings.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.protocol import DEV, NOMINAL, PROTOCOLS
from envs.batch import SimBatch
from envs.collection import Collection
from envs.tasks import TASKS
from policies.base import Preset
from policies.dataset import EpisodeSet, spec_of
from policies.gail import Gail, GailConfig
from policies.gail_rollout import Generator, demonstrated
from policies.normalize import Normalizer

PROTOCOL = "pick_place/v1"
AT_ONCE = 50
"""Trials that are stepped together."""

Mean = Callable[[Tensor, Tensor], Tensor]
"""A trained policy: mean action (N, n) after vectors (N, width) and flags (N,), all normalised."""


@dataclass(frozen=True)
class Bench:
    """What both halves learn from and in.

    Attributes:
        data: the demonstrations, episodes split as every training here does.
        settings: of our GAIL; the other half has the same where it can.
        preset: they are of.
        rounds: roll-outs, each of ``settings.episodes`` whole episodes.
    """

    data: EpisodeSet
    settings: GailConfig
    preset: Preset
    rounds: int

    @property
    def normalizer(self) -> Normalizer:
        """Scaling by the statistics of the training split."""
        return Normalizer(self.data.stats(), self.preset.training.normalization)

    def generator(self, size: int) -> Generator:
        """Return so many simulations with their scaling."""
        meta = self.data.meta
        sims = SimBatch(TASKS[meta.task], meta.robot, size, threads=1)
        collection = Collection(meta.task, meta.robot)
        return Generator(collection, sims, spec_of(self.data, self.settings), self.normalizer)

    def expert(self, generator: Generator) -> Tensor:
        """Return the demonstrated steps (episodes, horizon, width + 1 + n)."""
        horizon = generator.sims.horizon
        steps = demonstrated(self.data, generator.spec, generator.normalizer, horizon)
        return steps.view(-1, horizon, steps.shape[-1])


@dataclass(frozen=True)
class Trained:
    """A policy, and the CPU seconds that went into cloning and into the rounds after it."""

    mean: Mean
    cloned_s: float
    rounds_s: float


def armtrials(bench: Bench, data: Path, out: Path) -> Trained:
    """Train ours, by its own training loop."""
    from policies.checkpoint import load_network
    from policies.train import train
    from policies.train_config import TrainConfig
    from policies.train_log import read_log

    train(TrainConfig("gail", data, out, steps=bench.rounds))
    seconds = [float(line["cpu_seconds"]) for line in read_log(out)]
    network = load_network(out).algorithm
    assert isinstance(network, Gail)
    first = seconds[0] - (seconds[-1] - seconds[0]) / max(1, len(seconds) - 1)
    return Trained(lambda seen, ended: network.mean(seen), first, seconds[-1] - first)


def successes(bench: Bench, mean: Mean, trials: int) -> int:
    """Count successes from the first nominal starts of the dev split."""
    protocol, won = PROTOCOLS[PROTOCOL], 0
    for first in range(0, trials, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, trials))
        generator = bench.generator(len(numbers))
        generator.sims.reset([protocol.start(NOMINAL, ic, DEV) for ic in numbers])
        with torch.no_grad():
            while not generator.sims.done.all():
                generator.act(mean(*generator.seen()))
        won += int(generator.sims.success.sum())
    return won


def main() -> None:
    """Train the half that is asked for and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("half", choices=("armtrials", "imitation"))
    parser.add_argument("--data", type=Path, required=True, help="demonstrations of pick_place")
    parser.add_argument("--rounds", type=int, default=40, help="roll-outs of 32 episodes each")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/gail-perf"), help="of our half")
    given = parser.parse_args()
    if given.rounds < 2:
        parser.error("--rounds must be at least 2: the first one tells what cloning took")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    preset = Gail.PRESETS["state", "cpu"]
    settings = preset.config
    assert isinstance(settings, GailConfig)
    bench = Bench(EpisodeSet.load(given.data), settings, preset, given.rounds)
    if given.half == "armtrials":
        trained = armtrials(bench, given.data, given.out)
    else:
        from perf.gail_imitation import imitation

        trained = imitation(bench)
    count = given.rounds * settings.episodes * TASKS[bench.data.meta.task].horizon
    won = successes(bench, trained.mean, given.trials)
    sys.stdout.write(
        f"{given.half}: {won} of {given.trials} trials, {count:,} environment steps in "
        f"{trained.rounds_s:.0f} s of CPU time ({count / trained.rounds_s:,.0f} a second) after "
        f"{trained.cloned_s:.0f} s of cloning; numpy {np.__version__}, torch {torch.__version__}\n"
    )


if __name__ == "__main__":
    main()
