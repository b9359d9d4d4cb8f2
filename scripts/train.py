"""Train a policy on a folder of demonstrations."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from rich.console import Console

from scripts.progress import duration, progress

EXAMPLES = """
armtrials train --algo act --data data/pick_place --out runs/act
armtrials train --algo diffusion --data data/pick_place --out runs/diffusion --seed 1
armtrials train --algo bc --data data/pixels --track pixels --out runs/bc --preset quick
"""


@dataclass(frozen=True)
class Train:
    """Learn from demonstrations. An interrupted training continues with the same command.

    The same options give the same weights, bit for bit.
    """

    algo: str
    """Algorithm: bc, act, diffusion."""
    data: Path
    """Folder of demonstrations, as armtrials collect makes it."""
    out: Path
    """Checkpoint folder."""
    preset: str = "cpu"
    """Settings of the algorithm: quick, cpu, paper."""
    track: Literal["state", "pixels"] = "state"
    """What the policy sees: joint and object states, or joint states and pictures."""
    seed: int = 0
    """Seed of weights, windows and noise."""
    steps: int | None = None
    """Gradient steps (default: the preset's)."""
    batch: int | None = None
    """Windows a step (default: the preset's)."""
    lr: float | None = None
    """Peak learning rate (default: the preset's)."""
    normalization: Literal["minmax", "meanstd"] | None = None
    """How values are scaled (default: the preset's)."""
    validation: float = 0.12
    """Share of the episodes held out."""
    image_size: tuple[int, int] | None = None
    """Height and width the pictures are resized to (default: as recorded)."""
    blind: bool = False
    """Leave out what shows the scene: a floor for the other policies."""
    threads: int = 1
    """Threads; with one, several trainings run side by side."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    resume: bool = True
    """Continue an interrupted training; --no-resume starts over."""

    def run(self) -> int:
        """Train and say where the checkpoint is; return 0."""
        import policies.train as training  # here: torch takes seconds to import
        from policies.checkpoint import load_checkpoint
        from policies.train_config import TrainConfig

        config = TrainConfig(**{f.name: getattr(self, f.name) for f in fields(self)})
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        with progress(f"train {self.algo}", config.resolve().training.steps) as advance:
            out = training.train(config, advance, console.print)
        made = load_checkpoint(out).provenance["training"]
        console.print(
            f"{out}: {made['steps']} steps in {duration(made['wall_s'])}, "
            f"{made['parameters'] / 1e6:.1f} M parameters, {made['device']}, {made['precision']}"
        )
        return 0
