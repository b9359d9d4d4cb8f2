"""An arm that fails again and again, and a policy that answers nonsense."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from benchmarks.records import read_run
from benchmarks.session.closing import read_closed
from benchmarks.session.opening import Opened, open_session
from benchmarks.session.rig import Rig
from benchmarks.session.rigs import rig_of
from benchmarks.session.script import PATIENCE, Script, eyes_of, operate
from benchmarks.session.session import Session
from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from policies.base import Policy
from real.machine import MachineError
from tests.benchmarks.session.stand_in import StandIn, finish, held, lock_session, until


class Broken(StandIn):
    """An arm that never reaches its start pose."""

    tries = 0

    def prepare(self, start: InitialCondition) -> Any:
        self.tries += 1
        raise MachineError("the elbow does not answer")


def test_a_script_leaves_a_session_whose_arm_fails_again_and_again(tmp_path: Path) -> None:
    lock_session(tmp_path)
    rig = Broken(open_session(tmp_path))
    told = f"the session is left: the arm failed {PATIENCE} times: the elbow does not answer"
    with held(tmp_path, rig=rig) as session, pytest.raises(UsageError, match=told):
        finish(session)
    assert rig.tries == PATIENCE
    with held(tmp_path) as session:  # it goes on with an arm that works
        finish(session)
    assert not read_closed(tmp_path).trials[0].void


def test_a_script_leaves_a_session_whose_trials_are_all_void(tmp_path: Path) -> None:
    lock_session(tmp_path)
    rig = StandIn(open_session(tmp_path))
    rig.voids = itertools.repeat("invalid_hardware: no answer")
    with (
        held(tmp_path, rig=rig) as session,
        pytest.raises(UsageError, match=f"failed {PATIENCE} times: invalid_hardware"),
    ):
        finish(session)
    assert len(rig.ran) == PATIENCE


def test_a_void_now_and_then_does_not_make_a_script_leave(tmp_path: Path) -> None:
    lock_session(tmp_path, blocks=6)
    rig = StandIn(open_session(tmp_path))
    rig.voids = itertools.cycle(("a cable", ""))
    with held(tmp_path, rig=rig) as session:
        finish(session)
    assert sum(bool(trial.void) for trial in read_closed(tmp_path).trials) > PATIENCE


def test_an_arm_that_does_not_answer_cannot_be_waived(tmp_path: Path) -> None:
    lock_session(tmp_path)

    def dead(opened: Opened, policies: Sequence[Policy], gone: Event) -> Rig:
        raise MachineError("no port")

    with Session(open_session(tmp_path), dead) as session:
        with pytest.raises(UsageError, match=r"the session is left: .*no port"):
            operate(session, Script(eyes_of(session)))
        with pytest.raises(UsageError, match="check=waive is not asked now"):
            session.answer("check", "waive", "kim", "why not")
        assert session.answer("check", "again", "kim").operator == "kim"


class Nonsense:
    """A policy that answers NaN, at once or after a few chunks."""

    def __init__(self, policy: Policy, after: int) -> None:
        self.name, self.spec = policy.name, policy.spec
        self._policy, self._after, self._asked = policy, after, 0

    def reset(self, instructions: Any, seeds: Any) -> None:
        self._asked = 0
        self._policy.reset(instructions, seeds)

    def act(self, obs: Mapping[str, Array]) -> Array:
        self._asked += 1
        answer = np.array(self._policy.act(obs))
        return answer if self._asked <= self._after else np.full_like(answer, np.nan)


@pytest.mark.parametrize("after", [0, 4])
def test_a_policy_that_answers_nan_has_failed_and_its_trial_counts(
    tmp_path: Path, after: int
) -> None:
    lock_session(tmp_path, ["floor:hold"], blocks=1)

    def rig(opened: Opened, policies: Sequence[Policy], gone: Event) -> Rig:
        return rig_of(opened, [Nonsense(policy, after) for policy in policies], gone, draws=False)

    with Session(open_session(tmp_path), rig) as session:
        operate(session, Script(eyes_of(session), who="kim"))
    closed = read_closed(tmp_path)
    (trial,) = closed.trials
    assert (trial.void, trial.counted, trial.steps) == ("", True, after)
    assert trial.automatic == {"success": False, "stage": 0, "failure": "policy_error"}
    assert trial.numbers["ends"] == "policy_error"
    assert trial.labels is not None
    assert trial.labels.failure == "policy_error"
    (folder,) = closed.runs.values()
    (record,) = read_run(folder).trials
    assert (record["status"], record["failure"]) == ("valid", "policy_error")


def test_what_is_asked_of_the_arm_is_that_of_the_trial(tmp_path: Path) -> None:
    lock_session(tmp_path, task="language_pick", blocks=8)
    opened = open_session(tmp_path)
    with held(tmp_path) as session:
        until(session, "next")
        first = session.view()
        until(session, "labelled")
        session.answer("next", "next", "kim")
        until(session, "next")
        view = session.view()
    told = {opened.instruction(trial.ic) for trial in opened.lock.schedule}
    assert len(told) > 1
    assert first.instruction == opened.instruction(opened.lock.schedule[0].ic)
    assert view.instruction in told
    assert view.limit_s == opened.limit_s > 0
