"""From simulation to another arm: randomised pre-training, then a few demonstrations there.

The other arm is the twin, a simulated arm with a gap (``envs.gap``) that pre-training never sees,
and whose records say twin; or it is one that demonstrations were recorded on. Then policies are
trained here, tried by sessions (``benchmarks.experiment_sessions``), and the records say where.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.experiment import EXPERIMENTS, Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Axis, Conclusion, Table
from benchmarks.experiment_fit import Demos, Fit, Recorded
from benchmarks.experiments.demonstrations import difference
from benchmarks.experiments.deployment import pictures
from benchmarks.lines import Record
from envs.arm import CameraSpec
from envs.collection import Collection
from envs.errors import UsageError
from envs.recipes import randomisation
from policies.stream import StreamConfig

TWIN, ARM = "twin", "arm"
SERIES = "{} alone", "simulation, then {}", "randomised simulation, then {}"
"""Names of the series: trained on the other arm alone, pre-trained, pre-trained and randomised."""
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


@dataclass(frozen=True)
class Side:
    """The other arm.

    Attributes:
        name: what the series call it.
        robot: registered arm; empty: the task's.
        track: ``state`` or ``pixels``.
        cameras: of the demonstrations, the simulated ones too; none on the state track.
        protocol: id of the protocol of its trials.
        counts: numbers M of demonstrations there.
        there: M -> the demonstrations.
    """

    name: str
    robot: str
    track: str
    cameras: tuple[CameraSpec, ...]
    protocol: str
    counts: Sequence[int]
    there: Callable[[int], Demos | Recorded]


def _counts(ask: Ask) -> tuple[int, ...]:
    counts: tuple[int, ...] = ask.of(quick=(0, 10, 25), cpu=(0, 10, 25, 50, 200))
    return counts


def _twin(ask: Ask) -> Side:
    """Return the twin."""
    gap, track = ask.gap or "hard", ask.track or "state"
    cameras = pictures(ask.task) if track == "pixels" else ()

    def there(episodes: int) -> Demos:
        return ask.demos(episodes, gap=gap, seed=HELD_OUT, cameras=cameras)

    protocol = f"{ask.protocol}+twin-{gap}"
    return Side(TWIN, "", track, cameras, protocol, _counts(ask), there)


def _arm(ask: Ask) -> Side:
    """Return the arm that demonstrations were recorded on."""
    real = ask.real
    if real is None:
        raise ValueError("an arm must have demonstrations, got none")
    fit = {n for n in _counts(ask) if n <= real.most}
    asked = {int(place) for place in ask.at if place.isdecimal()}
    for n in sorted(asked - {0}):
        real.first(n)
    fewest = {real.most} if fit == {0} else set()
    counts = sorted(fit | asked | fewest)
    return Side(ARM, real.robot, real.track, real.cameras, ask.protocol, counts, real.first)


def _left_out(ask: Ask) -> list[str]:
    """Say which numbers of demonstrations a preset has and the recordings do not."""
    many = ", ".join(str(n) for n in _counts(ask) if ask.real and n > ask.real.most)
    if not many or ask.real is None or ask.at:
        return []
    have = f"{ask.real.folder} has {ask.real.most} episodes that can be learned from"
    return [f"left out: M = {many}; {have}"]


def _stream(ask: Ask, side: Side, algo: str, recipe: str) -> StreamConfig:
    varied = randomisation((recipe,), ask.task)
    made = Collection(ask.task, side.robot, variations=varied, cameras=side.cameras)
    usual = ask.of(quick=(50, 10), cpu=(100, 3))
    steps = _steps(ask, algo, side.track)
    return StreamConfig(made, *streamed(ask.pretrain, steps, *usual))


def _steps(ask: Ask, algo: str, track: str) -> int:
    """Return the gradient steps of a training from scratch."""
    from policies.base import preset

    return ask.steps or preset(algo, track, ask.size).training.steps


def _prefix(ask: Ask, algo: str) -> str:
    """Return what the names of an algorithm's series begin with: nothing where it is the only."""
    return f"{algo}: " if len(ask.algos) > 1 else ""


