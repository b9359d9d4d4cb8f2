"""The calibration file: versions, hash, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import UsageError
from real.calibration import (
    Calibration,
    CameraCalibration,
    GripperMap,
    JointCalibration,
    Reference,
)
from real.charuco import Board
from real.dynamixel_arms import VIPERX
from real.pinhole import Intrinsics, Pose

LENS = Intrinsics(640, 480, 612, 612.5, 320, 240)
CAMERA = CameraCalibration(
    LENS, 0.2, 15, "135", Pose((1, 0, 2)), Reference(Board(), Pose(), 0.1, 10, "2025-01-01")
)
FULL = Calibration(
    "viperx",
    {"waist": JointCalibration(2050, -1, -3.1, 3.1)},
    {"gripper": GripperMap(((2100, 0), (2900, 1)))},
    {"overhead": CAMERA, "wrist": CameraCalibration(LENS)},
)

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(numbers, st.integers(-5000, 5000), st.booleans())
def test_what_is_written_is_read_back_with_the_same_hash(
    place: float, zero: int, known: bool
) -> None:
    camera = replace(CAMERA, pose=Pose((place, 0, 0)) if known else None)
    made = replace(FULL, joints={"waist": JointCalibration(zero, 1, -1, 1)})
    made = made.with_camera("overhead", camera)
    again = Calibration.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made
    assert again.hash == made.hash


def test_every_save_is_a_version_that_names_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    first = FULL.save(path)
    second = first.with_camera("side", CAMERA).save(path)
    assert (first.version, second.version) == (1, 2)
    assert second.previous == first.hash != second.hash
    assert Calibration.load(path) == second
    assert Calibration.load(tmp_path / "calibration.v1.json") == first


def test_a_file_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    FULL.save(path)
    path.write_text(path.read_text().replace("2050", "2051"))
    with pytest.raises(UsageError, match="was changed by hand or is damaged"):
        Calibration.load(path)


def test_another_arms_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    FULL.save(path)
    with pytest.raises(UsageError, match="is of viperx, not of koch"):
        Calibration("koch").save(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no calibration"),
        ("[]", "no calibration"),
        ('{"hash": "x", "schema": 9}', "schema 1, got 9"),
        ('{"hash": "x", "schema": 1, "robot": "koch"}', "no calibration: 'joints'"),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        Calibration.load(path)


def test_an_absent_file_or_camera_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"calibration\.json: cannot be read: No such file"):
        Calibration.load(tmp_path / "calibration.json")
    with pytest.raises(UsageError, match="'side' is not calibrated; calibrated: overhead, wrist"):
        FULL.camera("side")


def test_the_motors_of_an_arm_take_it() -> None:
    wiring = VIPERX.calibrated(FULL.motor_fields())
    waist, gripper = wiring.motors[0], wiring.motors[-1]
    assert (waist.zero, waist.direction) == (2050, -1)
    assert gripper.opening == ((2100, 0.0), (2900, 1.0))


def test_a_joint_or_a_gripper_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="a direction of -1 or 1"):
        JointCalibration(0, 2, -1, 1)
    with pytest.raises(UsageError, match="must lead from 0 to 1"):
        GripperMap(((0, 0.0), (1, 0.5)))
