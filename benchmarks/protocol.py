"""Evaluation protocols: which trials, from which starts. Frozen; a protocol is its hash.

Every start is a function of (protocol, task, split, initial condition), so all policies meet the
same ones. A perturbed initial condition i is the nominal i with a factor added: the two are a
pair. The splits share no stream: ``train`` (demonstrations), ``dev`` (to choose checkpoints),
``nominal`` with ``perturbed/<axis>/<level>`` (the test, looked at once).
"""

import functools
import hashlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.lines import canonical, digest
from benchmarks.protocol_registry import Protocols
from envs.arm import InitialCondition
from envs.errors import UsageError
from envs.feasible import perturb_feasibly
from envs.registry import Registry
from envs.robots import ROBOTS
from envs.tasks import TASKS
from envs.variation import CONTROLS, LEVELS, VARIATIONS, named, unfit

NOMINAL = "nominal"
CONTROL = "control"
TEST, DEV = "test", "dev"
SPLITS = (TEST, DEV)
TRACKS = ("state", "pixels")
BATCH = 50  # trials stepped together unless another number is asked for


@dataclass(frozen=True)
class Condition:
    """One arm of a protocol: the nominal scene, one factor at a level, or all of them.

    Attributes:
        name: ``nominal``, ``<axis>/<level>``, ``combined/<level>`` or ``control/<name>``.
        axes: the (variation, level) in force, in order of drawing.
        tracks: where it is measured; a camera's pose does not reach the state track.
    """

    name: str
    axes: tuple[tuple[str, str], ...] = ()
    tracks: tuple[str, ...] = TRACKS

    @property
    def split(self) -> str:
        """The split whose stream the factors are drawn from."""
        return f"perturbed/{self.name}" if self.axes else NOMINAL


FIRST_AXES = (
    *("object_pose", "home_pose", "friction_mass", "damping_gain", "action_delay", "observation"),
    *("camera_pose", "lighting", "texture", "distractors"),
)
"""The axes of ``pick_place/v1``, which was frozen before there were others."""


def standard_conditions(
    combined: str = "L2",
    without: Container[str] = (),
    among: Sequence[str] | None = None,
    words: bool = False,
) -> tuple[Condition, ...]:
    """Return nominal, every variation at every level, all together, and the negative controls.

    Args:
        combined: level of the variations together.
        without: variations that do not apply to the task.
        among: the variations to choose from; by default all that there are.
        words: the arm is told in words what to do; else there is nothing to vary in them.
    """
    names = VARIATIONS if among is None else among
    chosen = [VARIATIONS[name] for name in names if name not in without]
    variations = [v for v in chosen if v.words <= words]
    single = [
        Condition(f"{v.name}/{level}", ((v.name, level),), v.tracks)
        for v in variations
        for level in LEVELS
    ]
    everything = tuple((v.name, combined) for v in variations)
    controls = [
        Condition(f"{CONTROL}/{v.name}", ((v.name, LEVELS[0]),), v.tracks)
        for v in CONTROLS.values()
        if v.name not in without and v.words <= words
    ]
    together = Condition(f"combined/{combined}", everything)
    return (Condition(NOMINAL), *single, together, *controls)


