"""Roll-outs in which a policy and an expert take turns, and what the expert is asked afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from envs.arm import Array, InitialCondition
from envs.batch import SimBatch
from envs.collection import Collection
from envs.errors import UsageError
from envs.readings import Readings
from envs.relabel import Labeller, labeller_of
from envs.tasks import TASKS
from envs.world import World, world
from policies.base import Policy
from policies.checkpoint import load_policy
from policies.chunking import Controller

WAVE = 10
"""Episodes stepped together: fixed, because a policy's batched arithmetic depends on it."""


@dataclass(frozen=True)
class Wave:
    """Episodes ``first .. first + count - 1``, rolled out together.

    Attributes:
        first: number of the first episode; its start is that of the collection's.
        count: how many.
        policy: checkpoint folder; None: the expert alone acts.
        beta: chance that the expert acts until the next prediction.
    """

    first: int
    count: int
    policy: Path | None
    beta: float


@dataclass(frozen=True, eq=False)
class Visit:
    """One episode as it went, and all that is needed to ask the expert about any step of it.

    Attributes:
        index: number of the episode.
        start: where it began.
        observations: what was seen, arrays (T, ...).
        commands: what was commanded (T, n) float32.
        labels: the expert's commands (T, n) float32 where it acted, else as commanded.
        acted: (T,) bool, where the expert acted.
        sensors: raw readings (T, n_sensors).
        joints: true joint positions (T, n).
        success: how it ended.
    """

    index: int
    start: InitialCondition
    observations: Mapping[str, Array]
    commands: Array
    labels: Array
    acted: Array
    sensors: Array
    joints: Array
    success: bool

    def __len__(self) -> int:
        """Return the number of steps T."""
        return len(self.commands)

    def cut(self, steps: int) -> "Visit":
        """Return the first ``steps`` steps: an episode that was broken off there."""
        if steps >= len(self):
            return self
        return replace(
            self,
            observations={key: array[:steps] for key, array in self.observations.items()},
            commands=self.commands[:steps],
            labels=self.labels[:steps],
            acted=self.acted[:steps],
            sensors=self.sensors[:steps],
            joints=self.joints[:steps],
            success=False,
        )


class Asked:
    """The expert, asked about single states of a batch."""

    def __init__(self, labeller: Labeller, scene: World) -> None:
        """Ask ``labeller`` about states of ``scene``."""
        self.labeller, self.sensors, self.limits = labeller, scene.sensors, scene.arm.limits

    def about(self, start: InitialCondition, sensors: Array, joints: Array) -> Array:
        """Return the label (n,) float32 of one state, within the joints' range.

        How far a joint may go in a control period is not looked at: that follows from the command
        in force, which is no part of the state that a policy sees.
        """
        self.labeller.reset(start)
        wished = self.labeller.label(Readings(self.sensors, sensors.tolist()), joints)
        return np.clip(wished, self.limits.lower, self.limits.upper).astype(np.float32)


class Roller:
    """Rolls out waves of a collection's episodes, one after another; lives in one process."""

    def __init__(self, collection: Collection) -> None:
        """Prepare the scene.

        Raises:
            UsageError: the task's expert cannot label states of others.
        """
        self.collection, self.task = collection, TASKS[collection.task]
        self.labeller = labeller_of(self.task, collection.robot)
        self._sims: dict[int, SimBatch] = {}
        self._policy: tuple[Path, Policy] | None = None

    def __call__(self, wave: Wave) -> list[Visit]:
        """Roll out a wave to its end."""
        sims = self._batch(wave.count)
        starts = [self.collection.start(wave.first + i) for i in range(wave.count)]
        sims.reset(starts)
        turns = Turns(self._controller(wave, sims), wave, self.collection)
        log: list[tuple[Array, ...]] = []
        seen: list[Mapping[str, Array]] = []
        command = np.array([start.qpos for start in starts])
        while not sims.done.all():
            observation = sims.observe()
            wished, acted = turns.next(observation)
            labels = self._answered(wished, acted, sims)
            moved = sims.spec.clamp(labels, command).astype(np.float32)
            command = np.where(sims.done[:, None], command, moved)
            log.append((command, labels, acted, sims.sensors.copy(), sims.joints))
            seen.append(observation)
            sims.step(command)
        return [self._visit(i, wave, sims, seen, log) for i in range(wave.count)]

    def _answered(self, wished: Array, acted: Array, sims: SimBatch) -> Array:
        """Return what was wished (N, n), and the expert's commands where it acts."""
        asked = Asked(self.labeller, sims.world)
        answers = np.array(wished, np.float32)
        for i in np.flatnonzero(acted & ~sims.done):
            answers[i] = asked.about(sims.starts[i], sims.sensors[i], sims.joints[i])
        return answers

    def _batch(self, size: int) -> SimBatch:
        if size not in self._sims:
            self._sims[size] = SimBatch(
                self.task, self.collection.robot, size, threads=1, cameras=self.collection.cameras
            )
        return self._sims[size]

    def _controller(self, wave: Wave, sims: SimBatch) -> Controller | None:
        if wave.policy is None or wave.beta == 1.0:
            return None
        if self._policy is None or self._policy[0] != wave.policy:
            self._policy = (wave.policy, load_policy(wave.policy))
        controller = Controller(self._policy[1])
        told = [self.task.instruct(start) for start in sims.starts]
        controller.reset(told, [wave.first + i for i in range(wave.count)])
        return controller

    @staticmethod
    def _visit(
        i: int,
        wave: Wave,
        sims: SimBatch,
        seen: Sequence[Mapping[str, Array]],
        log: Sequence[tuple[Array, ...]],
    ) -> Visit:
        steps = int(sims.steps[i])
        commands, labels, acted, sensors, joints = (
            np.stack([row[k][i] for row in log[:steps]]) for k in range(5)
        )
        return Visit(
            index=wave.first + i,
            start=sims.starts[i],
            observations={key: np.stack([o[key][i] for o in seen[:steps]]) for key in seen[0]},
            commands=commands,
            labels=np.where(acted[:, None], labels, commands),
            acted=acted,
            sensors=sensors,
            joints=joints,
            success=bool(sims.success[i]),
        )


