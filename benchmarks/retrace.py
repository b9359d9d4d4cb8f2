"""Trials of a run stepped again from their stored commands: what was observed at every step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.lines import Record
from benchmarks.records import Run
from benchmarks.trajectories import trajectory
from benchmarks.trial import state_digest
from envs.arm import Array, InitialCondition
from envs.batch import SimBatch
from envs.errors import UsageError
from envs.task import REDRAWN, SCENE
from envs.tasks import TASKS
from policies.dataset import EpisodeSet

BATCH = 50


@dataclass(frozen=True)
class Walk:
    """What one episode went through, of a trial or of a demonstration.

    Attributes:
        name: for people.
        observations: (T, ...) by key, what the policy was shown before each command.
        actions: (T, n) commands.
        success: whether it succeeded.
        start: state that it began from, None where it is not known.
        failure: label of a trial that failed.
    """

    name: str
    observations: Mapping[str, Array]
    actions: Array
    success: bool
    start: InitialCondition | None = None
    failure: str | None = None

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.actions)


def retrace(run: Run, records: Sequence[Record]) -> list[Walk]:
    """Return the walks of some trials of one condition of a simulated run, in their order.

    Pictures are not drawn: of the pixel track there are joints and objects only.

    Raises:
        UsageError: the trajectories were not kept, or a trial does not come to its recorded end
            (another MuJoCo).
    """
    batch = run.manifest["execution"]["batch"]
    walks = [
        Walk(
            "{condition}/{ic}".format(**record["key"]),
            {},
            trajectory(run.folder, record, batch),
            bool(record["success"]),
            InitialCondition.from_json(record["start"]),
            record["failure"],
        )
        for record in records
    ]
    stepped, ends = step_again(run.manifest["task"], run.manifest["robot"], walks)
    for record, walk, end in zip(records, walks, ends, strict=True):
        if end != record["final_sha256"]:
            raise UsageError(
                f"trial {walk.name} does not come to its recorded end: use the versions in the "
                "manifest of its run"
            )
    return stepped


def step_again(task: str, robot: str, walks: Sequence[Walk]) -> tuple[list[Walk], list[str]]:
    """Return walks with what is observed when their commands are sent from their starts.

    Returns:
        The walks, and the digest of the state in which each ends.
    """
    made: list[Walk] = []
    ends: list[str] = []
    for first in range(0, len(walks), BATCH):
        seen, marks = _wave(task, robot, walks[first : first + BATCH])
        made += seen
        ends += marks
    return made, ends


def as_nominal(walk: Walk) -> Walk:
    """Return a walk whose start has no factor: the same scene in the nominal simulation."""
    if walk.start is None:
        raise ValueError(f"{walk.name} does not say where it began")
    own = {name: v for name, v in walk.start.factors.items() if name in (SCENE, REDRAWN)}
    return replace(walk, start=replace(walk.start, factors=own))


def _wave(task: str, robot: str, walks: Sequence[Walk]) -> tuple[list[Walk], list[str]]:
    starts = [walk.start for walk in walks if walk.start is not None]
    if len(starts) < len(walks):
        raise UsageError("a recording does not say where it began: it cannot be simulated")
    count = max(start.factors.get("distractors", {}).get("count", 0) for start in starts)
    sims = SimBatch(TASKS[task], robot, len(walks), threads=1, distractors=count)
    sims.reset(starts)
    lengths = np.array([len(walk) for walk in walks])
    rows = np.array([start.qpos for start in starts])
    seen: list[Mapping[str, Array]] = []
    longest = int(lengths.max(initial=0))
    for t in range(max(1, longest)):  # a walk without a step, too, was shown its start
        seen.append({key: value.copy() for key, value in sims.observe().items()})
        sims.stop(lengths <= t)
        for i in np.flatnonzero(lengths > t).tolist():
            rows[i] = walks[i].actions[t]
        if longest:
            sims.step(rows)
    shown = {key: np.array([row[key] for row in seen]) for key in seen[0]}
    stepped = [
        replace(walk, observations={k: v[: len(walk), i] for k, v in shown.items()})
        for i, walk in enumerate(walks)
    ]
    return stepped, [state_digest(sims, i) for i in range(len(walks))]


def demonstrations(data: EpisodeSet) -> list[Walk]:
    """Return the training episodes of a folder as walks."""
    made = []
    for i in data.train:
        rows = slice(int(data.starts[i]), int(data.starts[i] + data.lengths[i]))
        seen = {key: values[rows] for key, values in data.observations.items()}
        made.append(Walk(data.names[i], seen, data.actions[rows], True, data.begins[i]))
    return made