@dataclass(frozen=True)
class EvalProtocol:
    """What is measured, and how it will be judged: fixed before the first trial.

    Attributes:
        id: name and version; an edited protocol needs a new one.
        task: registered task.
        robot: registered robot.
        conditions: the arms; the first is the nominal one.
        trials: initial conditions of the nominal arm.
        perturbed_trials: initial conditions of every other arm, the first ones of the nominal.
        alpha: two-sided error of a comparison.
        n_max: pairs after which a sequential comparison ends.
        invalid_limit: largest share of invalid trials in a valid run.
    """

    id: str
    task: str
    robot: str = "viperx"
    conditions: tuple[Condition, ...] = ()
    trials: int = 200
    perturbed_trials: int = 100
    alpha: float = 0.05
    n_max: int = 200
    invalid_limit: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a protocol without a matched nominal arm."""
        if not self.conditions or self.conditions[0] != Condition(NOMINAL):
            raise ValueError(f"the first condition must be nominal, got {self.conditions[:1]}")
        if not 0 < self.perturbed_trials <= self.trials:
            raise ValueError(
                "perturbed_trials must be 1..trials (each has its nominal pair), "
                f"got {self.perturbed_trials} of {self.trials}"
            )

    def definition(self) -> dict[str, Any]:
        """Return everything the trials depend on, as JSON: settings, task and magnitudes."""
        task = TASKS[self.task]
        axes = {name for c in self.conditions for name, _ in c.axes}
        bounds = {n: [dict(b) for b in named(n).levels] for n in sorted(axes)}
        conditions = [
            {"name": c.name, "axes": [list(a) for a in c.axes], "tracks": list(c.tracks)}
            for c in self.conditions
        ]
        settings = asdict(task)  # of a task that has parameters
        return {
            **asdict(self),
            "conditions": conditions,
            "bounds": bounds,
            "task": {
                "name": task.name,
                "instruction": task.instruction,
                "stages": list(task.stages),
                "objects": list(task.objects),
                "region": asdict(task.region),
                "horizon": task.horizon,
                "hold_s": task.hold_s,
                **({"settings": settings} if settings else {}),
            },
        }

    @property
    def world(self) -> str:
        """Where the trials take place: ``sim``, or ``twin``, a simulated arm that is off."""
        return "sim"

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical definition: the identity of the protocol."""
        return digest(canonical(self.definition()))

    def condition(self, name: str) -> Condition:
        """Return a condition by name.

        Raises:
            UsageError: an axis that does not apply to the task, with the reason, or an unknown
                name, with the known ones.
        """
        for condition in self.conditions:
            if condition.name == name:
                return condition
        axis = name.partition("/")[0]
        if axis in VARIATIONS and self.task in TASKS:
            reason = unfit(axis, TASKS[self.task])
            if reason is not None:
                raise UsageError(f"condition {name!r} does not apply to {self.task}: {reason}")
        levels: dict[str, list[str]] = {}
        for condition in self.conditions:
            family, _, level = condition.name.partition("/")
            levels.setdefault(family, []).append(level)
        known = ", ".join(f"{k}/{'|'.join(v)}" if v != [""] else k for k, v in levels.items())
        raise UsageError(f"unknown condition {name!r} of {self.id}; known: {known}")

    def size(self, condition: Condition) -> int:
        """Return how many initial conditions the protocol has for ``condition``."""
        return self.perturbed_trials if condition.axes else self.trials

    def start(self, condition: str, ic: int, split: str = TEST) -> InitialCondition:
        """Return the start of initial condition ``ic``: the nominal one plus the factors."""
        chosen = self.condition(condition)
        task, arm = TASKS[self.task], ROBOTS[self.robot].spec()
        base = NOMINAL if split == TEST else split
        start = task.sample(np.random.default_rng(self._stream(base, ic)), arm)
        if not chosen.axes:
            return start
        factors = chosen.split if split == TEST else f"{split}/{chosen.split}"
        rng = np.random.default_rng(self._stream(factors, ic))
        return perturb_feasibly(start, task, chosen.axes, rng, arm=arm)

    def seeds(self, ic: int, split: str = TEST, repeat: int = 0) -> dict[str, int]:
        """Return the seed of the start and of the policy's own randomness, for the record."""
        base = NOMINAL if split == TEST else split
        own = self._stream(f"policy/{base}", ic, repeat)
        return {
            "ic": int(self._stream(base, ic).generate_state(1)[0]),
            "policy": int(own.generate_state(1)[0]),
        }

    def _stream(self, split: str, *numbers: int) -> np.random.SeedSequence:
        return stream(self.id, self.task, split, *numbers)


def stream(protocol: str, task: str, split: str, *numbers: int) -> np.random.SeedSequence:
    """Return the random stream of (protocol, task, split, numbers): names enter by their hash."""
    names = [
        int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        for name in (protocol, task, split)
    ]
    return np.random.SeedSequence([*names, *numbers])


