"""From simulation to another arm: randomised pre-training, then a few demonstrations there.

The other arm is the twin, a simulated arm with a gap (``envs.gap``) that pre-training never sees.
Its records say twin.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.experiment import EXPERIMENTS, Ask, Cell, Demos, Experiment, Fit, Result
from benchmarks.experiment_answer import Axis, Conclusion, Table
from benchmarks.experiments.demonstrations import difference
from benchmarks.experiments.deployment import pictures
from benchmarks.lines import Record
from envs.arm import CameraSpec
from envs.collection import Collection
from envs.errors import UsageError
from envs.recipes import randomisation
from policies.stream import StreamConfig

ALONE, PLAIN, VARIED = "twin alone", "simulation, then twin", "randomised simulation, then twin"
FINE = 0.25
"""Gradient steps of fine-tuning, as a share of those from scratch."""
HELD_OUT = 7
"""Seed of the demonstrations on the twin: other starts than those of pre-training."""


LEAST = 2
"""Episodes of the smallest window that a training can be streamed through."""


def streamed(episodes: int | None, steps: int, window: int, refresh: int) -> tuple[int, int]:
    """Return window and refresh (see ``StreamConfig``) that show so many episodes in ``steps``.

    Args:
        episodes: N; None: as many as the usual ``window`` and ``refresh`` come to.
        steps: gradient steps of the pre-training.
        window: usual episodes in memory; fewer where N is smaller, more where one new episode a
            step does not make N.
        refresh: usual gradient steps between new episodes.

    Raises:
        UsageError: too few episodes.
    """
    if episodes is None:
        return window, refresh
    if episodes < LEAST:
        raise UsageError(f"--pretrain must be at least {LEAST} episodes, got {episodes}")
    fresh = max(0, episodes - window)
    every = -(-(steps - 1) // fresh) if fresh else steps
    every = max(1, every)
    return episodes - (steps - 1) // every, every


def _stream(ask: Ask, algo: str, recipe: str) -> StreamConfig:
    made = Collection(
        ask.task, variations=randomisation((recipe,), ask.task), cameras=_cameras(ask)
    )
    usual = ask.of(quick=(50, 10), cpu=(100, 3))
    return StreamConfig(made, *streamed(ask.pretrain, _steps(ask, algo), *usual))


def _steps(ask: Ask, algo: str) -> int:
    """Return the gradient steps of a training from scratch."""
    from policies.base import preset

    return ask.steps or preset(algo, _track(ask), ask.size).training.steps


def _track(ask: Ask) -> str:
    return ask.track or "state"


def _gap(ask: Ask) -> str:
    return ask.gap or "hard"


def _cameras(ask: Ask) -> tuple[CameraSpec, ...]:
    return pictures(ask.task) if _track(ask) == "pixels" else ()


def _grid(ask: Ask) -> list[Cell]:
    counts = ask.of(quick=(0, 10, 25), cpu=(0, 10, 25, 50, 200))
    protocol = f"{ask.protocol}+twin-{_gap(ask)}"
    cells = []
    for algo in ask.among("act"):
        track = _track(ask)
        varied = "physical" if track == "state" else "full"
        before = {
            PLAIN: ask.fit(algo, None, stream=_stream(ask, algo, "none"), track=track),
            VARIED: ask.fit(algo, None, stream=_stream(ask, algo, varied), track=track),
        }
        for n in counts:
            fits = {name: _tuned(ask, fit, n) for name, fit in before.items()}
            if n:
                fits = {ALONE: ask.fit(algo, _there(ask, n), track=track), **fits}
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
    return ask.demos(episodes, gap=_gap(ask), seed=HELD_OUT, cameras=_cameras(ask))


def _tuned(ask: Ask, fit: Fit, episodes: int) -> Fit:
    """Return ``fit`` with fine-tuning on episodes of the twin; itself without any."""
    if not episodes:
        return fit
    steps = max(1, round(FINE * _steps(ask, fit.algo)))
    return replace(fit, demos=_there(ask, episodes), stream=None, steps=steps, initial=fit)


def _seen(cell: Cell, trials: Sequence[Record], policy: Path) -> Mapping[str, Any]:
    """Return how many episodes the policy learned from: N simulated, M on the twin."""
    first = cell.fit.chain()[0]
    found: dict[str, Any] = {"N": 0, "in_memory": 0, "M": int(float(cell.x))}
    if first.stream is None:
        return found
    held = json.loads((first.folder(policy.parent.parent) / "provenance.json").read_text())
    seen = held["data"]["stream"]["seen"]
    return found | {"N": int(seen), "in_memory": first.stream.window}


def _told(ask: Ask, results: Sequence[Result]) -> list[str]:
    """Say how much simulation a pre-training sees, and how much of it one gradient step."""
    from policies.base import preset

    firsts = {r.cell.fit.chain()[0].algo: r for r in results if r.extra.get("N")}
    said = []
    for algo, r in firsts.items():
        batch, steps = preset(algo, _track(ask), ask.size).training.batch, _steps(ask, algo)
        said.append(
            f"{algo}: pre-training streams N = {r.extra['N']} simulated episodes in {steps} "
            f"gradient steps; each step draws {batch} windows of the {r.extra['in_memory']} "
            f"episodes that are in memory then; fine-tuning takes {max(1, round(FINE * steps))} "
            "steps"
        )
    return said


def _sum_up(ask: Ask, results: Sequence[Result]) -> Conclusion:
    known = {r.cell.key: r for r in results}
    most = max((r.cell.x for r in results), default=0.0)
    said = [*_told(ask, results), *(difference(r) for r in results if r.diff is not None)]
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
        "Pre-training on N streamed simulated demonstrations, randomised or not (physics; on the "
        "pixel track pictures, too); then fine-tuning on M demonstrations of the twin for a "
        "quarter of the gradient steps; "
        "beside it training on the M alone for all of them. All are tried on the twin, a "
        "simulated arm with a fixed gap that pre-training never sees. No result is of a real arm.",
        Axis("demonstrations on the twin (M)", "linear"),
        _grid,
        measure=_seen,
        conclude=_sum_up,
    ),
)
