"""Carrying an experiment out: demonstrations, trainings, trials; nothing is made twice."""

import dataclasses
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.evaluated import valid
from benchmarks.experiment import Ask, Cell, Experiment, Result
from benchmarks.experiment_fit import Demos, Fit, Recorded
from benchmarks.lines import Record
from benchmarks.protocol import NOMINAL
from benchmarks.recordings import Recordings
from benchmarks.records import read_run
from benchmarks.run import EvaluateConfig, Workers, evaluate, prepare, workers_of
from envs.collect import collect
from envs.errors import UsageError
from envs.executor import Executor
from envs.local_workers import LOCAL
from envs.pool import Pool
from policies.base import ALGORITHMS
from policies.restat import damaged
from policies.train import train
from policies.train_config import TrainConfig
from policies.train_log import read_log

Advance = Callable[[int], None]
Bar = Callable[[str, int], Any]
"""``bar(title, total)``: a context manager that yields ``advance(n)``."""
PROVENANCE = "provenance.json"
POLL_S = 1.0
UNKNOWN = stats.Interval(0.0, 1.0, "no trials")
"""Of a success of which nothing was seen."""


@dataclass(frozen=True)
class Place:
    """Where an experiment works.

    Attributes:
        root: folder of demonstrations and checkpoints, shared by all experiments.
        results: folder that takes the runs.
        workers: processes at a time.
        executor: where they run.
    """

    root: Path
    results: Path
    workers: int = 1
    executor: Executor = LOCAL


@dataclass(frozen=True)
class Work:
    """What the cells need, each thing once, in the order in which it can be made."""

    demos: Sequence[Demos | Recorded]
    fits: Sequence[Fit]


def work_of(cells: Sequence[Cell]) -> Work:
    """Return what is to be made before the trials of ``cells``."""
    fits = list(dict.fromkeys(fit for cell in cells for fit in cell.fit.chain()))
    fits.sort(key=lambda fit: fit.depth)
    return Work(list(dict.fromkeys(demos for fit in fits for demos in fit.sources)), fits)


def run(experiment: Experiment, ask: Ask, place: Place, bar: Bar) -> list[Result]:
    """Make what is missing, try every cell, and return the results in the order of the grid.

    Raises:
        UsageError: an algorithm that cannot be trained so, before anything is made; from the grid,
            the demonstrators, the trainings or the trials: what was completed is kept.
    """
    check_algorithms(experiment, ask)
    cells = experiment.grid(ask)
    make(work_of(cells), place, bar)
    return compared(_try(experiment, ask, cells, place, bar))


def check_algorithms(experiment: Experiment, ask: Ask) -> None:
    """Refuse algorithms asked for that cannot be trained as the cells say.

    Raises:
        UsageError: so it is; those that can be are listed.
    """
    refused = {algo: why for algo in ask.algos if (why := _untrainable(experiment, ask, algo))}
    known = [algo for algo in ALGORITHMS if refused and not _untrainable(experiment, ask, algo)]
    if known:  # else the grid itself says what is wrong
        algo, why = next(iter(refused.items()))
        raise UsageError(f"{experiment.name} cannot train {algo}: {why}; known: {', '.join(known)}")


def _untrainable(experiment: Experiment, ask: Ask, algo: str) -> str:
    """Say why the cells of an algorithm cannot be trained; empty where they can."""
    try:
        for fit in work_of(experiment.grid(replace(ask, algos=(algo,)))).fits:
            config_of(fit, Path()).resolve()
    except UsageError as error:
        return str(error)
    return ""


def make(work: Work, place: Place, bar: Bar, real: Recordings | None = None) -> None:
    """Collect and train what is missing; what was recorded on an arm is taken from ``real``."""
    for demos in work.demos:
        if isinstance(demos, Demos):
            _collect(demos, place, bar)
        elif real is not None:
            real.lay_out(demos, place.root)
    _train(work.fits, place, bar)


