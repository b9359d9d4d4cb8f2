"""Mode averaging: who copes with demonstrations that go either way round a post?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.board_runs import seen
from benchmarks.experiment import EXPERIMENTS, Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Axis, Conclusion, Table
from benchmarks.lines import Record
from benchmarks.ways import entropy, ways_of
from envs.collection import MIXED
from envs.errors import UsageError
from envs.tasks import TASKS

FAIR = 0.5


def _grid(ask: Ask) -> list[Cell]:
    if not TASKS[ask.task].ways:
        several = ", ".join(name for name, task in TASKS.items() if task.ways)
        raise UsageError(
            f"modes needs a task that leaves a choice, got {ask.task}; known: {several}"
        )
    shares = ask.of(quick=(FAIR,), cpu=(FAIR, 0.8, 1.0))
    return [
        Cell(
            algo,
            share,
            ask.fit(algo, ask.demos(50, strategy=MIXED if share == FAIR else f"{share:g}")),
            ask.protocol,
            against=None if algo == "bc" else ("bc", share),
        )
        for share in shares
        for algo in ask.among("bc", "act", "diffusion")
    ]


def _ways(cell: Cell, trials: Sequence[Record], policy: Path) -> Mapping[str, Any]:
    """Count the ways taken; how far their shares are from those that were demonstrated."""
    found = ways_of([seen(trial) for trial in trials])
    if found is None:
        return {}
    decided, share = found.left + found.right, float(cell.x)
    left = found.left / decided if decided else None
    return {
        "left": found.left,
        "right": found.right,
        "neither": found.neither,
        "left_share": left,
        "bits": found.bits,
        "bits_shown": entropy(round(1000 * share), round(1000 * (1 - share))),
        "middle": sum(t["failure"] == "collision" for t in trials),
    }


def _sum_up(ask: Ask, results: Sequence[Result]) -> Conclusion:
    heads = ("policy", "left shown", "left", "right", "neither", "left taken", "bits", "bits shown")
    rows = []
    for r in results:
        e = r.extra
        taken = "\u2013" if e["left_share"] is None else f"{e['left_share']:.0%}"
        bits = "\u2013" if e["bits"] is None else f"{e['bits']:.2f}"
        counts = [str(e[name]) for name in ("left", "right", "neither")]
        shown = f"{e['bits_shown']:.2f}"
        rows.append((r.cell.series, f"{float(r.cell.x):.0%}", *counts, taken, bits, shown))
    said = [
        f"{r.cell.series}, {float(r.cell.x):.0%} left shown: {r.k}/{r.n} succeed, "
        f"{r.extra['middle']} knock the post over, {r.extra['left']} go left and "
        f"{r.extra['right']} right"
        for r in results
    ]
    return Conclusion(said, [Table("Ways taken", heads, rows)])


EXPERIMENTS.register(
    "modes",
    Experiment(
        "modes",
        "Who averages two good ways into a bad one?",
        "50 demonstrations go round a post, a given share of them on the left; nothing in the "
        "scene says which. What lies between the two ways knocks the post over. The entropy of "
        "the ways taken tells whether a policy knows both.",
        Axis("share of demonstrations that go left", "linear"),
        _grid,
        task="two_ways",
        measure=_ways,
        conclude=_sum_up,
    ),
)