@dataclass(frozen=True)
class Wave:
    """Initial conditions ``first .. first + count - 1`` of one condition: run together, always."""

    condition: str
    first: int
    count: int

    @property
    def name(self) -> str:
        """A name for files: ``object_pose-L2_050``."""
        return f"{self.condition.replace('/', '-')}_{self.first:03d}"


@dataclass(frozen=True)
class Plan:
    """The part of a protocol that one run covers: some conditions, the first ics of each.

    Attributes:
        split: ``test`` (nominal and perturbed) or ``dev``.
        cells: (condition, number of initial conditions from 0), in the protocol's order.
    """

    split: str
    cells: tuple[tuple[str, int], ...]

    @property
    def trials(self) -> int:
        """Number of trials in all."""
        return sum(count for _, count in self.cells)

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield every (condition, ic) in order."""
        for condition, count in self.cells:
            yield from ((condition, ic) for ic in range(count))

    def waves(self, batch: int) -> list[Wave]:
        """Cut the cells into waves of at most ``batch`` trials."""
        return [
            Wave(condition, first, min(batch, count - first))
            for condition, count in self.cells
            for first in range(0, count, batch)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the form in a manifest."""
        return {"split": self.split, "cells": [list(cell) for cell in self.cells]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        """Restore from ``to_json``."""
        return cls(data["split"], tuple((str(c), int(n)) for c, n in data["cells"]))


def make_plan(
    protocol: EvalProtocol,
    track: str,
    conditions: Sequence[str] = (),
    trials: int | None = None,
    split: str = TEST,
) -> Plan:
    """Choose what to run: named conditions (default: all that apply to the track).

    The nominal arm is always there, because every perturbed result is read against it. With
    ``trials``, each cell has that many of its first initial conditions, at most its full size.

    Raises:
        UsageError: an unknown condition, split or track, a condition that does not apply to the
            track, or more trials than the protocol defines.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
    if track not in TRACKS:
        raise UsageError(f"unknown track {track!r}; known: {', '.join(TRACKS)}")
    if trials is not None and not 1 <= trials <= protocol.trials:
        raise UsageError(f"trials must be 1..{protocol.trials} in {protocol.id}, got {trials}")
    wanted = {protocol.condition(name).name for name in conditions} | {NOMINAL}
    for name in wanted:
        if track not in protocol.condition(name).tracks:
            raise UsageError(f"condition {name!r} does not apply to the {track} track")
    chosen = [
        c for c in protocol.conditions if track in c.tracks and (not conditions or c.name in wanted)
    ]
    sizes = [protocol.size(c) for c in chosen]
    counts = [size if trials is None else min(trials, size) for size in sizes]
    return Plan(split, tuple((c.name, n) for c, n in zip(chosen, counts, strict=True)))


PROTOCOLS: Registry[EvalProtocol] = Protocols("protocol")
for _id, _name, _among in (
    ("pick_place/v1", "pick_place", FIRST_AXES),
    ("pick_place/v2", "pick_place", None),
    *((f"{name}/v1", name, None) for name in TASKS if name != "pick_place"),
):
    _task = TASKS[_name]
    _words = bool(_task.encode(""))
    _conditions = standard_conditions(without=_task.inapplicable, among=_among, words=_words)
    PROTOCOLS.register(_id, EvalProtocol(_id, _name, _task.robot, _conditions))


FOREIGN = ("gym:", "dm:")
"""How the ids of protocols begin that somebody else's environment brings with it."""


def state_of(manifest: Mapping[str, Any]) -> str | None:
    """Say why a run's protocol does not count as known, or return None where it does."""
    stated = manifest["protocol"]
    foreign = stated["id"].startswith(FOREIGN) and stated["definition"].get("id") == stated["id"]
    if stated["id"] not in PROTOCOLS and not foreign:
        return f"its protocol {stated['id']} is unknown"
    if digest(canonical(stated["definition"])) != stated["hash"]:
        return "its protocol's definition does not have the hash it states"
    if not foreign and PROTOCOLS[stated["id"]].hash != stated["hash"]:
        return f"protocol {stated['id']} was edited after this run (another hash)"
    return None
