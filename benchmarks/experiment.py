"""What an experiment is: a declared grid of cells, each a way to make a policy and to try it.

A cell names its demonstrations, its training and its trials; what two cells share is made once.
Every folder is named by the hash of what it is made from, so an experiment that was interrupted, or
asked for more, finds what is there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.derived import TWIN
from benchmarks.experiment_answer import Axis, Conclusion
from benchmarks.experiment_fit import Demos, Fit, Recorded
from benchmarks.lines import Record
from benchmarks.protocol import NOMINAL, PROTOCOLS, SPLITS, TEST
from benchmarks.recordings import Recordings
from envs.collection import Collection
from envs.errors import UsageError
from envs.gap import differing
from envs.registry import Registry
from envs.tasks import TASKS
from policies.base import ALGORITHMS

Place = float | str
"""Where a cell stands on the axis of the figure: a number, or a name."""
SIZES = ("quick", "cpu")


@dataclass(frozen=True)
class Cell:
    """One point of the figure.

    Attributes:
        series: the line that it belongs to; the row on a leaderboard.
        x: where on the axis.
        fit: how the policy is made.
        protocol: id of the protocol of its trials.
        condition: which of its conditions is looked at.
        step: a checkpoint that was kept on the way, instead of the last.
        damage: what is done to the checkpoint before it is tried, see ``policies.restat``; "" for
            nothing.
        execute: steps between predictions; None: as the checkpoint says.
        against: (series, x) of the cell that it is compared with, pair by pair.
    """

    series: str
    x: Place
    fit: Fit
    protocol: str
    condition: str = NOMINAL
    step: int | None = None
    damage: str = ""
    execute: int | None = None
    against: tuple[str, Place] | None = None

    @property
    def key(self) -> tuple[str, Place]:
        """What no two cells of an experiment share."""
        return self.series, self.x


@dataclass(frozen=True)
class Ask:
    """What is asked of an experiment.

    Attributes:
        task: registered task.
        size: ``quick`` (minutes) or ``cpu`` (hours), also the preset of the algorithms.
        trials: starts of each cell; None: as many as the size has.
        split: ``test`` or ``dev``.
        seed: of the trainings.
        steps: gradient steps of each training; None: the presets'.
        algos: which algorithms; empty: the experiment's own.
        at: which places on the axis; empty: all.
        gap: of the twin; empty: the experiment's own.
        pretrain: episodes that a pre-training is streamed, or has of each other task; None: as
            many as the size has.
        track: ``state`` or ``pixels``; empty: the experiment's own.
        real: demonstrations recorded on an arm, which is then the one that is asked about; None:
            of no arm.
    """

    task: str
    size: str = "quick"
    trials: int | None = None
    split: str = TEST
    seed: int = 0
    steps: int | None = None
    algos: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    gap: str = ""
    pretrain: int | None = None
    track: str = ""
    real: Recordings | None = None

    def __post_init__(self) -> None:
        """Refuse what is not known."""
        TASKS[self.task]
        for algo in self.algos:
            ALGORITHMS[algo]
        for what, value, known in (("preset", self.size, SIZES), ("split", self.split, SPLITS)):
            if value not in known:
                raise UsageError(f"unknown {what} {value!r}; known: {', '.join(known)}")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"steps must be at least 1, got {self.steps}")
        if self.seed < 0:
            raise UsageError(f"seed must be at least 0, got {self.seed}")
        if self.gap and self.gap not in differing():
            raise UsageError(f"unknown gap {self.gap!r}; known: {', '.join(differing())}")
        if self.real:
            self._check_real(self.real)

    def _check_real(self, real: Recordings) -> None:
        """Refuse what contradicts the demonstrations of an arm."""
        if self.gap:
            raise UsageError(f"--gap is of the twin, --real of an arm: leave out --gap {self.gap}")
        if self.split != TEST:
            raise UsageError(
                f"--real is tried by sessions, on the starts of the split test: leave out "
                f"--split {self.split}"
            )
        for what, found, asked in (
            ("task", real.task, self.task),
            ("track", real.track, self.track or real.track),
        ):
            if found != asked:
                raise UsageError(
                    f"{real.folder}: its episodes are of the {what} {found!r}, got --{what} "
                    f"{asked!r}; known: {found}"
                )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; the demonstrations of an arm in a few words."""
        plain = asdict(replace(self, real=None))
        del plain["real"]
        return plain if self.real is None else {**plain, "real": self.real.to_json()}

    @property
    def protocol(self) -> str:
        """The protocol of the task."""
        return f"{self.task}/v1"

    @property
    def count(self) -> int:
        """Trials of a cell."""
        return int(self.of(quick=50, cpu=100)) if self.trials is None else self.trials

    def check_trials(self) -> None:
        """Refuse more trials than there are, with ``UsageError``."""
        protocol = PROTOCOLS[self.protocol]
        if not 1 <= self.count <= protocol.trials:
            most = f"1..{protocol.trials} in {protocol.id}"
            raise UsageError(f"trials must be {most}, got {self.count}")

    def of(self, **sizes: Any) -> Any:  # noqa: ANN401  (whatever depends on the size)
        """Return the value for the size: ``of(quick=1, cpu=3)``."""
        return sizes[self.size]

    def among(self, *own: str) -> tuple[str, ...]:
        """Return the algorithms that are asked for."""
        return self.algos or own

    def demos(self, episodes: int, **how: Any) -> Demos:  # noqa: ANN401  (fields of Collection)
        """Return demonstrations of the task, ``how`` they are made besides."""
        return Demos(Collection(self.task, **how), episodes)

    def fit(
        self,
        algo: str,
        demos: Demos | Recorded | None,
        **how: Any,  # noqa: ANN401  (of Fit)
    ) -> Fit:
        """Return a training in the size's preset."""
        return Fit(algo, self.size, demos, **{"seed": self.seed, "steps": self.steps} | how)


