"""Learn with an expert who says what it would do where the policy goes (DAgger)."""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from rich.console import Console

from scripts.progress import progress

EXAMPLES = """
armtrials dagger --task pick_place --algo bc --rounds 8 --labels 7000 --out runs/dagger
armtrials dagger --labels 7000 --compare --out runs/dagger
armtrials dagger --schedule indicator --rounds 5 --episodes 10 --out runs/dagger
armtrials evaluate --policy runs/dagger/rounds/08
"""


@dataclass(frozen=True)
class Dagger:
    """Roll the policy out, let the expert label the states it visits, learn from all labels; again.

    In round 0 the expert acts itself. Interrupted, the same command continues; the same options
    give the same bytes.
    """

    out: Path
    """Folder of episodes, checkpoints and learning curve."""
    task: str = "pick_place"
    """Task whose scripted expert can label states of others."""
    algo: str = "bc"
    """Algorithm, as of armtrials train, but gail."""
    rounds: int = 8
    """Rounds after round 0."""
    labels: int | None = None
    """Expert labels in all, shared equally by the rounds (default: every visited state)."""
    episodes: int = 20
    """Roll-outs a round; more where they visit fewer states than there are labels."""
    schedule: Literal["exponential", "linear", "indicator", "expert"] = "exponential"
    """Chance that the expert acts: decay^round, 1 - round/rounds, in round 0 alone, always."""
    decay: float = 0.9
    """With --schedule exponential: the chance is this to the power of the round."""
    preset: str = "cpu"
    """Settings of the algorithm: quick, cpu, paper."""
    steps: int | None = None
    """Gradient steps a round (default: a quarter of the preset's)."""
    track: Literal["state", "pixels"] = "state"
    """What the policy sees: joint and object states, or joint states and pictures."""
    robot: str = ""
    """Robot, such as viperx or koch (default: the task's)."""
    image_size: int | None = None
    """With --track pixels: width and height of the pictures [px] (default: 84)."""
    seed: int = 0
    """Seed of starts, questions, weights and windows."""
    compare: bool = False
    """Train on as many labels of demonstrations, too, and tell the difference."""
    protocol: str = ""
    """Protocol whose dev starts measure each round (default: version 1 of the task's)."""
    trials: int = 50
    """Trials by which each round is measured."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes that roll out (default: one a core); nothing depends on it."""
    threads: int = 1
    """Threads of training."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""

    def run(self) -> int:
        """Run the rounds and say what came of them; return 0."""
        from benchmarks.dagger_curve import SVG, Meter, run, said
        from policies.dagger_config import DaggerConfig

        names = {f.name for f in fields(DaggerConfig)}
        config = DaggerConfig(**{name: getattr(self, name) for name in names})
        meter = Meter(self.protocol or f"{self.task}/v1", self.trials)
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        steps = (config.training(0).steps or 0) * (self.rounds + 1) * (1 + self.compare)
        with progress(f"dagger {self.algo}", steps) as advance:
            learned = run(config, meter, self.compare, advance, console.print)
        console.print(f"{config.checkpoint(self.rounds)}: the policy; curve: {self.out / SVG}")
        if learned.difference is not None:
            Console(highlight=False, soft_wrap=True).print(said(learned.difference))
        return 0
