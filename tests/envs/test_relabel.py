"""Experts that label states they did not bring about."""

import numpy as np
import pytest

from envs.batch import SimBatch
from envs.collection import Collection
from envs.errors import UsageError
from envs.relabel import labeller_of
from envs.tasks import TASKS


def carried_out(task: str, robot: str, index: int, disturbed: int = 0) -> SimBatch:
    """Let the rule act, after ``disturbed`` control periods of somebody else."""
    labeller, sims = labeller_of(TASKS[task], robot), SimBatch(TASKS[task], robot, 1, threads=1)
    start = Collection(task, robot).start(index)
    sims.reset([start])
    labeller.reset(start)
    rng = np.random.default_rng(index)
    for _ in range(disturbed):
        push = 0.4 * np.append(rng.normal(size=sims.spec.n - 1), rng.random())
        for _ in range(10):
            sims.step(np.array([start.qpos]) + push)
    while not sims.done[0]:
        sims.step(labeller.label(sims.readings, sims.joints[0])[None])
    return sims


@pytest.mark.parametrize(
    ("task", "robot"),
    [("pick_place", "viperx"), ("pick_place", "koch"), ("language_pick", "viperx")],
)
def test_the_rule_alone_does_the_task(task: str, robot: str) -> None:
    assert [bool(carried_out(task, robot, i).success[0]) for i in range(3)] == [True] * 3


def test_it_does_the_task_from_states_that_somebody_else_has_brought_about() -> None:
    assert (
        sum(bool(carried_out("pick_place", "viperx", i, disturbed=5).success[0]) for i in range(5))
        >= 4
    )


def test_a_label_follows_from_the_state_alone() -> None:
    task = TASKS["pick_place"]
    sims = SimBatch(task, size=1, threads=1)
    start, other = (Collection("pick_place").start(i) for i in (0, 1))
    used, fresh = labeller_of(task), labeller_of(task)
    sims.reset([other])
    used.reset(other)
    for _ in range(40):
        sims.step(used.label(sims.readings, sims.joints[0])[None])
    sims.reset([start])
    for labeller in (used, fresh):
        labeller.reset(start)
    for _ in range(30):
        first, again = (x.label(sims.readings, sims.joints[0]) for x in (used, fresh))
        np.testing.assert_array_equal(first, again)
        sims.step(first[None])


def test_where_an_expert_cannot_label_the_error_names_the_tasks_whose_expert_can() -> None:
    with pytest.raises(UsageError, match=r"expert of insertion .* can: pick_place, language_pick"):
        labeller_of(TASKS["insertion"])
    with pytest.raises(UsageError, match="on openarm: its wrist"):
        labeller_of(TASKS["pick_place"], "openarm")
