"""A policy elsewhere than where it was trained: wrong statistics, longer chunks, moved cameras."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.execution import Wanted
from benchmarks.experiment import EXPERIMENTS, Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Axis, Conclusion, Table
from benchmarks.experiments.demonstrations import differences
from benchmarks.gate.check import FAIL
from benchmarks.gate.run import Gate, GateConfig
from benchmarks.lines import Record
from benchmarks.protocol import PROTOCOLS
from envs.arm import CameraSpec
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.restat import DAMAGES, refusal

RIGHT = "right"
SIDE = 84
"""Width and height of the pictures [px]."""
GATED, TIMED = 10, 20
"""Trials of the gate on nominal starts and in changed scenes (with five none could pass), and its
predictions that are timed."""


REFUSES, SILENT = "refuses", "finds nothing"


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
    """Say how loading answers to statistics replaced in the folder, and the gate to the policy."""
    folder = policy.parent.parent if cell.damage else policy
    refused = refusal(folder, cell.damage) if cell.damage else ""
    return {"refused": refused or None, **_gated(cell, policy, folder.parent.parent)}


def _gated(cell: Cell, policy: Path, root: Path) -> Mapping[str, Any]:
    """Ask the gate about a policy that learned from demonstrations below ``root``.

    The loop on the twin is left out: it looks at how smoothly chunks meet, not at statistics.
    """
    if cell.fit.demos is None:
        raise ValueError("the gate needs a folder of demonstrations")
    config = GateConfig(
        policy,
        cell.protocol,
        PROTOCOLS[cell.protocol].robot,
        data=cell.fit.demos.folder(root),
        trials=GATED,
        perturbed=GATED,
        timed=TIMED,
        wanted=Wanted(cell.execute),
    )
    passage = Gate(config).run()
    return {"gate": REFUSES if passage.outcome == FAIL else SILENT, "cause": passage.cause}


def _cost(ask: Ask, results: Sequence[Result]) -> Conclusion:
    wrong = [r for r in results if r.cell.damage]
    right = [r for r in results if not r.cell.damage]
    rows = [
        (
            r.cell.series,
            str(r.cell.x),
            f"{r.k}/{r.n}",
            "refused" if r.extra["refused"] else "loads",
            r.extra["gate"],
            r.extra["cause"] or "\u2013",
        )
        for r in results
    ]
    seen = sum(r.extra["refused"] is not None for r in wrong)
    said = [
        *differences(ask, results).said,
        f"loading refuses {seen} of {len(wrong)} checkpoints whose statistics were replaced",
        f"the gate refuses {_stopped(wrong)} of {len(wrong)} policies with wrong statistics, and "
        f"{_stopped(right)} of {len(right)} with the right ones",
    ]
    heads = (
        "policy",
        "statistics",
        "success if made whole",
        "replaced in the folder",
        "gate if made whole",
        "cause it names",
    )
    return Conclusion(said, [Table("Is it noticed?", heads, rows)])


def _stopped(results: Sequence[Result]) -> int:
    return sum(r.extra["gate"] == REFUSES for r in results)


EXPERIMENTS.register(
    "normalisation",
    Experiment(
        "normalisation",
        "What do wrong statistics cost at deployment, and are they noticed?",
        "One policy, its statistics changed before the trials: every joint's zero off by 0.05 "
        "rad (offset), objects off by 2 cm (place), actions scaled by 0.8 about their mean "
        "(scale), the first two joints swapped (swap), joint positions in degrees (degrees), "
        "minimum and maximum taken for mean and deviation or the other way (mode). The gate is "
        f"asked about each with {GATED} nominal and {GATED} changed starts, without its loop on "
        "the twin, which looks at how smoothly chunks meet.",
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