def _collect(demos: Demos, place: Place, bar: Bar) -> None:
    folder = demos.folder(place.root)
    if len(list(folder.glob("episode_*.hdf5"))) >= demos.episodes:
        return
    with bar(f"demonstrations {folder.name}", demos.episodes) as advance:
        wanted = (demos.collection, demos.episodes, folder)
        collect(*wanted, place.workers, advance, place.executor)


def config_of(fit: Fit, root: Path) -> TrainConfig:
    """Return the training as the training loop takes it."""
    return TrainConfig(
        algo=fit.algo,
        data=None if fit.demos is None else fit.demos.folder(root),
        out=fit.folder(root),
        track=fit.track,
        preset=fit.preset,
        seed=fit.seed,
        steps=fit.steps,
        stream=fit.stream,
        initial=None if fit.initial is None else fit.initial.folder(root),
        chunk=fit.chunk,
        keep=fit.keep,
        also=tuple(demos.folder(root) for demos in fit.also),
        lora=fit.lora,
    )


def _train(fits: Sequence[Fit], place: Place, bar: Bar) -> None:
    """Train what is missing, side by side where one does not build on the other."""
    missing = [fit for fit in fits if not (fit.folder(place.root) / PROVENANCE).is_file()]
    if not missing:
        return
    configs = {fit: config_of(fit, place.root) for fit in missing}
    total = sum(config.resolve().training.steps for config in configs.values())
    with (
        bar(f"training of {len(missing)} policies, steps", total) as advance,
        _watched([config.out for config in configs.values()], advance),
        Pool(_trainer, place.workers, place.executor) as pool,
    ):
        for depth in sorted({fit.depth for fit in missing}):
            for _ in pool.run([config for fit, config in configs.items() if fit.depth == depth]):
                pass


def _trainer() -> Callable[[TrainConfig], None]:
    return _fit


def _fit(config: TrainConfig) -> None:
    """Train in a worker process; asked to end, it has saved its state."""
    train(config)


@contextmanager
def _watched(folders: Sequence[Path], advance: Advance) -> Iterator[None]:
    """Tell ``advance`` of the steps that the logs in ``folders`` say are done, until the end."""
    over, seen = threading.Event(), 0

    def look() -> None:
        nonlocal seen
        before, seen = seen, max(seen, sum(map(_steps, folders)))
        advance(seen - before)

    def watch() -> None:
        while not over.wait(POLL_S):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    look()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        look()


def _steps(folder: Path) -> int:
    lines = read_log(folder)
    return int(lines[-1]["step"]) if lines else 0


def checkpoint_of(cell: Cell, root: Path) -> Path:
    """Return the folder of the policy that is tried, made where a cell asks for a changed one."""
    folder = cell.fit.folder(root)
    if cell.step is not None:
        folder = folder / "steps" / f"{cell.step:07d}"
    return damaged(folder, cell.damage) if cell.damage else folder


def _try(
    experiment: Experiment, ask: Ask, cells: Sequence[Cell], place: Place, bar: Bar
) -> list[Result]:
    """Run the trials of every cell that are missing."""
    results = []
    conditions = [1 if cell.condition == NOMINAL else 2 for cell in cells]
    with (
        workers_of(place.workers, place.executor) as pool,
        bar(f"trials of {len(cells)} cells", ask.count * sum(conditions)) as advance,
    ):
        for cell in cells:
            folder = try_cell(cell, ask, place, pool, advance)
            results.append(_result(experiment, cell, folder, checkpoint_of(cell, place.root)))
    return results


def try_cell(
    cell: Cell,
    ask: Ask,
    place: Place,
    pool: Workers | None = None,
    advance: Advance = lambda n: None,
) -> Path:
    """Run the trials of one cell that are missing; return its run folder."""
    job = prepare(_evaluation(cell, ask, place))
    return evaluate(job.config, advance, job, pool).folder


