"""Experts that label states they did not bring about: every task that offers one is tested."""

import numpy as np
import pytest

from envs.ability import able
from envs.arm import InitialCondition
from envs.batch import SimBatch
from envs.collection import Collection
from envs.errors import UsageError
from envs.relabel import UNABLE, Labeller, labeller_of
from envs.task import Task
from envs.tasks import TASKS
from envs.tasks.two_ways import _ahead, _aside

LABELLED = [name for name, task in TASKS.items() if type(task).labeller is not Task.labeller]
PAIRS = [(name, robot) for name in LABELLED for robot in able(TASKS[name]) if robot not in UNABLE]
"""Every task whose expert labels states of others, with every robot on which it does."""
HOME = [(name, TASKS[name].robot) for name in LABELLED]


def begun(
    task: str, robot: str, index: int, disturbed: int = 0
) -> tuple[SimBatch, InitialCondition]:
    """Return episode ``index`` after ``disturbed`` times a fifth of a second of somebody else."""
    sims, start = (
        SimBatch(TASKS[task], robot, 1, threads=1),
        Collection(task, robot).start(index),
    )
    sims.reset([start])
    rng = np.random.default_rng(index)
    grippers = list(sims.spec.grippers)
    for _ in range(disturbed):
        push = rng.normal(size=sims.spec.n)
        push[grippers] = rng.random(len(grippers))
        for _ in range(10):
            sims.step(np.array([start.qpos]) + 0.4 * push)
    return sims, start


def carried_out(labeller: Labeller, sims: SimBatch, start: InitialCondition) -> bool:
    """Let the rule act to the end; return whether it succeeded."""
    labeller.reset(start)
    while not sims.done[0]:
        sims.step(labeller.label(sims.readings, sims.joints[0])[None])
    return bool(sims.success[0])


@pytest.mark.parametrize(("task", "robot"), PAIRS)
def test_the_rule_alone_does_the_task(task: str, robot: str) -> None:
    labeller = labeller_of(TASKS[task], robot)
    assert [carried_out(labeller, *begun(task, robot, i)) for i in range(3)] == [True] * 3


@pytest.mark.parametrize(("task", "robot"), HOME)
def test_it_does_the_task_from_states_that_somebody_else_has_brought_about(
    task: str, robot: str
) -> None:
    labeller = labeller_of(TASKS[task], robot)
    assert sum(carried_out(labeller, *begun(task, robot, i, disturbed=5)) for i in range(5)) >= 4


@pytest.mark.parametrize(("task", "robot"), PAIRS)
def test_a_label_follows_from_the_state_alone(task: str, robot: str) -> None:
    used, fresh = (labeller_of(TASKS[task], robot) for _ in range(2))
    carried_out(used, *begun(task, robot, 1))
    sims, start = begun(task, robot, 0)
    for labeller in (used, fresh):
        labeller.reset(start)
    for k in range(60):
        label = used.label(sims.readings, sims.joints[0])
        if k % 7 == 0:
            fresh.reset(start)
            np.testing.assert_array_equal(label, fresh.label(sims.readings, sims.joints[0]))
        sims.step(label[None])


def test_the_rule_goes_round_the_post_on_the_side_where_the_hand_is() -> None:
    labeller, sides = labeller_of(TASKS["two_ways"]), []
    for index in range(8):
        sims, start = begun("two_ways", "viperx", index)
        labeller.reset(start)
        began = _aside(sims.readings) > 0
        while _ahead(sims.readings) < 0:
            sims.step(labeller.label(sims.readings, sims.joints[0])[None])
        assert (_aside(sims.readings) > 0) == began
        sides.append(began)
    assert any(sides)
    assert not all(sides)


def test_where_an_expert_cannot_label_the_error_names_the_tasks_whose_expert_can() -> None:
    names = ", ".join(LABELLED)
    with pytest.raises(UsageError, match=f"expert of wipe .* can: {names}"):
        labeller_of(TASKS["wipe"])
    with pytest.raises(UsageError, match="on openarm: its wrist"):
        labeller_of(TASKS["pick_place"], "openarm")
