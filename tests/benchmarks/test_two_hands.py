"""Labels, measures and records of trials with two arms."""

import numpy as np
import pytest

from benchmarks.failures import Trace, label
from benchmarks.protocol import PROTOCOLS
from benchmarks.trial import describe, rollout
from envs.arm import Array
from envs.batch import SimBatch
from envs.expert import OPERATORS
from envs.tasks import TASKS

TASK = TASKS["transfer"]
PROTOCOL = PROTOCOLS["transfer/v1"]
START = PROTOCOL.start("nominal", 0)
LEFT, RIGHT = 6, 13  # columns of the grippers


class Scripted:
    """A controller that plays actions (T, 1, n), then holds the last ones."""

    def __init__(self, actions: Array) -> None:
        self.actions, self.t = actions, -1
        self.errors = np.zeros(1, bool)

    def wants(self) -> bool:
        return False

    def action(self, observation: object) -> Array:
        self.t += 1
        row: Array = self.actions[min(self.t, len(self.actions) - 1)]
        return row


def play(actions: Array) -> tuple[Trace, dict]:
    """Return the trace of ``actions`` (T, n) and the record that describes it."""
    sims = SimBatch(TASK, size=1, threads=1)
    sims.reset([START])
    trace = rollout(sims, Scripted(actions[:, None]))
    return trace, describe(trace, sims)[0]


@pytest.fixture(scope="module")
def demo() -> Array:
    sims = SimBatch(TASK, size=1, threads=1)
    sims.reset([START])
    expert = TASK.expert(sims.world, OPERATORS["clean"])
    expert.reset(START, np.random.default_rng(0))
    actions = []
    while not sims.done.all():
        actions.append(expert.act(sims.readings))
        sims.step(actions[-1][None])
    return np.array(actions, np.float32)


@pytest.fixture(scope="module")
def shown(demo: Array) -> tuple[Trace, dict]:
    return play(demo)


def at(trace: Trace, stage: str) -> int:
    """Return the step at which a stage was reached."""
    return int(np.argmax(trace.stages[:, 0] > TASK.stages.index(stage)))


def test_the_protocol_is_of_the_pair() -> None:
    assert PROTOCOL.robot == "viperx_pair"
    assert len(START.qpos) == 14


def test_a_hand_over_is_a_success_with_measures_of_both_hands(shown: tuple[Trace, dict]) -> None:
    record = shown[1]
    assert record["success"]
    assert record["failure"] is None
    assert record["tags"] == []
    assert record["stage"] == len(TASK.stages)
    assert -6 < record["quality"]["sparc"] < -1.3
    assert 1 <= record["quality"]["path_ratio"] < 2
    assert record["quality"]["contact_peak_n"] >= 0


def test_a_bar_let_go_before_the_other_hand_has_it_was_dropped(
    demo: Array, shown: tuple[Trace, dict]
) -> None:
    actions = demo.copy()
    actions[at(shown[0], "lift") + 20 :, LEFT] = 1.0
    record = play(actions)[1]
    assert record["failure"] == "dropped"


def test_a_second_hand_that_never_closes_drops_the_bar(
    demo: Array, shown: tuple[Trace, dict]
) -> None:
    actions = demo.copy()
    actions[:, RIGHT] = 0.85
    record = play(actions)[1]
    assert record["stage"] == TASK.stages.index("lift") + 1
    assert record["failure"] == "dropped"


@pytest.mark.parametrize("column", [LEFT, RIGHT])
def test_either_hand_that_closes_on_nothing_has_missed(demo: Array, column: int) -> None:
    actions = np.repeat(demo[:1], 60, axis=0)
    actions[:, column] = 0.0
    failure, tags = label(play(actions)[0], TASK)[0]
    assert failure == "missed_grasp"
    assert "stuck" in tags


def test_arms_that_run_into_each_other_collide(demo: Array, shown: tuple[Trace, dict]) -> None:
    when = at(shown[0], "meet")
    actions = np.repeat(demo[when : when + 1], 150, axis=0)
    actions[:, 0] += 0.5  # the waists turn the hands towards and through each other
    actions[:, 7] += 0.5
    record = play(np.concatenate([demo[:when], actions]))[1]
    assert record["failure"] == "collision"