def _evaluation(cell: Cell, ask: Ask, place: Place) -> EvaluateConfig:
    return EvaluateConfig(
        policy=str(checkpoint_of(cell, place.root)),
        protocol=cell.protocol,
        name=cell.series,
        results=place.results,
        conditions=tuple(dict.fromkeys((NOMINAL, cell.condition))),
        trials=ask.count,
        split=ask.split,
        execute=cell.execute,
        workers=place.workers,
        videos="none",
    )


def _result(experiment: Experiment, cell: Cell, folder: Path, policy: Path) -> Result:
    """Sum up the trials of a cell."""
    found = read_run(folder)
    trials = valid(found.cells()[cell.condition])
    ids = [int(t["key"]["ic"]) for t in trials]
    result = summed(experiment, cell, policy, trials, ids)
    return replace(result, run=run_of(folder), world=str(found.manifest["world"]))


def run_of(folder: Path) -> str:
    """Return the name of a run folder, from the results folder on."""
    return "/".join(folder.parts[-3:])


def summed(
    experiment: Experiment, cell: Cell, policy: Path, trials: Sequence[Record], ids: Sequence[int]
) -> Result:
    """Sum up valid trials of a cell; none: it was not tried.

    Args:
        experiment: that the cell is of.
        cell: which.
        policy: its checkpoint.
        trials: the valid ones.
        ids: a number for each; trials of two cells with the same number are a pair.
    """
    k, n = sum(bool(t["success"]) for t in trials), len(trials)
    limits = stats.cell_interval(k, n) if n else UNKNOWN
    origin = json.loads((policy / PROVENANCE).read_text())
    return Result(
        cell=cell,
        run="",
        k=k,
        n=n,
        low=limits.low,
        high=limits.high,
        failures=dict(Counter(t["failure"] for t in trials if t["failure"]).most_common()),
        demonstrations=_demonstrations(cell.fit, origin),
        training_s=origin["training"].get("cpu_s"),
        extra={
            "flags": [bool(t["success"]) for t in trials],
            "ics": list(ids),
            **experiment.measure(cell, trials, policy),
        },
    )


def _demonstrations(fit: Fit, origin: dict[str, Any]) -> int | None:
    """Return how many the last training saw."""
    if fit.demos is not None:
        return fit.demos.episodes
    seen = origin["data"].get("stream", {}).get("seen")
    return None if seen is None else int(seen)


def compared(results: Sequence[Result]) -> list[Result]:
    """Return the results with the paired comparisons that their cells ask for."""
    known = {result.cell.key: result for result in results}
    return [_against(r, known.get(r.cell.against) if r.cell.against else None) for r in results]


def _against(result: Result, other: Result | None) -> Result:
    shared = set(result.extra["ics"]) & set(other.extra["ics"]) if other else set()
    if other is None or not shared:
        return result
    d = stats.compare(_outcomes(result, shared), _outcomes(other, shared))
    return replace(result, diff=d.diff, diff_low=d.low, diff_high=d.high, p=d.p)


def _outcomes(result: Result, of: Collection[int]) -> stats.Outcomes:
    """Return the successes of the trials with these numbers."""
    pairs = zip(result.extra["ics"], result.extra["flags"], strict=True)
    kept = {number: flag for number, flag in pairs if number in of}
    return stats.Outcomes(np.array(list(kept.values()), bool), list(kept))


def lines(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return a line a cell with plain values: the rows of the CSV file."""
    plain = [f.name for f in dataclasses.fields(Result) if f.name not in ("cell", "extra")]
    return [
        {
            "series": r.cell.series,
            "x": r.cell.x,
            "success": r.share if r.tried else None,
            **{name: getattr(r, name) for name in plain},
            **{k: v for k, v in r.extra.items() if k not in ("flags", "ics")},
            "protocol": r.cell.protocol,
            "condition": r.cell.condition,
            "against": "/".join(map(str, r.cell.against)) if r.cell.against else None,
        }
        for r in results
    ]
