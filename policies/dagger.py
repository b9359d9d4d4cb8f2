"""DAgger: the policy acts, the expert says what it would have done there (Ross et al. 2011).

Round 0 is behaviour cloning: the expert acts. In round r the expert acts with chance beta_r, the
policy of the round before otherwise; afterwards the expert labels the states that were visited, the
labels join those of all rounds before, and training goes on from the weights it has. So the policy
learns in the states that its own mistakes lead to, which demonstrations never show.

::

    OUT/dagger.json     settings, and a row for each round
    OUT/data/           all episodes with the expert's marks (see envs/marks.py): plain data
    OUT/rounds/<r>/     checkpoint of round r
"""

import functools
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.arm import Array
from envs.atomic import write_atomic
from envs.disk import full_disk_told
from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError
from envs.lock import locked
from envs.marks import Marks
from envs.pool import Pool
from envs.relabel import labeller_of
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.checkpoint_files import PROVENANCE
from policies.configs import canonical
from policies.dagger_config import DaggerConfig
from policies.dagger_visits import WAVE, Roller, Visit, Wave, label, spend
from policies.parallel import check_alone
from policies.train import train

LOG = logging.getLogger(__name__)
NAME, SCHEMA = "dagger.json", 1
MOST = 50
"""Times the roll-outs of a round are added to where they visit fewer states than are paid for."""

Row = dict[str, Any]
"""What is known of a round: labels, episodes, how it went, and what was measured."""


def dagger(
    config: DaggerConfig,
    advance: Callable[[int], None] = lambda n: None,
    say: Callable[[str], None] = LOG.info,
    measure: Callable[[Path], Mapping[str, Any]] | None = None,
) -> list[Row]:
    """Run all rounds and return a row for each; what is done already is kept.

    The same config gives the same bytes, with any number of workers and also if it was
    interrupted in between.

    Args:
        config: what to do.
        advance: told how many gradient steps were done.
        say: told, in a sentence, what the user should know.
        measure: measures the checkpoint of a round; what it returns (JSON) is kept in the row.

    Raises:
        UsageError: the task's expert cannot label states of others, another run is in ``out``, or
            what ``policies.train.train`` raises.
        KeyboardInterrupt: Ctrl-C; the same call continues.
    """
    check_alone("dagger")
    labeller_of(TASKS[config.task], config.robot)
    busy = "another command is at work in it"
    with locked(config.out, busy), full_disk_told("learning", lambda: f"{config.out} is kept"):
        rows = Rounds(config)
        for r in range(config.rounds + 1):
            if len(rows.done) <= r:
                rows.add(gather(config, r, rows.labels, rows.episodes, say))
            row = rows.done[r]
            if (config.checkpoint(r) / PROVENANCE).exists():
                advance(int(config.training(0).steps or 0))
            else:
                train(config.training(r), advance, lambda text: None)
            if measure is not None and "measured" not in row:
                row["measured"] = dict(measure(config.checkpoint(r)))
                rows.write()
            say(told(row))
        return rows.done


def told(row: Row) -> str:
    """Return a line about a round."""
    text = (
        f"round {row['round']}: {row['total']} labels (the expert acted in {row['acted']} of "
        f"{row['steps']} steps), {row['successes']} of {row['episodes']} roll-outs succeeded"
    )
    measured = row.get("measured")
    if measured:
        text += f"; afterwards {measured['successes']} of {measured['trials']} trials"
    return text


