from dataclasses import replace

import numpy as np
import pytest

from benchmarks.failures import FAILURES, RULES, Trace, label
from benchmarks.protocol import PROTOCOLS
from benchmarks.trial import rollout
from envs.arm import Array, InitialCondition
from envs.batch import SimBatch
from envs.expert import OPERATORS
from envs.tasks import TASKS

PROTOCOL = PROTOCOLS["pick_place/v1"]
TASK = TASKS["pick_place"]
START = PROTOCOL.start("nominal", 0)
CLOSE, LIFT, RISEN, CARRY, DOWN, RELEASED = 90, 130, 140, 160, 226, 245  # steps of the demo


class Scripted:
    """A controller that plays actions (T, N, n), then holds the last ones."""

    def __init__(self, actions: Array) -> None:
        self.actions, self.t = actions, -1
        self.errors = np.zeros(actions.shape[1], bool)

    def wants(self) -> bool:
        return False

    def action(self, observation: object) -> Array:
        self.t += 1
        row: Array = self.actions[min(self.t, len(self.actions) - 1)]
        return row


def demonstrate(start: InitialCondition) -> Array:
    """Return the expert's actions (T, n) from ``start``."""
    sims = SimBatch(TASK, size=1, threads=1)
    sims.reset([start])
    expert = TASK.expert(sims.world, OPERATORS["clean"])
    expert.reset(start, np.random.default_rng(0))
    actions = []
    while not sims.done.all():
        actions.append(expert.act(sims.readings))
        sims.step(actions[-1][None])
    assert sims.success.all()
    return np.array(actions, np.float32)


@pytest.fixture(scope="module")
def demo() -> Array:
    return demonstrate(START)


def play(actions: Array, start: InitialCondition = START) -> tuple[Trace, str | None, list[str]]:
    count = start.factors.get("distractors", {}).get("count", 0)
    sims = SimBatch(TASK, size=1, threads=1, distractors=count)
    sims.reset([start])
    trace = rollout(sims, Scripted(actions[:, None]))  # type: ignore[arg-type]
    failure, tags = label(trace, TASK)[0]
    return trace, failure, tags


def moved(name: str, x: float, y: float) -> InitialCondition:
    """Return the start with an object shifted by x, y [m]."""
    pose = list(START.objects[name])
    pose[0], pose[1] = pose[0] + x, pose[1] + y
    return replace(START, objects={**START.objects, name: tuple(pose)})


def test_a_success_has_no_label(demo: Array) -> None:
    assert play(demo)[1:] == (None, [])


def test_a_gripper_that_never_closes_is_no_missed_grasp_but_a_timeout(demo: Array) -> None:
    demo = demo.copy()
    demo[:, -1] = 1.0
    assert play(demo)[1:] == ("timeout", [])


def test_closing_beside_the_object_is_a_missed_grasp(demo: Array) -> None:
    _, failure, tags = play(demo, moved("cube", -0.09, 0.0))
    assert failure == "missed_grasp"
    assert "dropped" not in tags
    assert "misplaced" not in tags


def test_opening_in_mid_carry_is_a_drop(demo: Array) -> None:
    demo = demo.copy()
    demo[RISEN:, -1] = 1.0
    _, failure, tags = play(demo)
    assert failure == "dropped"
    assert "misplaced" in tags
    assert "missed_grasp" not in tags


def test_a_release_elsewhere_is_misplaced(demo: Array) -> None:
    _, failure, tags = play(demo, moved("target", 0.06, 0.06))
    assert failure == "misplaced"
    assert "dropped" not in tags


def test_taking_the_object_up_again_is_unstable(demo: Array) -> None:
    again = np.concatenate([demo[:RELEASED], demo[CARRY:RELEASED][::-1]])
    trace, failure, _ = play(again)
    assert trace.success_any.all()
    assert failure == "unstable"


def test_standing_still_is_stuck() -> None:
    hold = np.repeat(np.array(START.qpos, np.float32)[None], 2, axis=0)
    assert play(hold)[1:] == ("stuck", ["timeout"])


def test_moving_elsewhere_is_drift(demo: Array) -> None:
    demo = demo.copy()
    demo[:, 0] += 1.2
    demo[:, -1] = 1.0
    _, failure, tags = play(demo)
    assert failure == "drift"
    assert "timeout" in tags


def test_leaving_the_object_for_nowhere_is_drift(demo: Array) -> None:
    away = np.concatenate([demo[:CLOSE], demo[:CLOSE][::-1], np.repeat(demo[:1], 200, axis=0)])
    away[2 * CLOSE :, 0] += np.linspace(0, 2, 200)
    away[:, -1] = 1.0
    trace, failure, _ = play(away)
    assert trace.stages.max() == 1
    assert failure == "drift"


def test_carrying_on_for_ever_is_a_timeout(demo: Array) -> None:
    sway = 0.2 * np.sin(np.linspace(0, 40, 400))
    waving = np.concatenate([demo[:CARRY], np.repeat(demo[CARRY:][:1], 400, axis=0)])
    waving[CARRY:, 0] += sway
    assert play(waving)[1:] == ("timeout", [])


def test_pressing_on_the_table_is_a_collision(demo: Array) -> None:
    pressing = demo[:CLOSE].copy()
    pressing[60:, 1] += np.linspace(0, 0.5, CLOSE - 60)
    assert play(pressing)[1] == "collision"


def test_lifting_a_distractor_is_the_wrong_object(demo: Array) -> None:
    spot = START.objects["cube"]
    objects = {**moved("cube", 0.0, -0.12).objects, "distractor0": (*spot[:2], 0.03, *spot[3:])}
    start = replace(START, objects=objects, factors={"distractors": {"count": 1}})
    _, failure, tags = play(demo, start)
    assert failure == "wrong_object"
    assert "missed_grasp" in tags


def test_nan_in_an_action_ends_its_trial_alone_as_a_policy_error(demo: Array) -> None:
    actions = np.repeat(demo[:, None], 3, axis=1)
    actions[20:, 1, 2] = np.nan
    sims = SimBatch(TASK, size=3, threads=1)
    sims.reset([START] * 3)
    trace = rollout(sims, Scripted(actions))  # type: ignore[arg-type]
    assert trace.errors == ["", "NaN or a wrong shape at step 20", ""]
    assert [failure for failure, _ in label(trace, TASK)] == [None, "policy_error", None]
    assert trace.steps[1] == 20
    assert trace.steps[0] == trace.steps[2] == len(demo)


def test_a_wrong_shape_ends_all_running_trials_as_policy_errors(demo: Array) -> None:
    sims = SimBatch(TASK, size=2, threads=1)
    sims.reset([START] * 2)
    trace = rollout(sims, Scripted(demo[:, None, :5].repeat(2, axis=1)))  # type: ignore[arg-type]
    assert all("actions must have shape (2, 7), got (2, 5)" in error for error in trace.errors)
    assert [failure for failure, _ in label(trace, TASK)] == ["policy_error"] * 2


def test_every_rule_has_its_label_and_every_label_says_what_to_try() -> None:
    assert [name for name in FAILURES if name in RULES] == list(RULES)
    assert all(f.about and f.cause and f.advice for f in FAILURES.values())
    assert [f.label for f in FAILURES.values() if not f.counts] == [
        "invalid_hardware",
        "invalid_reset",
    ]
