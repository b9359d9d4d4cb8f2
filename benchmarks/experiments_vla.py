"""What pre-training buys: LoRA on few demonstrations of a new task against training from scratch.

One model is pre-trained on several tasks, then fine-tuned with LoRA on a task that it has not
seen. Two others of the same size learn the new task alone, from the same demonstrations: one with
as many gradient steps as the fine-tuning, one with as many as pre-training and fine-tuning
together. All are measured on the same ``dev`` starts. An interrupted experiment goes on with the
same call.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dagger_curve import Meter
from benchmarks.stats.compare import Comparison, Outcomes, compare
from envs.atomic import write_atomic
from envs.episode import episode_files, inspect_file
from envs.errors import UsageError
from policies.lora import LoraConfig
from policies.train import train
from policies.train_config import TrainConfig

RESULT = "transfer.json"
ROWS = ("lora", "scratch", "scratch_long")
"""Fine-tuned; from scratch with as many steps; from scratch with those of pre-training besides."""

Say = Callable[[str], None]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class TransferConfig:
    """The experiment.

    Attributes:
        data: demonstrations of the tasks of pre-training, a folder each.
        held: demonstrations of the new task.
        protocol: of the new task.
        out: where everything goes.
        demonstrations: of the new task, the first ones of ``held``.
        most: episodes of each folder of ``data``, the first ones.
        preset: of the model, ``vla`` on the state track.
        steps: gradient steps of pre-training and of fine-tuning.
        batch: windows a step; None: the preset's.
        lora: how the model is adapted.
        lr: peak rate of the adaptation; the others learn at the preset's.
        trials: ``dev`` starts.
        seed: of all trainings.
    """

    data: tuple[Path, ...]
    held: Path
    protocol: str
    out: Path
    demonstrations: int = 50
    most: int = 200
    preset: str = "cpu"
    steps: tuple[int, int] = (2000, 700)
    batch: int | None = None
    lora: LoraConfig = LoraConfig(rank=32)  # noqa: RUF009  (frozen)
    lr: float = 1e-3
    trials: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an experiment whose new task is not new."""
        if not self.data:
            raise UsageError("the experiment needs demonstrations of other tasks to pre-train on")
        if min(self.demonstrations, self.most, *self.steps) < 1:
            found = (self.demonstrations, self.most, *self.steps)
            raise UsageError(f"demonstrations, most and steps must be at least 1, got {found}")

    def trainings(self) -> dict[str, TrainConfig]:
        """Return what is trained, in order, by name."""
        before, after = self.steps
        first, *others = (self.out / "data" / folder.name for folder in self.data)
        few = TrainConfig(
            algo="vla",
            data=self.out / "data" / f"{self.held.name}-{self.demonstrations}",
            out=self.out / "scratch",
            preset=self.preset,
            seed=self.seed,
            steps=after,
            batch=self.batch,
        )
        base, longer = self.out / "base", self.out / "scratch_long"
        adapted = {"out": self.out / "lora", "lr": self.lr, "initial": base, "lora": self.lora}
        return {
            "base": replace(few, data=first, out=base, steps=before, also=tuple(others)),
            "lora": replace(few, **adapted),  # type: ignore[arg-type]
            "scratch": few,
            "scratch_long": replace(few, out=longer, steps=before + after),
        }


def first_episodes(source: Path, count: int, target: Path) -> Path:
    """Return ``target`` with the first ``count`` episodes of ``source``, linked or copied.

    Raises:
        UsageError: there are fewer than one.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in episode_files(source)[:count]:
        place = target / path.name
        if place.exists():
            continue
        try:
            place.hardlink_to(path)
        except OSError:  # another file system
            shutil.copyfile(path, place)
    return target


def transfer(
    config: TransferConfig, advance: Advance = lambda n: None, say: Say = lambda text: None
) -> dict[str, Any]:
    """Run the experiment and write ``transfer.json``; return what it holds.

    Raises:
        UsageError: demonstrations that cannot be used, or of the new task among the old ones.
    """
    prepare(config)
    measured: dict[str, Mapping[str, Any]] = {}
    meter = Meter(config.protocol, config.trials)
    for name, training in config.trainings().items():
        say(f"{name}: {training.resolve().training.steps} steps")
        folder = train(training, advance, say)
        if name != "base":
            measured[name] = _measured(folder, meter)
            say(f"{name}: {measured[name]['successes']} of {measured[name]['trials']}")
    result = report(config, measured)
    write_atomic(
        config.out / RESULT, (json.dumps(result, indent=1, sort_keys=True) + "\n").encode()
    )
    return result


def prepare(config: TransferConfig) -> None:
    """Lay out the demonstrations; refuse to pre-train on the new task."""
    few = first_episodes(
        config.held,
        config.demonstrations,
        config.out / "data" / f"{config.held.name}-{config.demonstrations}",
    )
    new = inspect_file(episode_files(few)[0]).meta.task
    for folder in config.data:
        chosen = first_episodes(folder, config.most, config.out / "data" / folder.name)
        if inspect_file(episode_files(chosen)[0]).meta.task == new:
            raise UsageError(f"{folder} demonstrates {new}, the task that is to be new")


def _measured(folder: Path, meter: Meter) -> Mapping[str, Any]:
    """Return what ``meter`` says of a checkpoint, kept beside it."""
    path = folder / "dev.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept["trials"] == meter.trials and kept["protocol"] == meter.protocol:
            return kept
    found = meter(folder)
    write_atomic(path, json.dumps(found).encode())
    return found


def report(config: TransferConfig, measured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return rates and the paired differences, LoRA minus each training from scratch, as JSON."""
    outcomes = {name: Outcomes(np.array(row["success"], bool)) for name, row in measured.items()}
    against = {
        name: asdict(compare(outcomes["lora"], outcomes[name])) for name in ROWS if name != "lora"
    }
    trained = {name: _cost(config.out / name) for name in ("base", *ROWS)}
    rows = {name: {k: row[k] for k in ("successes", "trials")} for name, row in measured.items()}
    return {
        "task": config.protocol,
        "split": "dev",
        "demonstrations": config.demonstrations,
        "pretraining": [folder.name for folder in config.data],
        "lora": asdict(config.lora),
        "rows": rows,
        "difference": against,
        "training": trained,
    }


def _cost(folder: Path) -> dict[str, Any]:
    """Return steps, CPU seconds and size of a training."""
    training = json.loads((folder / "provenance.json").read_text())["training"]
    return {key: training[key] for key in ("steps", "cpu_s", "wall_s", "parameters")}


def told(result: Mapping[str, Any]) -> list[str]:
    """Return the result in a few lines."""
    lines = [
        f"{name}: {row['successes']} of {row['trials']}" for name, row in result["rows"].items()
    ]
    for name, gap in result["difference"].items():
        kept = {k: v for k, v in gap.items() if k in Comparison.__dataclass_fields__}
        lines.append(
            f"lora - {name}: {kept['diff']:+.3f} [{kept['low']:+.3f}, {kept['high']:+.3f}], "
            f"p {kept['p']:.2g} ({kept['method']})"
        )
    return lines
