"""Demonstrations that start off nominal: something went wrong before, and is now corrected.

The expert sets out from the nominal start. On the way to the object a mishap happens: the hand is
pushed aside, the object is knocked away, or the fingers close beside it. The demonstration begins
there, as an ordinary start state: what led to the mishap is never recorded, so nothing is learned
but the correction.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from envs.arm import Array, InitialCondition
from envs.batch import SimBatch
from envs.expert import Expert

HAND, NUDGE, MISSED = "hand", "nudge", "missed_grasp"
MISHAPS = (HAND, NUDGE, MISSED)

PUSHED = (0.10, 0.30)  # norm of the push in joint space [rad]
NUDGED = (0.02, 0.04)  # how far the object is knocked [m]
MISSED_BY = (0.05, 0.07)  # how far from the closed fingers the object lies [m]
TURNED = np.pi / 6  # the object is turned by at most this [rad]
RETREAT = 25  # control periods that the hand goes back the way it came after a missed grasp
TRIES = 20  # mishaps that are drawn until one leaves the object lying still
MOVED = 0.003  # an object that settles this far from where it was put was hit by the arm [m]
GRASPED = 2  # stages after which the fingers hold something, in the order of the tasks' stages


@dataclass(frozen=True)
class Mishap:
    """What went wrong.

    Attributes:
        kind: one of ``MISHAPS``.
        start: the start state it left.
        retreat: commands (k, n) with which the hand first goes back the way it came.
    """

    kind: str
    start: InitialCondition
    retreat: Array


class Recovery:
    """Finds off-nominal starts of a task; lives with one simulation."""

    def __init__(self, sim: SimBatch) -> None:
        """Use ``sim``, a batch of one."""
        self.sim, self.task = sim, sim.task

    def kinds(self, start: InitialCondition) -> tuple[str, ...]:
        """Return what can go wrong: a zone is not knocked away, and not every task has a grasp."""
        if self.task.subject(start) not in self.sim.world.objects:
            return (HAND,)
        return MISHAPS if "grasp" in self.task.stages[:GRASPED] else (HAND, NUDGE)

    def draw(
        self, start: InitialCondition, expert: Expert, rng: np.random.Generator
    ) -> Mishap | None:
        """Let something go wrong after ``start``; ``expert`` has been reset to it.

        Returns:
            The mishap, or None where none was found that leaves the object lying still.
        """
        commands, near = self._approach(start, expert)
        known: dict[str, Callable[[], Mishap]] = {
            HAND: lambda: self._push(start, commands[:near], rng),
            NUDGE: lambda: self._nudge(start, commands[:near], rng),
            MISSED: lambda: self._miss(start, commands, rng),
        }
        for kind in rng.permutation(self.kinds(start)):
            for _ in range(TRIES):
                mishap = known[str(kind)]()
                if self._rests(mishap.start):
                    return mishap
        return None

    def _approach(self, start: InitialCondition, expert: Expert) -> tuple[Array, int]:
        """Return the expert's commands (k, n) up to the grasp, and how many lead to the object."""
        sim = self.sim
        sim.reset((start,))
        command, commands, near = np.array(start.qpos), [np.array(start.qpos)], 0
        while sim.stage[0] < GRASPED and not sim.done[0]:
            command = sim.spec.clamp(expert.act(sim.readings), command)
            sim.step(command[None])
            commands.append(command)
            near = near or (len(commands) if sim.stage[0] else 0)
        return np.array(commands), near or len(commands)

    def _push(self, start: InitialCondition, way: Array, rng: np.random.Generator) -> Mishap:
        """Push the arm aside somewhere on its way, the grippers at any opening."""
        qpos = way[rng.integers(len(way))].copy()
        push = rng.normal(size=len(qpos))
        push[list(self.sim.spec.grippers)] = 0.0
        qpos += push / np.linalg.norm(push) * rng.uniform(*PUSHED)
        for gripper in self.sim.spec.grippers:
            qpos[gripper] = rng.uniform(0.0, 1.0)
        return Mishap(HAND, self._at(start, qpos), np.zeros((0, len(qpos))))

    def _nudge(self, start: InitialCondition, way: Array, rng: np.random.Generator) -> Mishap:
        """Knock the object away while the hand is on its way to where it was."""
        qpos = way[rng.integers(len(way))]
        moved = self._move(start, rng, NUDGED)
        return Mishap(NUDGE, self._at(moved, qpos), np.zeros((0, len(qpos))))

    def _miss(self, start: InitialCondition, way: Array, rng: np.random.Generator) -> Mishap:
        """Close the fingers where the object was, and put it beside them."""
        moved = self._move(start, rng, MISSED_BY)
        return Mishap(MISSED, self._at(moved, way[-1]), way[-RETREAT:][::-1])

    def _at(self, start: InitialCondition, qpos: Array) -> InitialCondition:
        limits = self.sim.spec.limits
        inside = np.clip(qpos, limits.lower, limits.upper)
        return replace(start, qpos=tuple(map(float, inside)))

    def _move(
        self, start: InitialCondition, rng: np.random.Generator, by: tuple[float, float]
    ) -> InitialCondition:
        """Shift the object in any direction on the table and turn it about the vertical."""
        name = self.task.subject(start)
        pose = np.array(start.objects[name])
        way, turn = rng.uniform(-np.pi, np.pi), rng.uniform(-TURNED, TURNED) / 2
        pose[:2] += rng.uniform(*by) * np.array([np.cos(way), np.sin(way)])
        w, x, y, z = pose[3:]
        c, s = np.cos(turn), np.sin(turn)
        pose[3:] = (c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w)
        objects = {**start.objects, name: tuple(map(float, pose))}
        return replace(start, objects=self.task.separate(objects))

    def _rests(self, start: InitialCondition) -> bool:
        """Tell whether everything stays where it is put: the arm neither holds nor hits it."""
        self.sim.reset((start,))
        r = self.sim.readings
        for name in self.sim.world.objects:
            if name in start.objects:
                here, put = np.array(r[f"{name}_pos"]), np.array(start.objects[name][:3])
                if np.linalg.norm((here - put)[:2]) > MOVED:
                    return False
        table = np.linalg.norm(r["arm_table"]) if "arm_table" in r else 0.0
        return not table > 0.0
