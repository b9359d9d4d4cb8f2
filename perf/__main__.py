"""Measure and print the table: ``python -m perf [names] [--json FILE]``."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from envs.errors import UsageError
from perf import evaluation, export, learning, sampler, simulation, tasks
from perf.ratio import Ratio, Seconds

Result = Ratio | Seconds
TASKS = "tasks"
"""Measures rates, not ratios: a table of its own."""

MEASUREMENTS: dict[str, Callable[[], Result]] = {
    "env": simulation.env_step,
    "batch": simulation.two_threads,
    "pixels": simulation.pixels,
    "sampler": sampler.batches,
    "evaluation": evaluation.diffusion_trials,
    "evaluation-act": evaluation.act_trials,
    "export-act": export.act_graph,
    "export-diffusion": export.diffusion_graph,
    "act-90": learning.act_to_90,
    "diffusion-90": learning.diffusion_to_90,
}


def main() -> int:
    """Run the measurements asked for; return 0 whatever they say: they are figures, not tests."""
    arguments = _arguments()
    console = Console(width=max(120, Console().width))
    results: dict[str, Result] = {}
    names = arguments.names or [*MEASUREMENTS, TASKS]
    for name in [name for name in names if name != TASKS]:
        with console.status(f"measuring {name}"):
            try:
                results[name] = MEASUREMENTS[name]()
            except UsageError as error:  # not to be had on this machine
                console.print(f"{name}: not measured: {error}")
    if results:
        console.print(_table(results))
    found: list[tasks.Rate] = []
    if TASKS in names:
        with console.status("measuring tasks"):
            found = tasks.rates()
        console.print(_rates(found))
    if arguments.json is not None:
        figures: dict[str, object] = {name: result.to_json() for name, result in results.items()}
        if found:
            figures[TASKS] = [rate.to_json() for rate in found]
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        help=f"of {', '.join((*MEASUREMENTS, TASKS))}; default: all",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    known = (*MEASUREMENTS, TASKS)
    if unknown := set(arguments.names) - set(known):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return arguments


def _table(results: dict[str, Result]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("ours : theirs", "goal", "measured", "range", "ours", "theirs", "time"):
        table.add_column(name, no_wrap=True)
    for result in results.values():
        table.add_row(result.what, *_cells(result), style="" if result.met else "yellow")
    return table


def _rates(found: list[tasks.Rate]) -> Table:
    """Return control steps a second per core; less than real time is marked."""
    table = Table(box=None, pad_edge=False)
    for name in ("task", "steps/s per core", "times real time"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for rate in found:
        times = f"{rate.steps_per_s / tasks.CONTROL_HZ:.1f}"
        style = "" if rate.met else "yellow"
        table.add_row(rate.what, f"{rate.steps_per_s:.0f}", times, style=style)
    return table


def _cells(result: Result) -> tuple[str, ...]:
    if isinstance(result, Seconds):
        measured = "not reached" if result.seconds is None else f"{result.seconds:.0f} s"
        return (f"<= {result.goal:.0f} s", measured)
    return (
        f">= {result.goal:g}",
        _digits(result.ratio),
        f"{_digits(result.low)} to {_digits(result.high)}",
        f"{result.ours_s * 1e3:.3g} ms",
        f"{result.theirs_s * 1e3:.3g} ms",
        result.clock,
    )


def _digits(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


if __name__ == "__main__":
    sys.exit(main())
