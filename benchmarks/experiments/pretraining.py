"""What pre-training on other tasks buys a new one: LoRA of one model against the same from scratch.

One vision-language-action model learns every other task of the arm, from randomised
demonstrations. Then it is adapted to the task that is asked of, which it has not seen.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiment import EXPERIMENTS, Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Axis, Conclusion
from benchmarks.experiment_fit import Demos, Fit
from benchmarks.experiments.demonstrations import difference
from benchmarks.lines import Record
from envs.collection import Collection
from envs.errors import UsageError
from envs.recipes import randomisation
from envs.tasks import TASKS
from policies.lora import LoraConfig

ADAPTED, SCRATCH = "pre-trained, LoRA", "from scratch"
DEMONSTRATIONS = 50
"""Of the new task."""
RANK = 64
BEFORE = 6000
"""Gradient steps of pre-training."""
RECIPE = "physical"


def others(task: str) -> tuple[str, ...]:
    """Return the tasks that a model for ``task`` is pre-trained on.

    They have its arm, each sentence once (of the insertions the first), and not its sentence.

    Raises:
        UsageError: there is none.
    """
    new = TASKS[task]
    first: dict[str, str] = {}
    for name, known in TASKS.items():
        if known.robot == new.robot and known.instruction != new.instruction:
            first.setdefault(known.instruction, name)
    if not first:
        raise UsageError(f"pretraining needs other tasks of {new.robot}, the arm of {task}")
    return tuple(first.values())


def _base(ask: Ask, algo: str) -> Fit:
    """Return the pre-training.

    Raises:
        UsageError: no episodes to learn from.
    """
    count = ask.of(quick=100, cpu=200) if ask.pretrain is None else ask.pretrain
    if count < 1:
        raise UsageError(f"--pretrain must be at least 1 demonstration of each task, got {count}")
    first, *more = (
        Demos(Collection(name, variations=randomisation((RECIPE,), name)), count)
        for name in others(ask.task)
    )
    return ask.fit(algo, first, also=tuple(more), steps=ask.steps or BEFORE)


def _grid(ask: Ask) -> list[Cell]:
    counts = ask.of(quick=(250, 1000), cpu=(500, 1500))
    new = ask.demos(DEMONSTRATIONS)
    cells = []
    for algo in ask.among("vla"):
        base = _base(ask, algo)
        for steps in counts:
            lora = LoraConfig(rank=RANK)
            fits = {
                SCRATCH: ask.fit(algo, new, steps=steps),
                ADAPTED: ask.fit(algo, new, steps=steps, initial=base, lora=lora),
            }
            several = len(ask.algos) > 1
            names = {name: f"{algo}: {name}" if several else name for name in fits}
            cells += [
                Cell(
                    names[name],
                    float(steps),
                    fit,
                    ask.protocol,
                    against=None if name == SCRATCH else (names[SCRATCH], float(steps)),
                )
                for name, fit in fits.items()
            ]
    return cells


def _learned(cell: Cell, trials: Sequence[Record], policy: Path) -> dict[str, Any]:
    """Return on what a policy was pre-trained, and for how long."""
    base = cell.fit.initial
    if base is None:
        return {"pretraining": "", "pretraining_steps": 0}
    tasks = [demos.task for demos in base.sources]
    return {"pretraining": "+".join(tasks), "pretraining_steps": base.steps}


def _told(ask: Ask, results: Sequence[Result]) -> Conclusion:
    said = [difference(r) for r in results if r.diff is not None]
    base = next((r for r in results if r.extra["pretraining"]), None)
    if base is None:
        return Conclusion(said)
    first = base.cell.fit.chain()[0]
    tasks = base.extra["pretraining"].replace("+", ", ")
    count = 0 if first.demos is None else first.demos.episodes
    return Conclusion(
        [
            f"pre-training: {first.steps} gradient steps on {tasks}, {count} randomised "
            f"demonstrations each; the new task: {ask.task}, {DEMONSTRATIONS} demonstrations",
            *said,
        ]
    )


EXPERIMENTS.register(
    "pretraining",
    Experiment(
        "pretraining",
        "What does pre-training on other tasks buy a vision-language-action model on a new one?",
        f"One model learns every other task of the arm from demonstrations with the recipe "
        f"{RECIPE}. LoRA of rank {RANK} adapts it to {DEMONSTRATIONS} demonstrations of the new "
        "task; beside it the same model learns them from scratch, for as many gradient steps. "
        "--steps is the length of the pre-training.",
        Axis("gradient steps on the new task"),
        _grid,
        task="language_pick",
        measure=_learned,
        conclude=_told,
    ),
)
