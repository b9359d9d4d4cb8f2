"""What demonstrations are worth: how many, how clean, with or without recoveries."""

from collections.abc import Sequence

from benchmarks.experiment import EXPERIMENTS, Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Axis, Conclusion
from benchmarks.protocol import NOMINAL

ALGORITHMS = ("act", "diffusion", "bc")
ENOUGH = 0.8
"""Success that the number of demonstrations for is stated."""


def _scaling(ask: Ask) -> list[Cell]:
    counts = ask.of(quick=(10, 25, 50), cpu=(10, 25, 50, 100, 200))
    return [
        Cell(algo, float(n), ask.fit(algo, ask.demos(n)), ask.protocol)
        for algo in ask.among(*ALGORITHMS)
        for n in counts
    ]


def _enough(ask: Ask, results: Sequence[Result]) -> Conclusion:
    """Say from how many demonstrations on each algorithm succeeds often enough."""
    said = []
    for series in dict.fromkeys(r.cell.series for r in results):
        own = [r for r in results if r.cell.series == series]
        r = next((r for r in own if r.share >= ENOUGH), own[-1])
        verb = "reaches" if r.share >= ENOUGH else "does not reach"
        said.append(f"{series} {verb} {ENOUGH:.0%} with {r.cell.x:g} demonstrations ({r.k}/{r.n})")
    return Conclusion(said)


EXPERIMENTS.register(
    "data_scaling",
    Experiment(
        "data_scaling",
        "How many demonstrations does each algorithm need?",
        "Every algorithm is trained from scratch on the first n demonstrations, for as many "
        "gradient steps whatever n, and tried from the same starts.",
        Axis("demonstrations"),
        _scaling,
        conclude=_enough,
    ),
)


def _noise(ask: Ask) -> list[Cell]:
    few, many = ask.of(quick=(25, 100), cpu=(50, 500))
    recipes = ((few, "clean"), (few, "noisy"), (many, "noisy"), (many, "clean"))
    return [
        Cell(
            algo,
            f"{n} {operator}",
            ask.fit(algo, ask.demos(n, operator=operator)),
            ask.protocol,
            against=None if (n, operator) == (few, "clean") else (algo, f"{few} clean"),
        )
        for algo in ask.among("act", "bc")
        for n, operator in recipes
    ]


def differences(ask: Ask, results: Sequence[Result]) -> Conclusion:
    """Say every difference that the grid declares."""
    return Conclusion([difference(r) for r in results if r.diff is not None])


def difference(r: Result) -> str:
    """Say how a cell differs from the one that it is compared with."""
    if r.diff is None or r.cell.against is None or r.diff_low is None or r.diff_high is None:
        raise ValueError(f"{r.cell.key} is compared with nothing")
    own, other = f"{r.cell.series} at {r.cell.x}", "{} at {}".format(*r.cell.against)
    if r.cell.series == r.cell.against[0]:
        own, other = f"{r.cell.series}: {r.cell.x}", str(r.cell.against[1])
    elif r.cell.x == r.cell.against[1]:
        own, other = f"at {r.cell.x}: {r.cell.series}", r.cell.against[0]
    told = f"{own} minus {other}: {100 * r.diff:+.0f} points"
    return f"{told}, 95 % interval {100 * r.diff_low:+.0f} to {100 * r.diff_high:+.0f}"


EXPERIMENTS.register(
    "clean_vs_noisy",
    Experiment(
        "clean_vs_noisy",
        "Do a few clean demonstrations beat many noisy ones?",
        "The noisy demonstrator trembles, pauses and grasps late (operator noisy of armtrials "
        "collect); failed attempts of either are left out. Few and many of both, so that number "
        "and cleanness can be told apart.",
        Axis("demonstrations", "names"),
        _noise,
        conclude=differences,
    ),
)

OFF_NOMINAL = ("home_pose/L3", "action_delay/L3")


def _recovery(ask: Ask) -> list[Cell]:
    base, more = ask.of(quick=(30, 15), cpu=(50, 25))
    whole = base + more
    recipes = {
        f"{base}": ask.demos(base),
        f"{whole}": ask.demos(whole),
        f"{whole}, a third recoveries": ask.demos(whole, recovery=1 / 3),
    }
    return [
        Cell(
            f"{algo}, {name}",
            condition,
            ask.fit(algo, demos),
            ask.protocol,
            condition,
            against=None if name == f"{whole}" else (f"{algo}, {whole}", condition),
        )
        for algo in ask.among("act", "bc")
        for condition in (NOMINAL, *OFF_NOMINAL)
        for name, demos in recipes.items()
    ]


EXPERIMENTS.register(
    "recovery",
    Experiment(
        "recovery",
        "What are demonstrations of recoveries worth?",
        "About a third of the demonstrations start after a push, a nudge or a missed grasp; "
        "beside them as many that all start well, and fewer. Tried from nominal starts and off "
        "them.",
        Axis("condition", "names"),
        _recovery,
        conclude=differences,
    ),
)
