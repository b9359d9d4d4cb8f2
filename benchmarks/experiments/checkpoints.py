"""Does the validation loss tell which checkpoint succeeds?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from benchmarks.experiment import EXPERIMENTS, Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Axis, Conclusion
from benchmarks.lines import Record
from policies.base import preset
from policies.train_log import read_log

PARTS = 10
"""Checkpoints of a training; the losses are taken every twentieth of it."""


def _grid(ask: Ask) -> list[Cell]:
    cells = []
    for algo in ask.among("act", "bc"):
        steps = ask.steps or preset(algo, "state", ask.size).training.steps
        every = max(1, steps // PARTS)
        fit = ask.fit(algo, ask.demos(50), keep=every)
        cells += [
            Cell(algo, float(step), fit, ask.protocol, step=step)
            for step in range(every, steps + 1, every)
        ]
    return cells


def _losses(cell: Cell, trials: Sequence[Record], policy: Path) -> Mapping[str, Any]:
    """Return the losses at the checkpoint: the last ones logged up to its step."""
    found: dict[str, Any] = {"val_loss": None, "loss": None}
    for line in read_log(policy.parent.parent):
        if line["step"] <= (cell.step or 0) and "val_loss" in line:
            found = {name: line[name] for name in found}
    return found


def _rank(ask: Ask, results: Sequence[Result]) -> Conclusion:
    """Say the rank correlation of loss and success, and what choosing by loss costs."""
    said = []
    for series in dict.fromkeys(r.cell.series for r in results):
        own = [r for r in results if r.cell.series == series and r.extra["val_loss"] is not None]
        if len({r.extra["val_loss"] for r in own}) < 3 or len({r.share for r in own}) < 2:
            said.append(f"{series}: too few different losses or successes for a rank correlation")
            continue
        rho, p = spearmanr([r.extra["val_loss"] for r in own], [r.share for r in own])
        chosen = min(own, key=lambda r: r.extra["val_loss"])
        best = max(own, key=lambda r: r.share)
        said.append(
            f"{series}: Spearman's rank correlation of validation loss and success {rho:+.2f} "
            f"(p = {p:.2g}, {len(own)} checkpoints); the lowest loss (step {chosen.cell.x:g}) has "
            f"{chosen.k}/{chosen.n}, the most successful (step {best.cell.x:g}) {best.k}/{best.n}"
        )
    return Conclusion(said)


EXPERIMENTS.register(
    "val_loss",
    Experiment(
        "val_loss",
        "Does the validation loss tell which checkpoint succeeds?",
        "Ten checkpoints of one training, each tried from the same starts, against the loss over "
        "the demonstrations held out. Checkpoints of one training are not independent: the "
        "p-value is a guide.",
        Axis("validation loss", "points", "val_loss", own="step"),
        _grid,
        measure=_losses,
        conclude=_rank,
    ),
)