@dataclass(frozen=True)
class Result:
    """What came of a cell.

    Attributes:
        cell: which.
        run: the run folder, from the results folder on; several, where several sessions tried it.
        k, n: successes of valid trials; n is 0 where it was not tried.
        low, high: 95 % interval of the success rate; 0 and 1 where it was not tried.
        failures: label -> trials.
        demonstrations: that the policy saw, streamed ones counted.
        training_s: CPU seconds of its last training.
        extra: what the experiment measures besides.
        diff, diff_low, diff_high, p: against the cell it is compared with, paired; None without.
        world: where it was tried, as its records say; empty where it was not.
    """

    cell: Cell
    run: str
    k: int
    n: int
    low: float
    high: float
    failures: Mapping[str, int]
    demonstrations: int | None
    training_s: float | None
    extra: Mapping[str, Any] = field(default_factory=dict)
    diff: float | None = None
    diff_low: float | None = None
    diff_high: float | None = None
    p: float | None = None
    world: str = ""

    @property
    def tried(self) -> bool:
        """Whether there is a valid trial of it."""
        return self.n > 0

    @property
    def share(self) -> float:
        """Success, 0..1; ``ValueError`` where it was not tried."""
        if not self.tried:
            raise ValueError(f"a share must be of trials, got none of {self.cell.key}")
        return self.k / self.n


Cells = Callable[[Ask], list[Cell]]
Measure = Callable[[Cell, Sequence[Record], Path], Mapping[str, Any]]
Conclude = Callable[[Ask, Sequence[Result]], Conclusion]


def _nothing(cell: Cell, trials: Sequence[Record], policy: Path) -> Mapping[str, Any]:
    return {}


def _silent(ask: Ask, results: Sequence[Result]) -> Conclusion:
    return Conclusion()


@dataclass(frozen=True)
class Experiment:
    """A question and the grid that answers it.

    Attributes:
        name: as registered.
        question: in a sentence.
        method: how it is answered, in a few sentences.
        axis: of the figure.
        cells: the grid for what is asked.
        task: that it is usually asked of.
        measure: what is measured of a cell besides success, from its trials and its checkpoint.
        conclude: what the results say.
        arm: the same question about an arm that demonstrations were recorded on; None where it
            cannot be asked of one.
    """

    name: str
    question: str
    method: str
    axis: Axis
    cells: Cells
    task: str = "pick_place"
    measure: Measure = _nothing
    conclude: Conclude = _silent
    arm: "Experiment | None" = None

    def grid(self, ask: Ask) -> list[Cell]:
        """Return the cells that are asked for, each once.

        Raises:
            UsageError: no cell is at the places asked for, or what the experiment itself refuses.
        """
        ask.check_trials()
        cells = self.cells(ask)
        fits = [fit for cell in cells for fit in cell.fit.chain()]
        if ask.pretrain is not None and not any(fit.stream or fit.initial for fit in fits):
            raise UsageError(f"{self.name} has no pre-training: leave out --pretrain")
        if ask.gap and all(PROTOCOLS[cell.protocol].world != TWIN for cell in cells):
            raise UsageError(f"{self.name} is not asked on the twin: leave out --gap")
        if ask.track and (tracks := {fit.track for fit in fits} - {ask.track}):
            raise UsageError(f"{self.name} is of the track {tracks.pop()}, got {ask.track!r}")
        known = list(dict.fromkeys(_text(cell.x) for cell in cells))
        if unknown := [place for place in ask.at if place not in known]:
            raise UsageError(
                f"{self.name} has no cell at {unknown[0]!r}; known: {', '.join(known)}"
            )
        return [cell for cell in cells if not ask.at or _text(cell.x) in ask.at]


def _text(place: Place) -> str:
    return place if isinstance(place, str) else f"{place:g}"


EXPERIMENTS: Registry[Experiment] = Registry("experiment")
"""Filled by ``benchmarks.experiments``."""
