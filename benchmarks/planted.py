"""Runs in which a fault was planted, and whether the diagnosis names it.

Every plant is a cell as experiments have them: demonstrations, a training, trials. The faults are
put where they arise in practice: wrong statistics in a checkpoint or too short a training; another
arm than the one that demonstrated; starts away from what was demonstrated; demonstrations from few
places; demonstrations that go either way, learned by a policy that cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.diagnose import CAUSES, diagnose
from benchmarks.experiment import Ask, Cell
from benchmarks.experiment_fit import Demos, Fit
from benchmarks.experiment_run import Bar, Place, checkpoint_of, make, try_cell, work_of
from benchmarks.failures import AVERAGE, ERROR, HARDWARE, RESETS, SHIFT
from benchmarks.protocol import NOMINAL
from benchmarks.suspects import LEAST, UNDECIDED
from envs.collection import Collection
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.restat import DAMAGES

PICK, WAYS = "pick_place", "two_ways"
EPISODES = 50
SHORT = {"act": 40, "bc": 200}
"""Gradient steps of a training that was ended far too early."""
HARD = f"{PICK}/v1+twin-hard"


@dataclass(frozen=True)
class Plant:
    """A cell, and the fault that is in it.

    Attributes:
        cell: which.
        cause: what the diagnosis is to name.
        given: whether it is given the checkpoint.
    """

    cell: Cell
    cause: str
    given: bool = True

    @property
    def name(self) -> str:
        """For people: policy, protocol and condition."""
        c = self.cell
        world = c.protocol.partition("/")[0] + ("" if "+" not in c.protocol else " on the twin")
        what = "" if c.condition == NOMINAL else f", {c.condition}"
        return f"{world}, {c.series}{what}" + ("" if self.given else ", no --policy")


@dataclass(frozen=True)
class Found:
    """What the diagnosis says of a plant.

    Attributes:
        plant: which.
        cause: what it names; "" where there were too few failures to diagnose.
        failed: trials that failed; trials: of so many.
        shares: what each cause explains.
    """

    plant: Plant
    cause: str
    failed: int
    trials: int
    shares: Sequence[float] = ()

    @property
    def right(self) -> bool:
        """Whether it names the fault."""
        return self.cause == self.plant.cause


def _cell(name: str, fit: Fit, protocol: str, condition: str = NOMINAL, damage: str = "") -> Cell:
    return Cell(name, condition, fit, protocol, condition, damage=damage)


def plants(size: str, seeds: Sequence[int] = (0, 1)) -> list[Plant]:
    """Return the whole set; ``size`` is the preset of the trainings."""
    ask, ways = Ask(PICK, size), Ask(WAYS, size)
    demos, both = ask.demos(EPISODES), ways.demos(EPISODES)
    protocol, found = ask.protocol, list[Plant]()
    for seed in seeds:
        act = ask.fit("act", demos, seed=seed)
        found += [
            Plant(_cell(f"act-{seed} {damage}", act, protocol, damage=damage), ERROR)
            for damage in (DAMAGES if seed == seeds[0] else ("offset", "scale"))
        ]
        found += [
            Plant(_cell(f"act-{seed}", act, protocol, condition), cause)
            for condition, cause in (
                ("object_pose/L2", SHIFT),
                ("object_pose/L3", SHIFT),
                ("home_pose/L3", SHIFT),
                ("observation/L3", HARDWARE),
                ("damping_gain/L3", HARDWARE),
                ("action_delay/L3", HARDWARE),
            )
        ]
        found.append(Plant(_cell(f"act-{seed}", act, HARD), HARDWARE))
        found += [
            Plant(_cell(f"{algo}-{seed}", ways.fit(algo, both, seed=seed), ways.protocol), AVERAGE)
            for algo in ("bc", "act")
        ]
    for algo, steps in SHORT.items():
        short = ask.fit(algo, demos, steps=steps)
        cell = _cell(f"{algo}, {steps} steps", short, protocol)
        found += [Plant(cell, ERROR), Plant(cell, UNDECIDED, given=False)]
    for name, few in sparse().items():
        found.append(Plant(_cell(f"act, {name}", ask.fit("act", few), protocol), RESETS))
    return found


def sparse() -> dict[str, Demos]:
    """Return demonstrations that begin in few places: few, clumped, or from one half."""
    drawn = [Collection(PICK, seed=3).start(i) for i in range(400)]
    region = TASKS[PICK].region_on(ROBOTS[TASKS[PICK].robot].spec())
    middle = float(np.mean(region.y))
    half = tuple(s for s in drawn if s.objects["cube"][1] > middle + 0.02)[:EPISODES]
    return {
        "10 demonstrations": Demos(Collection(PICK), 10),
        "one half of the table": Demos(Collection(PICK, starts=half), EPISODES),
        "4 places": Demos(Collection(PICK, starts=tuple(drawn[:4])), EPISODES),
    }


def examine(chosen: Sequence[Plant], ask: Ask, place: Place, bar: Bar) -> list[Found]:
    """Make the runs that are missing and diagnose each.

    Raises:
        UsageError: from the demonstrators, the trainings or the trials.
    """
    cells = [plant.cell for plant in chosen]
    make(work_of(cells), place, bar)
    found = []
    with bar("planted faults", len(chosen)) as advance:
        for plant in chosen:
            folder = try_cell(plant.cell, ask, place)
            found.append(_found(plant, folder, place, ask.count))
            advance(1)
    return found


def _found(plant: Plant, folder: Path, place: Place, trials: int) -> Found:
    cell = plant.cell
    if cell.fit.demos is None:
        raise ValueError("a plant must learn from a folder of demonstrations")
    data, policy = cell.fit.demos.folder(place.root), checkpoint_of(cell, place.root)
    try:
        told = diagnose(folder, data, policy if plant.given else None, cell.condition)
    except UsageError as error:
        if f"at least {LEAST} failures" not in str(error):
            raise
        return Found(plant, "", int(str(error).split()[0]), trials)
    shares = [suspect.share for suspect in told.suspects]
    return Found(plant, told.cause, told.failed, told.trials, shares)


def confusion(found: Sequence[Found]) -> dict[str, dict[str, int]]:
    """Return planted cause -> named cause -> plants, of those that could be diagnosed."""
    said = (*CAUSES, UNDECIDED)
    table = {cause: dict.fromkeys(said, 0) for cause in said}
    for one in found:
        if one.cause:
            table[one.plant.cause][one.cause] += 1
    return table


def row_of(found: Found) -> dict[str, object]:
    """Return a plant and what was said of it as JSON."""
    return {
        "plant": found.plant.name,
        "planted": found.plant.cause,
        "named": found.cause or None,
        "failed": found.failed,
        "trials": found.trials,
        "explains": dict(zip(CAUSES, found.shares, strict=False)),
    }
