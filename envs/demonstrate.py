"""One demonstration after another: who demonstrates, from where, and what is recorded of it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from envs.arm import Array, InitialCondition, Observation
from envs.collection import Collection
from envs.crew import crew
from envs.episode import Episode, EpisodeMeta
from envs.expert import Expert, Operator
from envs.expert_ways import goes_left, way_of
from envs.recovery import Mishap, Recovery
from envs.sim import SimArm
from envs.tasks import TASKS

Step = tuple[Observation, Array, float]
"""An observation, the action (n,) that answers it, and the time [s]."""


class _Begun(NamedTuple):
    """What is needed to demonstrate an episode that has been begun."""

    start: InitialCondition
    expert: Expert
    purpose: str
    episode: int
    mishap: Mishap | None


class Demonstrator:
    """Makes the demonstrations of a collection; lives in one process.

    Attributes:
        meta: of the episode begun last; complete when its steps have all been made.
    """

    meta: EpisodeMeta

    def __init__(self, collection: Collection, protocol: str = "") -> None:
        """Prepare the scene of ``collection``; ``protocol`` is the hash of its definition."""
        self.collection, self.protocol = collection, protocol
        self.task = TASKS[collection.task]
        self.arm = SimArm(
            self.task,
            collection.robot,
            cameras=collection.cameras,
            distractors=collection.distractors,
        )
        self.operators = crew(collection.operator)
        self._experts: dict[Operator, Expert] = {}
        self._recovery = Recovery(self.arm.sim)

    def begin(self, index: int) -> EpisodeMeta:
        """Draw start, operator and mishap of episode ``index``; return what is known of it."""
        start, operator = self.collection.start(index), self._operator(index)
        expert = self._expert(operator)
        purpose = f"expert/{operator.name}"
        expert.reset(start, self.collection.rng(purpose, index))
        mishap = self._mishap(index, start, expert)
        if mishap is not None:
            start = mishap.start
        self._begun = _Begun(start, expert, purpose, index, mishap)
        self.meta = EpisodeMeta(
            task=self.task.name,
            instruction=self.task.instruct(start),
            robot=self.collection.robot,
            operator=operator.name,
            mishap="" if mishap is None else mishap.kind,
            start=start,
            index=index,
            seed=self.collection.seed,
            joints=self.arm.spec.joints,
            control_hz=self.arm.spec.control_hz,
            protocol_hash=self.protocol,
        )
        return self.meta

    def steps(self) -> Iterator[Step]:
        """Demonstrate the episode that was begun, step by step."""
        start, expert, purpose, index, mishap = self._begun
        observation, action = self.arm.home(start), np.array(start.qpos)
        if mishap is not None:
            for wished in mishap.retreat:
                action = self._limited(wished, action)
                yield observation, action, self._now()
                observation = self.arm.command(action)
            here = replace(start, qpos=tuple(map(float, action)))
            expert.reset(here, self.collection.rng(f"{purpose}/recovery", index))
        while not self.arm.sim.done[0]:
            action = self._limited(expert.act(self.arm.readings), action)
            yield observation, action, self._now()
            observation = self.arm.command(action)
        success = bool(self.arm.sim.success[0])
        failure = "" if success else "timeout"
        self.meta = replace(self.meta, success=success, failure=failure, way=way_of(expert))

    def episode(self, index: int) -> Episode:
        """Return episode ``index`` as an array of steps, whether it succeeded or not."""
        self.begin(index)
        observations, actions, times = zip(*self.steps(), strict=True)
        arrays = {key: np.stack([o[key] for o in observations]) for key in observations[0]}
        return Episode(arrays, np.stack(actions), np.array(times), self.meta)

    def _limited(self, wished: Array, previous: Array) -> Array:
        """Return what the arm does, not what was wished: within its limits, float32 as recorded."""
        return self.arm.spec.clamp(wished, previous).astype(np.float32)

    def _now(self) -> float:
        return int(self.arm.sim.clock) / self.arm.spec.control_hz

    def _operator(self, index: int) -> Operator:
        chosen = self.operators[0]
        if len(self.operators) > 1:
            draw = self.collection.rng(f"operator/{self.collection.operator}", index)
            chosen = self.operators[int(draw.integers(len(self.operators)))]
        return replace(chosen, left=float(goes_left(self.collection.strategy, index)))

    def _expert(self, operator: Operator) -> Expert:
        if operator not in self._experts:
            self._experts[operator] = self.task.expert(self.arm.sim.world, operator)
        return self._experts[operator]

    def _mishap(self, index: int, start: InitialCondition, expert: Expert) -> Mishap | None:
        if self.collection.recovery == 0.0:
            return None
        rng = self.collection.rng("recovery", index)
        if rng.random() >= self.collection.recovery:
            return None
        mishap = self._recovery.draw(start, expert, rng)
        if mishap is None:  # nothing went wrong after all: begin anew
            operator = self._operator(index).name
            expert.reset(start, self.collection.rng(f"expert/{operator}", index))
        return mishap
