"""A whole session on the hardware twin: drivers, safety chain, measured resets, sealed runs."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import ClassVar

import numpy as np
import pytest

from benchmarks.board_runs import load_run
from benchmarks.board_tables import make_tables
from benchmarks.decide import decide
from benchmarks.records import read_run, verify_run
from benchmarks.session.closed import Closed
from benchmarks.session.closing import read_closed
from benchmarks.session.opening import Opened, open_session
from benchmarks.session.rig import Rig
from benchmarks.session.rigs import rig_of
from benchmarks.session.script import Script, careful, eyes_of, operate
from benchmarks.session.session import Session
from benchmarks.session.twin_rig import Hand, TwinRig
from benchmarks.session.view import View
from benchmarks.verify import verify
from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from envs.tasks.pick_place import PickPlace
from policies.base import Policy
from tests.benchmarks.session.stand_in import lock_session

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)

SOURCES = ("floor:random", "floor:hold")
BLOCKS = 2


class Short(PickPlace):
    """The task, for so short a time that nobody can do it."""

    horizon: ClassVar[int] = 40


def short(opened: Opened, policies: Sequence[Policy], gone: Event, hand: Hand) -> Rig:
    rig = rig_of(opened, policies, gone, hand=hand)
    assert isinstance(rig, TwinRig)
    rig.arm.task = Short()
    return rig


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Closed, list[View]]:
    """A closed session, and everything that its operator saw."""
    folder = tmp_path_factory.mktemp("twin")
    collect(Collection(task="pick_place"), 1, folder / "data", 1)
    lock_session(folder / "s", SOURCES, BLOCKS, share=0.5, data=str(folder / "data"))
    views: list[View] = []
    opened = open_session(folder / "s")
    hand = careful(slips=1.0, seed=0, zones=("target",))
    with Session(opened, partial(short, hand=hand)) as session:
        script = Script(eyes_of(session), who="kim", slips=0.5, blinks=0.0, seed=1)
        pictures = []

        def look(view: View) -> None:
            views.append(view)
            pictures.extend(session.picture(name) for name in view.pictures)

        operate(session, script, look)
        assert any(data[:4] == b"\x89PNG" for data in pictures)
        assert any(data[4:8] == b"ftyp" for data in pictures)
    return read_closed(folder / "s"), views


def test_every_check_of_the_preflight_has_evidence_or_a_reason(
    ended: tuple[Closed, list[View]],
) -> None:
    checks = {check["name"]: check for check in ended[0].checks}
    assert {name for name, check in checks.items() if check["outcome"] == "pass"} == {
        "files", "disk", "clock", "arm", "watchdog", "temperature", "stop", "home", "bus",
        "light", "picture", "canary",
    }  # fmt: skip
    reasons = {n: c["text"] for n, c in checks.items() if c["outcome"] == "does not apply"}
    assert reasons == {
        "gate": "the twin needs no verdict",
        "cameras": "the policies read no picture",
        "board": "the twin's cameras cannot move",
    }
    assert checks["stop"]["evidence"]["ends"] == "stopped"
    assert checks["canary"]["evidence"]["rms_rad"] < 0.05
    assert len(checks["temperature"]["evidence"]["degrees"]) == 7


def test_a_reset_is_measured_and_put_right_before_a_trial_runs(
    ended: tuple[Closed, list[View]],
) -> None:
    closed, views = ended
    wrong = [view for view in views if view.phase == "reset" and "move" in " ".join(view.detail)]
    assert len(wrong) >= 2 * BLOCKS
    for trial in closed.trials:
        cube = trial.placed["objects"]["cube"]
        assert trial.placed["ok"]
        assert 0 < cube["off_mm"] <= 5.0


def test_the_sealed_runs_are_of_the_twin_and_never_with_simulation(
    ended: tuple[Closed, list[View]],
) -> None:
    closed, _ = ended
    assert len(closed.runs) == 2
    loaded = []
    for name, folder in closed.runs.items():
        assert verify_run(folder) == []
        run = read_run(folder)
        assert run.manifest["world"] == "twin"
        assert run.manifest["policy"]["name"] == name
        assert run.manifest["session"]["lock"] == closed.lock["hash"]
        assert [trial["key"]["ic"] for trial in run.trials] == list(range(BLOCKS))
        for trial in run.trials:
            assert trial["operator"]["success"] == trial["success"]
            assert 1 <= trial["steps"] <= 40
        loaded.append(load_run(folder))
    assert [table.world for table in make_tables(loaded)] == ["twin"]
    assert not any(run.problems for run in loaded)


def test_what_a_report_needs_is_there(ended: tuple[Closed, list[View]]) -> None:
    closed, _ = ended
    assert {(t.policy, t.ic) for t in closed.trials} == {
        (name, ic) for name in closed.policies for ic in range(BLOCKS)
    }
    assert closed.agreement["second"].n == 2
    assert closed.agreement["automatic"].agree == 1.0
    assert all(trial.labels is not None and trial.counted for trial in closed.trials)
    filmed = [trial for trial in closed.trials if trial.film]
    assert len(filmed) == 2
    assert all((closed.folder / trial.film).is_file() for trial in filmed)
    assert {look.decision for look in closed.path} <= {"continue", "undecided"}
    json.dumps(closed.to_json(), allow_nan=False)
    assert all(np.isfinite(trial.duration_s) for trial in closed.trials)


def test_labels_taken_back_are_told_as_deviations(ended: tuple[Closed, list[View]]) -> None:
    closed, views = ended
    undone = [note for note in closed.deviations if "were taken back" in note]
    assert undone
    assert not any(v.suggestion for v in views if v.phase in ("label", "labelled") and v.trial == 1)


def test_a_closed_session_is_only_shown(ended: tuple[Closed, list[View]]) -> None:
    folder: Path = ended[0].folder
    before = (folder / "events.jsonl").read_bytes()
    with Session(open_session(folder)) as session:
        assert session.view().phase == "closed"
    assert (folder / "events.jsonl").read_bytes() == before


def test_the_decision_replays_from_the_sealed_runs_by_the_rule_of_the_session(
    ended: tuple[Closed, list[View]],
) -> None:
    closed, _ = ended
    first = closed.path[-1]
    found = decide(closed.runs[first.first], closed.runs[first.second], "nominal")
    assert found.test.rule.n_max == BLOCKS
    assert (found.test.wins, found.test.losses) == (first.wins, first.losses)
    assert found.test.decision.value == first.decision


def test_trials_on_an_arm_cannot_be_run_again(ended: tuple[Closed, list[View]]) -> None:
    closed, _ = ended
    name = next(iter(closed.runs))
    assert verify(closed.runs[name]).how == "seals"
    with pytest.raises(UsageError, match="was made on an arm"):
        verify(closed.runs[name], policy="floor:hold")
