"""The real arm behind ``Arm``: motors on the emulated wire, cameras, objects, the environment."""

from collections.abc import Iterator

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.arm import CameraSpec, InitialCondition
from envs.gap import Gap
from envs.sim import SimArm
from envs.tasks import TASKS
from real.connect import connect
from real.emulators.dynamixel_faults import Fault
from real.emulators.twin import ClockTwin, TwinSetup
from real.emulators.twin_table import TwinTable, twin_arm
from real.machine import MachineError
from real.real_arm import RealArm, Seen, Senses, fit, real_env
from real.safe_arm import StoppedError

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)

TASK = TASKS["pick_place"]
CAMERAS = (CameraSpec("overhead", 24, 24), CameraSpec("wrist", 24, 24))


@pytest.fixture(scope="module")
def twin() -> Iterator[ClockTwin]:
    with ClockTwin() as made:
        yield made


@pytest.fixture(scope="module")
def arm(twin: ClockTwin) -> Iterator[RealArm]:
    with twin_arm(twin) as made:
        yield made


def start_for(arm: RealArm | SimArm, seed: int = 1) -> InitialCondition:
    return TASK.sample(np.random.default_rng(seed), arm.spec)


def swing(arm: RealArm, start: InitialCondition, periods: int) -> float:
    """Swing the waist; return how far behind it was at worst [rad]."""
    worst = 0.0
    for k in range(periods):
        target = np.array(start.qpos)
        target[0] += 0.3 * np.sin(k / 8)
        worst = max(worst, abs(float(arm.command(target)["qpos"][0]) - target[0]))
    return worst


def test_gymnasium_finds_nothing_to_warn_of() -> None:
    with ClockTwin() as twin, twin_arm(twin) as arm:
        check_env(real_env(arm, normalized=True), skip_render_check=True)


def test_the_twin_moves_and_observes_as_the_simulation_does(arm: RealArm) -> None:
    sim = SimArm(TASK)
    start = start_for(sim)
    seen, wanted = arm.home(start), sim.home(start)
    assert seen.keys() == wanted.keys()
    for k in range(60):
        for key, value in wanted.items():
            assert seen[key].shape == value.shape
            assert seen[key].dtype == value.dtype
        np.testing.assert_allclose(seen["qpos"], wanted["qpos"], atol=0.03)
        np.testing.assert_allclose(seen["objects/cube"], wanted["objects/cube"], atol=2e-3)
        target = np.array(start.qpos)
        target[[0, 1]] += 0.2 * np.sin(k / 15)
        seen, wanted = arm.command(target), sim.command(target)
    assert arm.clock == sim.clock == 60
    assert arm.stage == sim.stage


def test_pictures_come_thirty_times_a_second_with_number_and_age(twin: ClockTwin) -> None:
    table = TwinTable(twin)
    with twin_arm(twin, CAMERAS) as arm:
        env = real_env(arm, "rgb_array")
        seen, _ = env.reset(seed=3)
        assert set(seen) == {"qpos", "qvel", "effort", "images/overhead", "images/wrist"}
        numbers = []
        for _ in range(50):
            seen, *_ = env.step(np.array(env.start.qpos, np.float32))
            assert all(0 <= age <= 1 / 30 + 1e-6 for age in arm.ages.values())
            numbers.append(arm.numbers["overhead"])
        assert len(set(numbers)) in (30, 31)
        assert seen["images/wrist"].std() > 5
        assert env.render().shape == (360, 480, 3)
    np.testing.assert_array_equal(
        table.picture(CAMERAS[0]), fit(table.picture(CAMERAS[0]), CAMERAS[0])
    )


def test_a_gap_is_felt_through_the_wire() -> None:
    lag = {}
    for name, gap in (("none", Gap()), ("late", Gap(latency=0.1, backlash=0.02, gain=0.8))):
        with ClockTwin(TwinSetup(gap=gap)) as twin, twin_arm(twin) as arm:
            start = start_for(arm)
            arm.home(start)
            lag[name] = swing(arm, start, 40)
    assert lag["late"] > lag["none"] + 0.02


@pytest.mark.parametrize(
    ("fault", "named"),
    [("overload@4", "elbow"), ("over_temperature@9", "gripper"), ("unplug@7", "wrist_angle")],
)
def test_a_motor_that_fails_ends_the_trial_and_is_named(fault: str, named: str) -> None:
    with ClockTwin() as twin, twin_arm(twin) as arm:
        start = start_for(arm)
        arm.home(start)
        twin.chain.inject(Fault.parse(fault))
        struck = twin.now()
        with pytest.raises(StoppedError, match=f"invalid_hardware.*{named}"):
            swing(arm, start, 50)
        rest = max(servo.moved_at for servo in twin.chain.servos if servo.motor in (1, 2))
        goals = max(servo.goal_at for servo in twin.chain.servos)
        for _ in range(20):
            arm.joints.keep()
        assert max(servo.goal_at for servo in twin.chain.servos) == goals
        assert rest - struck <= 0.25


def test_an_old_picture_or_an_object_out_of_sight_holds_the_arm(twin: ClockTwin) -> None:
    age = 0.0

    def poses() -> dict[str, Seen]:
        return {"cube": Seen(np.array([0.3, 0, 0.02, 1, 0, 0, 0]), twin.now() - age)}

    joints = connect(twin.address)
    arm = RealArm(joints, TASK, None, Senses(poses=poses, now=twin.now))
    start = start_for(arm)
    seen = arm.home(start)
    np.testing.assert_allclose(seen["objects/target"], start.objects["target"], rtol=1e-6)
    age = 1.0
    arm.observe()
    arm.command(np.array(start.qpos))
    assert joints.log.findings["stale frame"] == 1
    age = 0.0
    arm.observe()
    arm.command(np.array(start.qpos))
    assert joints.log.findings["stale frame"] == 1
    with pytest.raises(MachineError, match="no camera"):
        arm.frame(CAMERAS[0])
    arm.close()


def test_a_wide_picture_is_cut_at_its_sides_before_it_is_made_small() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 8:56] = 200
    assert (fit(image, CameraSpec("overhead", 12, 12)) == 200).all()
