"""Zeros, ranges and the gripper's map, found on arms whose zeros were planted elsewhere."""

from pathlib import Path

import numpy as np
import pytest

from envs.errors import UsageError
from envs.robots import ROBOTS
from real.address import ArmAddress
from real.calibration import Calibration, GripperMap, JointCalibration
from real.connect import connect, connect_motors
from real.dynamixel_arms import PER_RADIAN, WIRINGS
from real.emulators.dynamixel import Emulated
from real.emulators.dynamixel_chain import Chain
from real.emulators.dynamixel_wire import Timing, VirtualPort
from real.joint_calibration import Motors, Swept, at_rest, gripper_of, joints_of, motors_of
from real.openarm import OPENARM_RIGHT, calibrated
from scripts.main import main
from tests.real.damiao_bench import Bench

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)

SHUT, WIDE = 0.15, 0.9
"""Nominal openings at which this arm's gripper is closed and open."""


class ByHand:
    """An emulated arm that lies in a person's hands; each servo's zero is off by ``planted``."""

    def __init__(self, robot: str, planted: int = 0) -> None:
        self.wiring = WIRINGS[robot]
        self.chain: Chain = Emulated(robot).chain(100.0)
        self.port = VirtualPort(self.chain, Timing())
        self.planted = [planted + 17 * k for k in range(len(self.wiring.motors))]
        for joint, offset in zip(self.wiring.motors, self.planted, strict=True):
            for servo in self.chain.servos:
                if servo.motor in joint.ids:
                    servo.memory.put("Homing Offset", offset)
        self.address = ArmAddress(robot, lambda: self.port)

    def bring(self, pose: np.ndarray) -> None:
        """Bring every joint into a pose: rad, and the nominal opening."""
        for axis, (joint, value) in enumerate(zip(self.wiring.motors, pose, strict=True)):
            self.chain.plant.angle[axis] = (joint.ticks(value) - 2048) / PER_RADIAN
        self.port.pass_time(0.05)


def measured(robot: str, planted: int) -> tuple[ByHand, Motors, Calibration]:
    """Calibrate an arm as the command does."""
    hand, motors = ByHand(robot, planted), motors_of(robot)
    spec = motors.spec
    read, close = connect_motors(hand.address)
    pose = np.array(motors.poses["home"])
    hand.bring(pose)
    rest = at_rest(read, motors)
    swept = Swept(rest)
    for ends in (spec.lower, spec.upper):
        hand.bring(np.array([*ends[:-1], 0.5]))
        swept.add(read())
    hand.bring(np.array([*pose[:-1], SHUT]))
    closed = at_rest(read, motors)[-1]
    hand.bring(np.array([*pose[:-1], WIDE]))
    wide = at_rest(read, motors)[-1]
    close()
    joints = joints_of(motors, "home", rest, swept)
    gripper = gripper_of(motors, closed, wide)
    return hand, motors, Calibration(robot, joints, {"gripper": gripper})


@pytest.mark.parametrize(("robot", "planted"), [("viperx", -60), ("koch", 300)])
def test_planted_zeros_and_ranges_are_found_to_the_tick(robot: str, planted: int) -> None:
    hand, motors, known = measured(robot, planted)
    spec = motors.spec
    assert len(known.joints) == spec.n - 1
    for k in spec.hinges.tolist():
        found = known.joints[spec.joints[k]]
        assert abs(found.zero - hand.wiring.motors[k].zero - hand.planted[k]) <= 1.0
        assert found.lower == pytest.approx(spec.lower[k], abs=0.025)
        assert found.upper == pytest.approx(spec.upper[k], abs=0.025)


@pytest.mark.parametrize(("robot", "planted"), [("viperx", -60), ("koch", 300)])
def test_an_arm_that_is_driven_by_its_calibration_is_where_it_truly_is(
    robot: str, planted: int
) -> None:
    hand, motors, known = measured(robot, planted)
    pose = np.array(motors.poses["home"])
    pose[-1] = (SHUT + WIDE) / 2
    for calibration, off in ((known, 0.002), (None, 0.05)):
        hand.bring(pose)
        address = ArmAddress(robot, lambda: hand.port, calibration=calibration)
        arm = connect(address)
        miss = np.abs(arm.observe()["qpos"] - pose)[:-1]
        assert (miss.max() < off) if calibration else (miss.max() > off)
        if calibration:
            assert arm.observe()["qpos"][-1] == pytest.approx(0.5, abs=0.03)
            assert (np.array(arm.spec.lower) >= np.array(motors.spec.lower) - 1e-9).all()
        arm.close()


