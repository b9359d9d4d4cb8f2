"""What `armtrials experiment` prints of its cells."""

import io
from pathlib import Path

from rich.console import Console

from benchmarks.experiment import Ask, Cell, Result
from benchmarks.experiment_fit import Fit
from benchmarks.experiments import EXPERIMENTS
from benchmarks.report.experiment_page import write_experiment
from scripts.experiment import _say

NAME = "val_loss"
LOSSES = {2: 0.0412, 4: 0.0173, 6: None}


def results() -> list[Result]:
    """Return three checkpoints of one training."""
    made = []
    for step, loss in LOSSES.items():
        cell = Cell("act", float(step), Fit("act", "quick", keep=2), "pick_place/v1", step=step)
        extra = {"flags": [True], "ics": [0], "val_loss": loss, "loss": loss}
        made.append(Result(cell, "run", 1, 1, 0.1, 0.9, {}, 2, 1.0, extra))
    return made


def test_checkpoints_are_told_by_step_and_by_validation_loss() -> None:
    told = io.StringIO()
    _say(Console(file=told, width=120), EXPERIMENTS[NAME], results())
    heads, *rows = told.getvalue().splitlines()
    assert heads.split("  ")[0].strip() == ""
    assert [text.strip() for text in heads.split("  ") if text.strip()][:2] == [
        "step",
        "validation loss",
    ]
    assert [row.split()[1:3] for row in rows] == [["2", "0.0412"], ["4", "0.0173"], ["6", "\u2013"]]


def test_the_page_has_a_column_of_steps_and_one_of_losses(tmp_path: Path) -> None:
    page = write_experiment(
        EXPERIMENTS[NAME], Ask("pick_place"), results(), tmp_path, "armtrials experiment val_loss"
    ).read_text("utf-8")
    assert "<th>step</th><th>validation loss</th>" in page
    assert "<td>4</td><td>0.0173</td>" in page
