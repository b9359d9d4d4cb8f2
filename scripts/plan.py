"""Tell how many trials a comparison needs, and whether one that runs may stop."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import planner
from benchmarks.decide import decide
from envs.errors import UsageError

EXAMPLES = """
armtrials plan --better .8 --worse .7
armtrials plan --better .9 --worse .8 --correlation .6 --sequential
armtrials plan --trials 200
armtrials plan --runs evaluations/runs/pick_place_v1/act-s0-1a2b3c4d5e \
    evaluations/runs/pick_place_v1/bc-s0-5e4d3c2b1a
"""

CORRELATIONS = (0.0, 0.4, 0.6, 0.8)
RATES = (0.5, 0.8, 0.9, 0.95)
CURVE_COLUMNS = 48
BLOCKS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Plan:
    """Trials needed to tell two policies apart, what a number of trials can tell, may we stop.

    Paired: both policies meet the same initial conditions and exact McNemar decides. The numbers
    are for one comparison of two checkpoints; a claim on algorithms needs three seeds or more.
    """

    better: float = 0.8
    """Success rate of the better policy."""
    worse: float = 0.7
    """Success rate of the worse policy."""
    power: float = 0.8
    """Wanted chance of finding the difference."""
    alpha: float = 0.05
    """Two-sided error rate."""
    correlation: float = 0.4
    """How much a start that is hard for one is hard for the other, 0 to below 1."""
    sequential: bool = False
    """Plan for the test that looks after every pair and may stop early."""
    trials: int | None = None
    """Tell what this many trials a policy can show, instead."""
    runs: tuple[Path, Path] | None = None
    """Two run folders, finished or not: tell, instead, what the sequential test of their protocol
    says after the pairs that both have: stop (which is better, or no difference found) or go on."""
    condition: str = "nominal"
    """With --runs: the condition whose trials are paired."""

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be made."""
        if not (0 < self.alpha < 1 and self.alpha < self.power < 1):
            raise UsageError(
                f"needed: 0 < alpha < power < 1, got alpha {self.alpha}, power {self.power}"
            )

    def run(self) -> int:
        """Print the tables or the verdict; return 0."""
        console = Console()
        if self.runs is not None:
            for line in decide(*self.runs, self.condition).lines():
                console.print(line, highlight=False, soft_wrap=True)
        elif self.trials is None:
            self._print_needed(console)
        else:
            self._print_resolution(console, self.trials)
        return 0

    def _print_needed(self, console: Console) -> None:
        """Print the trials needed by each way of comparing, and the power curve."""
        rates = (self.better, self.worse)
        table = Table(title=f"To tell {self.better:.0%} from {self.worse:.0%}", box=None)
        table.add_column("design")
        table.add_column("correlation", justify="right")
        table.add_column("trials a policy", justify="right")
        table.add_column("")
        needed = {
            correlation: planner.trials_needed(*rates, correlation, self.power, self.alpha)
            for correlation in sorted({*CORRELATIONS, self.correlation})
        }
        for correlation, count in needed.items():
            chosen = "<- this plan" if correlation == self.correlation else ""
            table.add_row("paired, exact McNemar", f"{correlation:g}", str(count), chosen)
        if self.sequential:
            table.add_row(*self._sequential_row())
        unpaired = planner.unpaired_needed(*rates, self.power, self.alpha)
        table.add_row("unpaired", "-", str(unpaired), "other starts each")
        console.print(table)
        console.print(f"Power {self.power:.0%}, two-sided alpha {self.alpha:g}.\n")
        console.print(self._curve(needed[self.correlation]), highlight=False)

    def _sequential_row(self) -> tuple[str, str, str, str]:
        """Return the row of the sequential test."""
        rule, found = planner.sequential_needed(
            self.better, self.worse, self.correlation, self.power, self.alpha
        )
        note = f"mean {found.mean_trials:.0f}, power {found.power:.2f}"
        return "paired, sequential", f"{self.correlation:g}", f"<= {rule.n_max}", note

    def _curve(self, needed: int) -> str:
        """Return power against trials as a line of blocks with its axis."""
        sizes = np.linspace(0, 2 * needed, CURVE_COLUMNS + 1)[1:].round().astype(int).clip(1)
        shares = (self.better, self.worse, self.correlation, self.alpha)
        power = planner.power_curve(sizes, *shares)
        bars = "".join(BLOCKS[round(value * (len(BLOCKS) - 1))] for value in power)
        half = CURVE_COLUMNS // 2
        middle, end = str(needed), str(2 * needed)
        axis = "0".ljust(half - 1) + middle + end.rjust(CURVE_COLUMNS + 1 - half - len(middle))
        return f"power  {bars}  {power[-1]:.2f}\ntrials {axis}"

    def _print_resolution(self, console: Console, trials: int) -> None:
        """Print interval widths and the smallest difference that ``trials`` can show."""
        title = f"What {trials} trials a policy can tell (correlation {self.correlation:g})"
        table = Table(title=title, box=None)
        table.add_column("success rate", justify="right")
        table.add_column("its interval", justify="right")
        table.add_column("of a difference", justify="right")
        table.add_column("smallest difference found", justify="right")
        for rate in sorted({*RATES, self.better}):
            found = planner.resolution(trials, rate, self.correlation, self.power, self.alpha)
            gap = "none" if found.detectable is None else f"{100 * found.detectable:.1f} points"
            widths = (f"± {100 * w:.1f}" for w in (found.half_width, found.paired_half_width))
            table.add_row(f"{rate:.0%}", *widths, gap)
        console.print(table)
        console.print(f"Found with power {self.power:.0%} at two-sided alpha {self.alpha:g}.")
        if trials < planner.RANKING_FLOOR:
            console.print(f"Fewer than {planner.RANKING_FLOOR} trials cannot rank policies.")
