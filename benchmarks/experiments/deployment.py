"""A policy elsewhere than where it was trained: wrong statistics, longer chunks, moved cameras."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiment import (
    EXPERIMENTS,
    Ask,
    Axis,
    Cell,
    Conclusion,
    Experiment,
    Result,
    Table,
)
from benchmarks.experiments.demonstrations import differences
from benchmarks.lines import Record
from envs.arm import CameraSpec
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.restat import DAMAGES, refusal

RIGHT = "right"
SIDE = 84
"""Width and height of the pictures [px]."""


def _statistics(ask: Ask) -> list[Cell]:
    demos = ask.demos(50)
    return [
        Cell(
            algo,
            damage or RIGHT,
            ask.fit(algo, demos),
            ask.protocol,
            damage=damage,
            against=(algo, RIGHT) if damage else None,
        )
        for algo in ask.among("act")
        for damage in ("", *DAMAGES)
    ]


def _seen(cell: Cell, trials: Sequence[Record], policy: Path) -> Mapping[str, Any]:
    """Say how loading answers to statistics that were replaced in the folder."""
    if not cell.damage:
        return {"refused": None}
    return {"refused": refusal(policy.parent.parent, cell.damage) or None}


def _cost(ask: Ask, results: Sequence[Result]) -> Conclusion:
    wrong = [r for r in results if r.cell.damage]
    rows = [
        (r.cell.series, str(r.cell.x), f"{r.k}/{r.n}", "refused" if r.extra["refused"] else "loads")
        for r in wrong
    ]
    seen = sum(r.extra["refused"] is not None for r in wrong)
    said = [
        *differences(ask, results).said,
        f"loading refuses {seen} of {len(wrong)} checkpoints whose statistics were replaced",
    ]
    heads = ("policy", "statistics", "success if made whole", "replaced in the folder")
    return Conclusion(said, [Table("Is it noticed?", heads, rows)])


EXPERIMENTS.register(
    "normalisation",
    Experiment(
        "normalisation",
        "What do wrong statistics cost at deployment, and are they noticed?",
        "One policy, its statistics changed before the trials: every joint's zero off by 0.05 "
        "rad (offset), objects off by 2 cm (place), actions scaled by 0.8 about their mean "
        "(scale), the first two joints swapped (swap), joint positions in degrees (degrees), "
        "minimum and maximum taken for mean and deviation or the other way (mode).",
        Axis("statistics", "names"),
        _statistics,
        measure=_seen,
        conclude=_cost,
    ),
)


def _chunks(ask: Ask) -> list[Cell]:
    lengths = ask.of(quick=(1, 10, 40), cpu=(1, 5, 10, 20, 50, 100))
    return [
        Cell(
            algo, float(n), ask.fit(algo, ask.demos(50), chunk=n), ask.protocol, execute=n,
            against=None if n == lengths[0] else (algo, float(lengths[0])),
        )
        for algo in ask.among("act", "bc")
        for n in lengths
    ]  # fmt: skip


EXPERIMENTS.register(
    "chunking",
    Experiment(
        "chunking",
        "Do longer chunks compound less error?",
        "One training a length of the chunk; a chunk is carried out to its end before the next "
        "is predicted, so a policy of length n decides n times less often.",
        Axis("chunk [control steps]"),
        _chunks,
        conclude=differences,
    ),
)


def pictures(task: str) -> tuple[CameraSpec, ...]:
    """Return the cameras of a task's arm, for demonstrations of the pixel track."""
    names = ROBOTS[TASKS[task].robot].spec().cameras
    return tuple(CameraSpec(name, SIDE, SIDE) for name in names)


def _shifts(ask: Ask) -> list[Cell]:
    demos = ask.demos(ask.of(quick=50, cpu=100), cameras=pictures(ask.task))
    shifts = ask.of(quick=(0, 5, 20), cpu=(0, 2, 5, 10, 20, 50, 100))
    return [
        Cell(
            algo,
            float(mm),
            ask.fit(algo, demos, track="pixels"),
            f"{ask.protocol}+camera-{mm}mm" if mm else ask.protocol,
            against=(algo, 0.0) if mm else None,
        )
        for algo in ask.among("act")
        for mm in shifts
    ]


EXPERIMENTS.register(
    "camera_shift",
    Experiment(
        "camera_shift",
        "How far may the cameras be off?",
        "A policy that sees pictures only, tried with every camera shifted by a distance in a "
        "random direction: trial i in the same direction at every distance.",
        Axis("shift of every camera [mm]", "linear"),
        _shifts,
        conclude=differences,
    ),
)
