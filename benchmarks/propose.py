"""The next demonstrations: starts near those from which a policy fails, far from what it has seen.

Never the failed starts themselves: who learned from the start of a trial is no longer tested by it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from benchmarks.coverage import StartMetric
from envs.arm import ArmSpec, Array, InitialCondition
from envs.feasible import OVERLAP, checker
from envs.start_features import VARIES, spots
from envs.task import Task

PLACE_M, TURN_RAD, POSE_RAD = 0.01, 0.12, 0.02
"""How far a proposed start may lie from the failed one that it is for."""
DRAWS = 12
"""Candidates a failed trial."""


class Began(Protocol):
    """An episode, a trial or a demonstration: where it began, and whether it succeeded."""

    @property
    def start(self) -> InitialCondition | None:
        """Where it began, None where that is not known."""

    @property
    def success(self) -> bool:
        """Whether it succeeded."""


def propose(
    task: Task,
    arm: ArmSpec,
    walks: Sequence[Began],
    shown: Sequence[Began],
    count: int,
    rng: np.random.Generator,
) -> list[InitialCondition]:
    """Return up to ``count`` starts from which to demonstrate next, the most wanted first.

    Around every failed start some are drawn that an episode can begin from. Then, one after the
    other, the one is taken that lies farthest from all demonstrations and from those taken before.
    """
    failed = [w.start for w in walks if not w.success and w.start is not None]
    check = checker(task, arm.name, 0)
    candidates = []
    for start in failed:
        allowed = max(OVERLAP, check.overlap(_plain(start)) + OVERLAP / 2)
        drawn = (_near(start, task, arm, rng) for _ in range(DRAWS))
        candidates += [one for one in drawn if check.fault(one, allowed) is None]
    known = [w.start for w in shown if w.start is not None]
    return _spread(known, candidates, count)


def _plain(start: InitialCondition) -> InitialCondition:
    return replace(start, factors={})


def _near(
    start: InitialCondition, task: Task, arm: ArmSpec, rng: np.random.Generator
) -> InitialCondition:
    """Return a start like ``start``: its object moved and turned a little, its arm as well."""
    name = task.subject(start)
    pose = np.array(start.objects[name])
    pose[:2] += rng.uniform(-PLACE_M, PLACE_M, 2)
    half = rng.uniform(-TURN_RAD, TURN_RAD) / 2
    w, x, y, z = pose[3:]
    c, s = np.cos(half), np.sin(half)
    pose[3:] = [c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w]
    qpos = np.array(start.qpos)
    qpos[arm.hinges] += rng.uniform(-POSE_RAD, POSE_RAD, len(arm.hinges))
    objects = task.separate({**start.objects, name: tuple(map(float, pose))})
    seed = int(rng.integers(2**31))
    joints = tuple(map(float, qpos))
    return replace(start, qpos=joints, objects=objects, seed=seed, factors={})


def _spread(
    known: Sequence[InitialCondition], candidates: Sequence[InitialCondition], count: int
) -> list[InitialCondition]:
    """Take candidates one by one, each as far as can be from what is known or taken."""
    if not candidates:
        return []
    table = _rows([*known, *candidates])
    metric = StartMetric.of(table)
    rows = table[len(known) :]
    nearest = np.full(len(rows), np.inf)
    if known:
        nearest = metric.distances(rows, table[: len(known)]).min(axis=1)
    taken: list[InitialCondition] = []
    while len(taken) < min(count, len(rows)):
        i = int(np.argmax(nearest))
        taken.append(candidates[i])
        nearest = np.minimum(nearest, metric.distances(rows, rows[i : i + 1])[:, 0])
        nearest[i] = -1.0
    return taken


def _rows(starts: Sequence[InitialCondition]) -> Array:
    """Return places and turns of the objects and the arm's joints, what varies of them."""
    found = [[*spots(start.objects).values(), *start.qpos] for start in starts]
    table = np.array(found)
    varied: Array = table[:, np.ptp(table, axis=0) > VARIES]
    return varied if varied.shape[1] else table[:, :1]