def test_a_damiao_arm_takes_zeros_and_gripper_of_its_calibration() -> None:
    bench = Bench(q=np.full(8, 0.1))
    joints = {"joint3": JointCalibration(0.25, -1, -1.0, 1.0)}
    known = Calibration("openarm", joints, {"gripper": GripperMap(((0.1, 0.0), (-0.9, 1.0)))})
    motors = calibrated(OPENARM_RIGHT, known)
    assert motors[2].to_joint(0.1) == pytest.approx(0.15)
    assert motors[-1].to_joint(-0.4) == pytest.approx(0.5)
    assert motors[0] == OPENARM_RIGHT[0]
    assert known.narrow(ROBOTS["openarm"].spec()).upper[2] == 1.0
    found = bench.bus.refresh()
    assert found["joint3"].q == pytest.approx(0.1, abs=1e-3)


def test_a_joint_or_gripper_that_nobody_moved_is_named() -> None:
    motors = motors_of("koch")
    rest = np.full(6, 2048.0)
    swept = Swept(rest)
    swept.add(np.array([3000.0, 3000, 2050, 3000, 3000, 2048]))
    with pytest.raises(UsageError, match="elbow_flex: hardly moved"):
        joints_of(motors, "home", rest, swept)
    with pytest.raises(UsageError, match="close it fully first"):
        gripper_of(motors, 2100.0, 2050.0)
    with pytest.raises(UsageError, match="unknown pose 'up'; known: sleep, home, zero"):
        joints_of(motors, "up", rest, swept)
    moving = iter(np.arange(0, 1000, 20.0)[:, None] + rest)
    with pytest.raises(UsageError, match="hold the arm still"):
        at_rest(lambda: next(moving), motors)


def test_a_calibration_of_another_arm_or_range_is_refused() -> None:
    known = Calibration("koch", {"shoulder_pan": JointCalibration(2048, 1, 5.0, 6.0)})
    with pytest.raises(UsageError, match="of koch, not of viperx"):
        ArmAddress("viperx", "/dev/null", calibration=known)
    with pytest.raises(UsageError, match="shoulder_pan: its calibration has"):
        known.narrow(ROBOTS["koch"].spec())


def test_the_command_writes_a_version_by_what_a_person_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hand, motors = ByHand("koch", 120), motors_of("koch")
    spec, pose = motors.spec, np.array(motors.poses["sleep"])
    steps = iter([
        pose, None, [*spec.lower[:-1], 0.5], [*spec.upper[:-1], 0.5], None,
        [*pose[:-1], SHUT], None, [*pose[:-1], WIDE], None,
    ])  # fmt: skip

    def entered(wait_s: float) -> bool:
        """Do the next thing that the person does; None: press Enter."""
        step = next(steps)
        if step is not None:
            hand.bring(np.array(step))
        return step is None

    monkeypatch.setattr("scripts.calibrate_joints.entered", entered)
    monkeypatch.setattr("real.connect.connect_motors", lambda address: connect_motors(hand.address))
    file = tmp_path / "calibration.json"
    words = ["calibrate", "joints", "--robot", "koch", "--port", "COM1", "--file", str(file)]
    assert main(words) == 0
    known = Calibration.load(file)
    assert (known.version, len(known.joints)) == (1, 5)
    for k in range(5):
        found = known.joints[spec.joints[k]].zero
        assert found == pytest.approx(2048 + hand.planted[k], abs=1)
    assert f"hash {known.hash[:12]}" in capsys.readouterr().out
    assert main(["calibrate", "show", "--file", str(file)]) == 0
    assert "wrist_roll: zero" in capsys.readouterr().out
    assert main([*words, "--pose", "up"]) == 2
    assert "known of koch: sleep, home, zero" in capsys.readouterr().err