def _grid(ask: Ask, side: Side) -> list[Cell]:
    cells = []
    for algo in ask.among("act"):
        alone, plain, varied = (_prefix(ask, algo) + name.format(side.name) for name in SERIES)
        recipe = "physical" if side.track == "state" else "full"
        before = {
            name: ask.fit(algo, None, stream=_stream(ask, side, algo, how), track=side.track)
            for name, how in ((plain, "none"), (varied, recipe))
        }
        for n in side.counts:
            fits = {name: _tuned(ask, side, fit, n) for name, fit in before.items()}
            if n:
                fits = {alone: ask.fit(algo, side.there(n), track=side.track), **fits}
            cells += [
                Cell(
                    name,
                    float(n),
                    fit,
                    side.protocol,
                    against=(alone, float(n)) if n and name != alone else None,
                )
                for name, fit in fits.items()
            ]
    return cells


def _tuned(ask: Ask, side: Side, fit: Fit, episodes: int) -> Fit:
    """Return ``fit`` with fine-tuning on episodes of the other arm; itself without any."""
    if not episodes:
        return fit
    steps = max(1, round(FINE * _steps(ask, fit.algo, fit.track)))
    return replace(fit, demos=side.there(episodes), stream=None, steps=steps, initial=fit)


def _seen(cell: Cell, trials: Sequence[Record], policy: Path) -> Mapping[str, Any]:
    """Return how many episodes the policy learned from: N simulated, M on the other arm."""
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
        track = r.cell.fit.track
        batch, steps = preset(algo, track, ask.size).training.batch, _steps(ask, algo, track)
        said.append(
            f"{algo}: pre-training streams N = {r.extra['N']} simulated episodes in {steps} "
            f"gradient steps; each step draws {batch} windows of the {r.extra['in_memory']} "
            f"episodes that are in memory then; fine-tuning takes {max(1, round(FINE * steps))} "
            "steps"
        )
    return said


def _sum_up(ask: Ask, results: Sequence[Result]) -> Conclusion:
    differences = (difference(r) for r in results if r.diff is not None)
    said = [*_left_out(ask), *_told(ask, results), *differences]
    if not any(r.cell.x == 0.0 for r in results):
        return Conclusion(said)
    name = ARM if ask.real else TWIN
    known = {r.cell.key: r for r in results}
    most = max(float(r.cell.x) for r in results)
    places = [x for x in dict.fromkeys((*_first(results), most)) if x]
    rows = [
        (f"{_prefix(ask, algo)}{about}", *(_share(known.get((series, x))) for x in (0.0, *places)))
        for algo in ask.among("act")
        for series, about in (
            (_prefix(ask, algo) + SERIES[1].format(name), "off"),
            (_prefix(ask, algo) + SERIES[2].format(name), "on"),
        )
    ]
    few = [f"fine-tuned on {x:g}" for x in places]
    worlds = sorted({r.world for r in results if r.tried and ask.real})
    title = f"Success on the {name}" + (f" ({', '.join(worlds)})" if worlds else "")
    return Conclusion(said, [Table(title, ("randomisation", "no fine-tuning", *few), rows)])


def _first(results: Sequence[Result]) -> tuple[float, ...]:
    """Return the fewest episodes of fine-tuning, where it is not the most."""
    found = sorted({float(r.cell.x) for r in results} - {0.0})
    return tuple(found[:1]) if len(found) > 1 else ()


def _share(r: Result | None) -> str:
    if r is None:
        return "\u2013"
    return f"{r.share:.0%} ({r.low:.0%} to {r.high:.0%})" if r.tried else "not tried"


QUESTION = "What do simulated pre-training, randomisation and fine-tuning buy on another arm?"
METHOD = (
    "Pre-training on N streamed simulated demonstrations, randomised or not (physics; on the "
    "pixel track pictures, too); then fine-tuning on M demonstrations of the {0} for a "
    "quarter of the gradient steps; "
    "beside it training on the M alone for all of them. "
)

ON_ARM = Experiment(
    "sim2real",
    QUESTION,
    METHOD.format(ARM) + "The M are the first of those that were recorded on it. All are tried on "
    "the arm by blind sessions; every result says where, as the session's own records do.",
    Axis("demonstrations on the arm (M)", "linear"),
    lambda ask: _grid(ask, _arm(ask)),
    measure=_seen,
    conclude=_sum_up,
)

EXPERIMENTS.register(
    "sim2real",
    replace(
        ON_ARM,
        method=METHOD.format(TWIN) + "All are tried on the twin, a "
        "simulated arm with a fixed gap that pre-training never sees. No result is of a real arm.",
        axis=Axis("demonstrations on the twin (M)", "linear"),
        cells=lambda ask: _grid(ask, _twin(ask)),
        arm=ON_ARM,
    ),
)
