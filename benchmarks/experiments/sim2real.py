"""From simulation to another arm: randomised pre-training, then a few demonstrations there.

The other arm is the twin, a simulated arm with a gap (``envs.gap``) that pre-training never sees.
Its records say twin.
"""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.experiment import (
    EXPERIMENTS,
    Ask,
    Axis,
    Cell,
    Conclusion,
    Demos,
    Experiment,
    Fit,
    Result,
    Table,
)
from benchmarks.experiments.demonstrations import difference
from envs.collection import Collection
from envs.recipes import randomisation
from policies.stream import StreamConfig

ALONE, PLAIN, VARIED = "twin alone", "simulation, then twin", "randomised simulation, then twin"
FINE = 0.25
"""Gradient steps of fine-tuning, as a share of those from scratch."""
HELD_OUT = 7
"""Seed of the demonstrations on the twin: other starts than those of pre-training."""


def _stream(ask: Ask, randomise: str) -> StreamConfig:
    made = Collection(ask.task, variations=randomisation((randomise,), ask.task))
    window, refresh = ask.of(quick=(50, 10), cpu=(100, 3))
    return StreamConfig(made, window, refresh)


def _grid(ask: Ask) -> list[Cell]:
    counts = ask.of(quick=(0, 10, 25), cpu=(0, 10, 25, 50, 200))
    protocol = f"{ask.protocol}+twin-{ask.gap}"
    cells = []
    for algo in ask.among("act"):
        before = {
            PLAIN: ask.fit(algo, None, stream=_stream(ask, "none")),
            VARIED: ask.fit(algo, None, stream=_stream(ask, "physical")),
        }
        for n in counts:
            fits = {name: _tuned(ask, fit, n) for name, fit in before.items()}
            if n:
                fits = {ALONE: ask.fit(algo, _there(ask, n)), **fits}
            several = len(ask.algos) > 1
            cells += [
                Cell(
                    f"{algo}: {name}" if several else name,
                    float(n),
                    fit,
                    protocol,
                    against=(f"{algo}: {ALONE}" if several else ALONE, float(n))
                    if n and name != ALONE
                    else None,
                )
                for name, fit in fits.items()
            ]
    return cells


def _there(ask: Ask, episodes: int) -> Demos:
    """Return demonstrations on the twin."""
    return ask.demos(episodes, gap=ask.gap, seed=HELD_OUT)


def _tuned(ask: Ask, fit: Fit, episodes: int) -> Fit:
    """Return ``fit`` with fine-tuning on episodes of the twin; itself without any."""
    if not episodes:
        return fit
    from policies.base import preset

    usual = fit.steps or preset(fit.algo, fit.track, fit.preset).training.steps
    steps = max(1, round(FINE * usual))
    return replace(fit, demos=_there(ask, episodes), stream=None, steps=steps, initial=fit)


def _sum_up(ask: Ask, results: Sequence[Result]) -> Conclusion:
    known = {r.cell.key: r for r in results}
    most = max((r.cell.x for r in results), default=0.0)
    said = [difference(r) for r in results if r.diff is not None]
    rows = []
    for name, about in ((PLAIN, "off"), (VARIED, "on")):
        cells = [known.get((name, x)) for x in (0.0, *_first(results), most)]
        rows.append((about, *(_share(cell) for cell in cells)))
    few = [f"fine-tuned on {x:g}" for x in (*_first(results), most)]
    table = Table("Success on the twin", ("randomisation", "no fine-tuning", *few), rows)
    return Conclusion(said, [table] if any(r.cell.x == 0.0 for r in results) else [])


def _first(results: Sequence[Result]) -> tuple[float, ...]:
    """Return the fewest episodes of fine-tuning, where it is not the most."""
    found = sorted({float(r.cell.x) for r in results} - {0.0})
    return tuple(found[:1]) if len(found) > 1 else ()


def _share(r: Result | None) -> str:
    return "\u2013" if r is None else f"{r.share:.0%} ({r.low:.0%} to {r.high:.0%})"


EXPERIMENTS.register(
    "sim2real",
    Experiment(
        "sim2real",
        "What do simulated pre-training, randomisation and fine-tuning buy on another arm?",
        "Pre-training on streamed simulated demonstrations, with randomised physics or without; "
        "then fine-tuning on M demonstrations of the twin for a quarter of the gradient steps; "
        "beside it training on the M alone for all of them. All are tried on the twin, a "
        "simulated arm with a fixed gap that pre-training never sees. No result is of a real arm.",
        Axis("demonstrations on the twin (M)", "linear"),
        _grid,
        conclude=_sum_up,
    ),
)
