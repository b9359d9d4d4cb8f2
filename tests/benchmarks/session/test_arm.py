"""A session on an arm of which nobody knows the truth: a person sets up and judges."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from benchmarks.records import read_run, verify_run
from benchmarks.session.arm_rig import ArmRig, OnArm
from benchmarks.session.closing import read_closed
from benchmarks.session.lock import Driver, Terms, artefact_of, make_lock
from benchmarks.session.opening import Opened, open_session
from benchmarks.session.rig import Rig
from benchmarks.session.rigs import rig_of
from benchmarks.session.script import Script, operate
from benchmarks.session.session import Session
from envs.errors import UsageError
from policies.base import Policy
from real.address import ArmAddress
from real.calibration import Calibration, JointCalibration
from real.connect import connect
from real.emulators.twin import ClockTwin, TwinSetup
from real.emulators.twin_table import TwinPicture
from real.machine import MachineError
from real.real_arm import Senses
from tests.benchmarks.made_checkpoint import make_checkpoint
from tests.benchmarks.session.stand_in import MADE
from tests.benchmarks.session.test_session_twin import Short

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)


def locked(folder: Path, source: str, **more: Any) -> Opened:
    terms = Terms(
        "arm", "real", "pick_place/v1", "viperx", 1, share=1.0,
        results=str(folder / "evaluations"), reach={"port": "/dev/ttyUSB9"}, **more,
    )  # fmt: skip
    driver = Driver("zebra", source, artefact_of(source), override="a test without a gate")
    make_lock(folder / "s", terms, [driver], MADE)
    return open_session(folder / "s")


def frames() -> dict[str, TwinPicture]:
    picture = np.full((48, 64, 3), 90, np.uint8)
    return {"overhead": TwinPicture(picture, 1, 0.0)}


def test_a_person_judges_and_what_nobody_measured_is_said(tmp_path: Path) -> None:
    opened = locked(tmp_path, "floor:hold")
    twin = ClockTwin(TwinSetup())

    def rig(opened: Opened, policies: Sequence[Policy], gone: Event) -> Rig:
        manner = OnArm(Short(), opened.start(0), opened.folder, gone=gone)
        return ArmRig(connect(twin.address), policies, manner, Senses(frames))

    with twin, Session(opened, rig) as session:
        said = {"success": False, "stage": 1, "failure": "missed_grasp"}
        details: list[str] = []
        operate(
            session, Script(lambda view: said, who="kim"),
            lambda view: details.extend(view.detail),
        )  # fmt: skip
    closed = read_closed(tmp_path / "s")
    assert any("nothing measures it" in line for line in details)
    assert any("check canary was waived" in note for note in closed.deviations)
    (trial,) = closed.trials
    assert trial.labels is not None
    assert (trial.labels.success, trial.labels.failure) == (False, "missed_grasp")
    assert trial.automatic["success"] is None
    assert trial.placed["objects"]["cube"]["off_mm"] is None
    assert trial.film
    assert "automatic" not in closed.agreement
    folder = closed.runs["zebra"]
    assert verify_run(folder) == []
    run = read_run(folder)
    assert run.manifest["world"] == "real"
    assert run.manifest["model_hash"] == ""
    assert run.trials[0]["permission"]["override"] == "a test without a gate"


def test_policies_that_read_what_nobody_sees_are_refused(tmp_path: Path) -> None:
    opened = locked(tmp_path, str(make_checkpoint(tmp_path / "zebra")))
    with ClockTwin(TwinSetup()) as twin:
        joints = connect(twin.address)
        manner = OnArm(Short(), opened.start(0), opened.folder)
        with pytest.raises(UsageError, match="the policy reads where cube is, and nobody sees"):
            ArmRig(joints, opened.load(), manner)
        joints.close()


@pytest.mark.parametrize(
    ("calibration", "told"), [("", "/dev/ttyUSB9"), ("koch", "the calibration is of koch")]
)
def test_an_arm_that_is_not_there_or_not_the_one_is_told_and_waited_for(
    calibration: str, told: str, tmp_path: Path
) -> None:
    if calibration:
        Calibration(calibration).save(tmp_path / "calibration.json")
        calibration = str(tmp_path / "calibration.json")
    opened = locked(tmp_path, "floor:hold", calibration=calibration)
    with Session(opened) as session:
        view = session.view()
        while view.phase != "stopped" and not any(c.value == "again" for c in view.choices):
            view = session.wait(view.number, 30.0)
        failed = {check.name: check.text for check in view.checks if check.outcome == "fail"}
        assert list(failed) == ["arm"]
        assert told in failed["arm"]


def test_a_camera_that_is_unplugged_makes_the_trial_void(tmp_path: Path) -> None:
    opened, fault = locked(tmp_path, "floor:hold"), ""
    with ClockTwin(TwinSetup()) as twin:
        manner = OnArm(Short(), opened.start(0), opened.folder)
        sees = Senses(frames, fault=lambda: fault)
        rig = ArmRig(connect(twin.address), opened.load(), manner, sees)
        rig.prepare(opened.start(0))
        fault = "overhead is unplugged"
        ran = rig.run(0, opened.start(0), 0)
        rig.close()
    assert ran.void == "invalid_hardware: overhead is unplugged"
    assert ran.told["steps"] < 40


@pytest.mark.parametrize("place", ["", "calibration.json"])
def test_the_calibration_that_was_locked_is_in_force_on_the_arm(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Calibration("viperx", {"waist": JointCalibration(2050, -1, -3.1, 3.1)})
    made.save(tmp_path / "known" / "calibration.json")
    saved = Calibration.load(tmp_path / "known" / "calibration.json")
    opened = locked(tmp_path, "floor:hold", calibration=str(tmp_path / "known" / place))
    asked: list[ArmAddress] = []

    def connected(address: ArmAddress, log: Path) -> None:
        asked.append(address)
        raise MachineError("no arm is here")

    monkeypatch.setattr("benchmarks.session.rigs.FarArm", connected)
    with pytest.raises(MachineError):
        rig_of(opened, opened.load(), Event())
    assert [address.calibration_hash for address in asked] == [saved.hash]