class Rounds:
    """The file that says what is done; each change replaces it atomically."""

    def __init__(self, config: DaggerConfig) -> None:
        """Read what is done.

        Raises:
            UsageError: the folder holds another run, or the file is broken.
        """
        self.path, self.definition = config.out / NAME, config.definition()
        self.done: list[Row] = []
        if self.path.exists():
            self._read()
        elif any(config.out.glob("[!.]*")):
            raise UsageError(f"{config.out}: holds something else; choose another --out")
        else:
            self.write()

    def _read(self) -> None:
        try:
            stored = json.loads(self.path.read_text("utf-8"))
            known, self.done = dict(stored["definition"]), list(stored["rounds"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(f"{self.path} is broken ({error}); choose another --out") from error
        mine = json.loads(canonical(self.definition))
        for key in sorted({*mine, *known}):
            if mine.get(key) != known.get(key):
                raise UsageError(
                    f"{self.path.parent} holds a run with another {key}: {known.get(key)!r} there, "
                    f"{mine.get(key)!r} asked for; choose another --out"
                )

    @property
    def labels(self) -> int:
        """Labels bought so far."""
        return int(self.done[-1]["total"]) if self.done else 0

    @property
    def episodes(self) -> int:
        """Number of the next episode."""
        return int(self.done[-1]["next"]) if self.done else 0

    def add(self, row: Row) -> None:
        """Add a round."""
        self.done.append(row)
        self.write()

    def write(self) -> None:
        """Write the file."""
        content = {"schema": SCHEMA, "definition": self.definition, "rounds": self.done}
        write_atomic(self.path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def gather(
    config: DaggerConfig, r: int, labels: int, first: int, say: Callable[[str], None]
) -> Row:
    """Roll out round ``r``, ask the expert, and put the episodes into the data folder.

    Args:
        config: of the run.
        r: the round.
        labels: bought in the rounds before.
        first: number of the round's first episode.
        say: told what is being done.
    """
    quota, beta = config.quota(r), config.beta(r)
    say(f"round {r}: roll-outs, the expert acts with chance {beta:.3g}")
    visits = roll(config, r, first, beta)
    run = config.training(r).resolve().config.chunk
    rng = config.collection().rng("dagger/questions", r)
    chosen = spend(visits, quota, run, rng)
    answers = label(config.collection(), chosen)
    identity = hashlib.sha256(canonical(config.definition())).hexdigest()
    for (visit, mask), answer in zip(chosen, answers, strict=True):
        path = config.out / "data" / f"episode_{visit.index}.hdf5"
        write_episode(path, _episode(config, visit, (answer, mask), identity))
    given = sum(int(mask.sum()) for _, mask in chosen)
    return {
        "round": r,
        "beta": beta,
        "labels": given,
        "total": labels + given,
        "episodes": len(chosen),
        "steps": sum(len(visit) for visit, _ in chosen),
        "acted": sum(int(visit.acted.sum()) for visit, _ in chosen),
        "successes": sum(visit.success for visit, _ in chosen),
        "next": first + len(visits),
    }


def roll(config: DaggerConfig, r: int, first: int, beta: float) -> list[Visit]:
    """Roll out the episodes of round ``r`` from number ``first`` on."""
    policy = config.checkpoint(r - 1) if r else None
    make = functools.partial(Roller, config.collection())
    visits: list[Visit] = []
    wanted = config.quota(r) or 0
    counts = [min(WAVE, config.episodes - i) for i in range(0, config.episodes, WAVE)]
    ends = list(itertools.accumulate(counts))
    with Pool(make, min(config.workers, len(counts))) as pool:
        for _ in range(MOST):
            base = first + len(visits)
            waves = [
                Wave(base + end - count, count, policy, beta)
                for count, end in zip(counts, ends, strict=True)
            ]
            visits += itertools.chain.from_iterable(pool.run(waves))
            if sum(map(len, visits)) >= wanted:
                break
    return visits


def _episode(
    config: DaggerConfig, visit: Visit, answer: tuple[Array, Array], identity: str
) -> Episode:
    """Return a visit as an episode with the expert's marks: labels (T, n) and where asked (T,)."""
    arm, task = ROBOTS[config.robot].spec(), TASKS[config.task]
    meta = EpisodeMeta(
        task=task.name,
        instruction=task.instruct(visit.start),
        robot=config.robot,
        operator="dagger",
        success=visit.success,
        failure="" if visit.success else "timeout",
        start=visit.start,
        index=visit.index,
        seed=config.seed,
        joints=arm.joints,
        control_hz=arm.control_hz,
        protocol_hash=identity,
    )
    times = np.arange(len(visit)) / arm.control_hz
    marks = Marks(*answer, visit.acted)
    return Episode(visit.observations, visit.commands, times, meta, marks)


def curve(rows: Sequence[Row]) -> list[tuple[int, int, int]]:
    """Return (labels, successes, trials) of every round that was measured."""
    found = [(row["total"], row.get("measured")) for row in rows]
    return [(total, m["successes"], m["trials"]) for total, m in found if m]