class Turns:
    """Who acts: drawn for every row whenever the policy predicts, from the episode's own stream."""

    def __init__(self, controller: Controller | None, wave: Wave, collection: Collection) -> None:
        """Let ``controller`` act, and the expert with chance ``wave.beta``; None: the expert."""
        self.controller, self.beta, self.name = controller, wave.beta, wave.policy
        rows = range(wave.first, wave.first + wave.count)
        self.draws = [collection.rng("dagger/turns", index) for index in rows]
        self.acted = np.ones(wave.count, bool)
        self.nothing = np.array([start.qpos for start in map(collection.start, rows)])

    def next(self, observation: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return what the policy would command (N, n), and where the expert acts instead (N,)."""
        if self.controller is None:
            return self.nothing, self.acted
        if self.controller.step % self.controller.execute == 0:
            self.acted = np.array([rng.random() < self.beta for rng in self.draws])
        action = self.controller.action(observation)
        if self.controller.errors.any():
            raise UsageError(f"the policy of {self.name} gives actions that are not finite")
        return action, self.acted


def spend(
    visits: Sequence[Visit], budget: int | None, run: int, rng: np.random.Generator
) -> list[tuple[Visit, Array]]:
    """Choose the steps about which the expert is asked, as many as the budget allows.

    Where the expert acted it has been asked already; an episode in which the budget ends that way
    is broken off there, and those after it are left out. What is left of the budget is spread at
    random over the other steps.

    Args:
        visits: episodes in order.
        budget: labels; None: every step.
        run: consecutive steps that are asked together, as long as a chunk of actions.
        rng: draws the steps.

    Returns:
        The episodes kept, each with the steps asked about, (T,) bool.
    """
    if budget is None:
        return [(visit, np.ones(len(visit), bool)) for visit in visits]
    kept: list[Visit] = []
    left = budget
    for visit in visits:
        last = np.flatnonzero(np.cumsum(visit.acted) > left)
        kept.append(visit.cut(int(last[0])) if len(last) else visit)
        left -= int(kept[-1].acted.sum())
        if len(last):
            break
    kept = [visit for visit in kept if len(visit)]
    masks = [visit.acted.copy() for visit in kept]
    blocks = [(k, first) for k, v in enumerate(kept) for first in range(0, len(v), run)]
    for which in rng.permutation(len(blocks)):
        if left <= 0:
            break
        k, first = blocks[which]
        free = first + np.flatnonzero(~masks[k][first : first + run])[:left]
        masks[k][free] = True
        left -= len(free)
    return list(zip(kept, masks, strict=True))


def label(collection: Collection, chosen: Sequence[tuple[Visit, Array]]) -> list[Array]:
    """Ask the expert about the chosen steps.

    Args:
        collection: of the episodes.
        chosen: as ``spend`` returns it.

    Returns:
        For each episode the labels (T, n) float32, as commanded where it was not asked.
    """
    task = TASKS[collection.task]
    asked = Asked(labeller_of(task, collection.robot), world(task, collection.robot))
    answers = []
    for visit, mask in chosen:
        labels = visit.labels.copy()
        for t in np.flatnonzero(mask & ~visit.acted):
            labels[t] = asked.about(visit.start, visit.sensors[t], visit.joints[t])
        answers.append(labels)
    return answers
