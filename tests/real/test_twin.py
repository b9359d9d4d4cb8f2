"""The twin: mechanics behind emulated motors, what is true of them, other ways of driving them."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from envs.errors import UsageError
from envs.tasks import TASKS
from real.connect import connect
from real.emulators.dynamixel_chain import setups
from real.emulators.dynamixel_plant import Drive
from real.emulators.twin import ClockTwin, Twin, TwinSetup
from real.emulators.twin_plant import DamiaoTwinPlant, DynamixelTwinPlant, Scenery
from real.shared_block import SharedBlock

TASK = TASKS["pick_place"]

SDK = "dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'"


def plant(robot: str, folder: Path) -> DynamixelTwinPlant:
    pytest.importorskip("dynamixel_easy_sdk", reason=SDK)
    from real.dynamixel_arms import WIRINGS

    made = setups(WIRINGS[robot])
    return Scenery("pick_place", robot, folder / "truth")(made)


def held(plant: DynamixelTwinPlant, kind: str = "off", target: float = 0.0) -> list[Drive]:
    return [Drive(kind, target, 4.0)] * len(plant.shafts)  # type: ignore[arg-type]


@pytest.mark.parametrize("robot", ["viperx", "koch"])
def test_shafts_lie_where_the_sleeping_arm_is_and_fall_without_torque(
    robot: str, tmp_path: Path
) -> None:
    made = plant(robot, tmp_path)
    motions = made.step(held(made), 0.005)
    for shaft, motion in zip(made.shafts, motions, strict=True):
        ticks = 2048 + shaft.side * motion.angle * 4096 / (2 * np.pi)
        truth = made.scene.positions[shaft.column]
        assert shaft.joint.value(ticks) == pytest.approx(truth, abs=1e-9)
        assert motion.current == 0.0


def test_current_and_pwm_turn_a_joint_and_a_pair_pulls_as_one(tmp_path: Path) -> None:
    made = plant("viperx", tmp_path)
    for kind, much in (("current", 1.0), ("pwm", 0.5), ("velocity", 1.0)):
        before = made.scene.positions[0]
        drives = held(made)
        drives[0] = Drive(kind, much, 4.0)  # type: ignore[arg-type]
        for _ in range(60):
            motions = made.step(drives, 0.005)
        assert made.scene.positions[0] > before + 0.05
        assert motions[0].speed > 0
    drives = held(made)
    drives[1] = drives[2] = Drive("current", 0.0, 4.0)  # the pair of the shoulder, opposite
    drives[1], drives[2] = Drive("current", -3.0, 4.0), Drive("current", 3.0, 4.0)
    start = made.scene.positions[1]
    for _ in range(60):
        motions = made.step(drives, 0.005)
    assert abs(made.scene.positions[1] - start) > 0.02
    assert motions[1].angle == pytest.approx(-motions[2].angle, abs=1e-9)


def test_the_truth_is_shared_and_the_scene_is_set_up_anew() -> None:
    pytest.importorskip("dynamixel_easy_sdk", reason=SDK)
    with ClockTwin() as twin:
        start = TASK.sample(np.random.default_rng(5), twin.truth.world.arm)
        twin.set_up(start)
        assert twin.truth.start() == start
        poses = twin.truth.poses()
        np.testing.assert_allclose(poses["cube"], start.objects["cube"], atol=1e-9)
        np.testing.assert_allclose(poses["target"], start.objects["target"], atol=1e-9)
        assert twin.truth.read()["begun"] > 1
        assert twin.truth.snapshot().start == start


def test_a_twin_in_a_process_of_its_own_is_there_and_set_up() -> None:
    pytest.importorskip("dynamixel_easy_sdk", reason=SDK)
    with Twin(TwinSetup(robot="koch")) as twin:
        assert os.path.exists(str(twin.address.port))  # noqa: PTH110  (a device)
        start = TASK.sample(np.random.default_rng(5), twin.truth.world.arm)
        twin.set_up(start)
        assert twin.truth.start() == start
        assert twin.bus is not None
        assert set(twin.bus.servos()) == {1, 2, 3, 4, 5, 6}
        bad = TASK.sample(np.random.default_rng(5), twin.truth.world.arm)
        object.__setattr__(bad, "factors", {"wind": {}})
        with pytest.raises(UsageError, match="unknown variation 'wind'"):
            twin.set_up(bad)


def test_an_arm_without_emulated_motors_has_no_twin() -> None:
    with pytest.raises(UsageError, match="'viperx_pair' has no twin; known: koch, openarm, viperx"):
        Twin(TwinSetup("transfer"))


def test_motors_of_an_openarm_hold_it_against_gravity_by_torque(tmp_path: Path) -> None:
    from envs.statics import Statics
    from real.openarm import OPENARM_RIGHT

    made = DamiaoTwinPlant(Scenery("pick_place", "openarm", tmp_path / "truth"))
    statics = Statics("openarm")
    home = np.array(statics.spec.home)
    at = np.array([m.to_motor(q) for m, q in zip(OPENARM_RIGHT, home, strict=True)])
    kp, kd = (np.array([getattr(m, gain) for m in OPENARM_RIGHT]) for gain in ("kp", "kd"))
    scale = np.array([m.scale for m in OPENARM_RIGHT])
    for _ in range(2000):
        joints = np.array([m.to_joint(q) for m, q in zip(OPENARM_RIGHT, made.q, strict=True)])
        torque = kp * (at - made.q) - kd * made.dq + statics.gravity(joints) / scale
        made.step(np.clip(torque, -20, 20), 0.001)
    assert np.abs(made.q - at)[:7].max() < 0.03
    for _ in range(600):
        made.step(np.zeros(8), 0.001)
    assert np.abs(made.q - at)[:7].max() > 0.1  # without torque it falls


def test_time_passes_on_the_twins_clock_only_while_somebody_waits() -> None:
    pytest.importorskip("dynamixel_easy_sdk", reason=SDK)
    with ClockTwin() as twin:
        arm = connect(twin.address)
        arm.keep()
        now = twin.now()
        arm.keep()
        assert twin.now() == pytest.approx(now + 0.02, abs=2e-3)
        assert twin.truth.read()["time"][0] == pytest.approx(twin.now(), abs=0.05)
        arm.close()


# -- shared memory


def test_a_reader_never_sees_half_of_a_write(tmp_path: Path) -> None:
    block = SharedBlock.create(tmp_path / "block", {"a": (50,), "b": (1,)}, 100)
    reader, end = SharedBlock(tmp_path / "block"), threading.Event()

    def write() -> None:
        k = 0
        while not end.is_set():
            k += 1
            block.write(f"{k}", a=np.full(50, k), b=float(k))

    writer = threading.Thread(target=write)
    block.write("0", a=np.zeros(50), b=0.0)
    writer.start()
    try:
        for _ in range(300):
            values, text = reader.read()
            assert (values["a"] == values["b"]).all()
            assert float(text) == values["b"][0]
    finally:
        end.set()
        writer.join()
    with pytest.raises(ValueError, match="at most 100 bytes"):
        block.write("x" * 101)
    with pytest.raises(UsageError, match="nothing is shared"):
        SharedBlock(tmp_path / "nothing")


def test_a_writer_that_died_in_the_middle_is_told(tmp_path: Path) -> None:
    block = SharedBlock.create(tmp_path / "block", {"a": (1,)})
    block._count[0] += 1
    with pytest.raises(ConnectionError, match="middle of a write"):
        SharedBlock(tmp_path / "block").read()
