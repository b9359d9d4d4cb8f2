"""Train a policy on a folder of demonstrations."""

import os
from contextlib import redirect_stderr
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console

from scripts.progress import duration, progress

if TYPE_CHECKING:
    from policies.stream import StreamConfig

EXAMPLES = """
armtrials train --algo act --data data/pick_place --out runs/act
armtrials train --algo diffusion --data data/pick_place --out runs/diffusion --seed 1
armtrials train --algo act --stream pick_place --randomise full --operator mixed --out runs/act
armtrials train --algo bc --data data/pixels --track pixels --out runs/bc --preset quick
armtrials train --algo vla --data data/pick_place data/language_pick data/wipe --out runs/vla
armtrials train --algo gail --data data/pick_place --steps 150 --out runs/gail
armtrials train --algo pi0 --weights models/pi0 --lora 16 --data pix --track pixels --out runs/pi0
torchrun --nproc-per-node 2 -m scripts.main train --algo diffusion --data data/p --out runs/p
armtrials train --algo vla --from runs/vla --lora 16 --data data/insertion --out runs/vla-insertion
"""

OF_LORA = ("lora_alpha", "lora_layers")
OF_STREAM = ("robot", "operator", "recovery", "randomise", "stream_seed", "window", "refresh")
"""Options that say something only where --lora or --stream is given; None: not given."""


