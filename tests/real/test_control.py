"""The control loop in a process of its own, on the clock of an emulated arm."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from envs.arm import ArmSpec, InitialCondition
from envs.errors import UsageError
from envs.tasks import TASKS
from real.address import ArmAddress
from real.control import FarArm
from real.emulators.dynamixel import Emulated
from real.emulators.dynamixel_wire import Timing, VirtualPort
from real.safe_arm import StoppedError
from real.stop import Reaction

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)


def start_for(spec: ArmSpec) -> InitialCondition:
    return TASKS["pick_place"].sample(np.random.default_rng(1), spec)


def clock_port() -> VirtualPort:
    """A port with servos on a clock of their own, made where it is driven."""
    return VirtualPort(Emulated("viperx").chain(0.0), Timing())


@pytest.fixture(scope="module")
def far() -> Iterator[FarArm]:
    arm = FarArm(ArmAddress("viperx", clock_port))
    yield arm
    arm.close()
    assert not arm.process.is_alive()


def test_an_arm_in_another_process_is_commanded_and_told_of(far: FarArm) -> None:
    start = start_for(far.spec)
    with pytest.raises(ValueError, match="home the arm"):
        far.command(np.array(start.qpos))
    seen = far.home(start)
    np.testing.assert_allclose(seen["qpos"], start.qpos, atol=0.15)
    target = np.array(start.qpos)
    for _ in range(25):
        target[0] += 0.01
        seen = far.command(target)
    assert seen["qpos"][0] > start.qpos[0] + 0.1
    rows = far.cadence()
    assert len(rows) > 25
    assert (np.diff(rows[:, 0]) > 0).all()
    verdicts, _ = far.log()
    assert verdicts["passed"] > 20


def test_a_stop_pressed_here_is_obeyed_there_until_it_is_taken_back(far: FarArm) -> None:
    start = start_for(far.spec)
    far.home(start)
    far.stop.press("the test", Reaction.HOLD)
    with pytest.raises(StoppedError, match="stopped: emergency stop of the test"):
        far.command(np.array(start.qpos))
    assert far.ends == "stopped"
    with pytest.raises(StoppedError):
        far.command(np.array(start.qpos))
    far.resume()
    far.home(start)
    far.command(np.array(start.qpos))
    assert far.ends == ""


def test_what_the_process_refuses_arrives_here(far: FarArm, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="start pose"):
        far.home(InitialCondition((9.0,) * 7, {}))
    pytest.importorskip("serial")
    with pytest.raises(UsageError, match="is the adapter plugged in"):
        FarArm(ArmAddress("viperx", str(tmp_path / "nothing")))