@dataclass(frozen=True)
class Train:
    """Learn from demonstrations. An interrupted training continues with the same command.

    The same options give the same weights, bit for bit. Several processes that torchrun starts
    share every batch.
    """

    algo: str
    """Algorithm: bc, bc_rnn, act, diffusion, flow, gail, vla, pi0, vlm."""
    out: Path
    """Checkpoint folder."""
    data: tuple[Path, ...] = ()
    """Folder of demonstrations, as armtrials collect makes it; with vla also several, of as many
    tasks."""
    stream: str | None = None
    """Task whose demonstrations are made while training, instead of --data: none is kept."""
    preset: str = "cpu"
    """Settings of the algorithm: quick, cpu, paper; of a variant: cpu-transformer, cpu-epsilon
    (diffusion); with -delta after any of them actions are learned as offsets. With --from only how
    it is trained: the network stays as it is."""
    track: Literal["state", "pixels"] = "state"
    """What the policy sees: joint and object states, or joint states and pictures."""
    seed: int = 0
    """Seed of weights, windows and noise."""
    steps: int | None = None
    """Gradient steps, with gail iterations (default: the preset's)."""
    batch: int | None = None
    """Windows a step (default: the preset's)."""
    lr: float | None = None
    """Peak learning rate (default: the preset's)."""
    normalization: Literal["minmax", "meanstd"] | None = None
    """How values are scaled (default: the preset's)."""
    validation: float = 0.12
    """Share of the episodes held out."""
    image_size: tuple[int, int] | None = None
    """With --track pixels: height and width of the pictures (default: as recorded)."""
    blind: bool = False
    """Leave out what shows the scene: a floor for the other policies."""
    threads: int = 1
    """Threads; with one, several trainings run side by side."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    resume: bool = True
    """Continue an interrupted training; --no-resume starts over."""
    initial: Annotated[Path | None, tyro.conf.arg(aliases=("--from",))] = None
    """Checkpoint whose weights training begins with, and whose network and scaling it keeps
    (fine-tuning); with vla, pi0 and vlm --data may be of another arm."""
    weights: str | None = None
    """With pi0 and vlm: the model they start from, a folder or a name in the local cache."""
    sentences: str | None = None
    """With vla: a text model that reads the instruction, frozen, a folder or a name in the local
    cache (default: letter trigrams, learned with the policy)."""
    lora: int | None = None
    """Rank of low-rank adaptation: the weights of --from or --weights stay, products of this rank
    are learned beside them and saved as an adapter."""
    lora_alpha: int | None = None
    """With --lora: their scale is alpha / rank (default: the rank)."""
    lora_layers: tuple[str, ...] | None = None
    """With --lora: linear layers by the end of their names, such as query key_value (default:
    all)."""
    chunk: int | None = None
    """Actions predicted at once (default: the preset's)."""
    keep: int = 0
    """Keep a checkpoint every so many steps in OUT/steps, to choose between on the dev split."""
    robot: str | None = None
    """With --stream: robot that demonstrates (default: the task's own)."""
    operator: str | None = None
    """With --stream: style of the expert, as of armtrials collect (default: clean)."""
    recovery: float | None = None
    """With --stream: share of the demonstrations that start off nominal (default: 0)."""
    randomise: tuple[str, ...] | None = None
    """With --stream: none, visual, physical or full, all, or factors as variation/level (default:
    none)."""
    stream_seed: int | None = None
    """With --stream: another seed gives other demonstrations (default: 0)."""
    window: int | None = None
    """With --stream: episodes in memory at a time (default: 100)."""
    refresh: int | None = None
    """With --stream: gradient steps after which the oldest episode is replaced by a new one
    (default: 10)."""

    def run(self) -> int:
        """Train and say where the checkpoint is; return 0."""
        from policies.parallel import following  # here: torch takes seconds to import

        if not following():
            return self._train()
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            return self._train()  # the first of several processes speaks for all

    def _train(self) -> int:
        import policies.train as training
        from policies.checkpoint import load_checkpoint
        from policies.train_config import TrainConfig

        own = {f.name for f in fields(TrainConfig)} - {"stream", "data", "also", "lora"}
        settings = {name: getattr(self, name) for name in own}
        config = TrainConfig(**settings, **self._folders(), stream=self._stream())
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        try:
            with progress(f"train {self.algo}", config.resolve().training.steps) as advance:
                out = training.train(config, advance, console.print)
        finally:
            self._draw(console)
        made = load_checkpoint(out).provenance["training"]
        console.print(
            f"{out}: {made['steps']} steps in {duration(made['wall_s'])}, "
            f"{made['parameters'] / 1e6:.1f} M parameters, {made['device']}, {made['precision']}"
        )
        return 0

    def _draw(self, console: Console) -> None:
        """Draw the learning curve of GAIL, also of a training that was ended or failed."""
        from policies.train_log import FILE, read_log

        if self.algo != "gail" or not (self.out / FILE).is_file():
            return
        from benchmarks.gail_curve import REQUIRED, write_curve

        rows = read_log(self.out)
        if rows and rows[-1].keys() >= REQUIRED:  # else it is another algorithm's
            console.print(f"learning curve: {write_curve(self.out)}")

    def _folders(self) -> dict[str, Any]:
        """Return what is learned from, and how much beside the weights that are there."""
        from policies.lora import LoraConfig

        how = self._given(OF_LORA, "lora")
        lora = None
        if self.lora is not None:
            lora = LoraConfig(self.lora, **{k.removeprefix("lora_"): v for k, v in how.items()})
        first, *others = self.data or (None,)
        return {"data": first, "also": tuple(filter(None, others)), "lora": lora}

    def _stream(self) -> "StreamConfig | None":
        """Return the demonstrations to be made, None where they are read from a folder."""
        how = self._given(OF_STREAM, "stream")
        if self.stream is None:
            return None
        from envs.arm import CameraSpec
        from envs.collection import Collection
        from envs.recipes import randomisation
        from policies.stream import StreamConfig

        height, width = self.image_size or (84, 84)
        names = ("overhead", "wrist") if self.track == "pixels" else ()
        collection = Collection(
            task=self.stream,
            variations=randomisation(how.pop("randomise", ("none",)), self.stream),
            seed=how.pop("stream_seed", 0),
            cameras=tuple(CameraSpec(name, width, height) for name in names),
            **{name: how.pop(name) for name in ("robot", "operator", "recovery") if name in how},
        )
        return StreamConfig(collection, **how)

    def _given(self, names: tuple[str, ...], whose: str) -> dict[str, Any]:
        """Return the options that were given of ``names``, by name.

        Raises:
            UsageError: some were, and the option ``whose`` was not: they would be ignored.
        """
        from envs.errors import UsageError

        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if given and getattr(self, whose) is None:
            told = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            verb = "belongs" if len(given) == 1 else "belong"
            raise UsageError(f"{told} {verb} to --{whose}: give that, too, or leave {told} away")
        return given
