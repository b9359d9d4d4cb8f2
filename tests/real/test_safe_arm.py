import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs.arm import InitialCondition
from envs.errors import UsageError
from real.machine import MachineError
from real.rules import SafetyConfig
from real.safe_arm import SafeArm, StoppedError
from real.safety_log import SafetyLog
from real.stop import Heartbeat, Reaction, StopBoard
from real.verdict import Verdict
from tests.real.damiao_bench import Bench, at_home
from tests.real.machines import TOY, Clock, FakeMachine, free

ROOT = Path(__file__).resolve().parents[2]
START = InitialCondition(TOY.home, {})
FAR = np.array([-1.0, 1.5, 0.2])


class Rig:
    """A safe arm on a machine in memory."""

    def __init__(self, q=TOY.home, clearance=free, log=None, **settings) -> None:
        self.clock = Clock()
        self.machine = FakeMachine(TOY, self.clock, np.array(q, float))
        self.stop = StopBoard()
        self.arm = SafeArm(
            self.machine,
            clearance,
            SafetyConfig(**settings),
            self.stop,
            log,
            (self.clock, self.clock.sleep),
        )

    def home(self) -> SafeArm:
        self.arm.home(START)
        return self.arm


def drive(arm, targets) -> None:
    for target in targets:
        arm.command(target)


def test_an_arm_goes_to_its_start_slowly_from_wherever_it_is() -> None:
    rig = Rig(FAR)
    seen = rig.arm.home(START)
    steps = np.diff([FAR, *rig.machine.sent], axis=0)
    assert seen["qpos"] == pytest.approx(TOY.home)
    assert seen["qpos"].dtype == np.float32
    assert (np.abs(steps) <= np.array(TOY.velocity) * 0.02 * 0.25 + 1e-9).all()
    assert np.abs(steps[0]).max() < 1e-3
    assert rig.clock.now - 100 == pytest.approx(len(rig.machine.sent) * 0.02)


def test_nothing_moves_before_the_arm_is_at_a_start_pose() -> None:
    rig = Rig(FAR)
    with pytest.raises(ValueError, match="home the arm"):
        rig.arm.command(FAR)
    with pytest.raises(UsageError, match="within the limits of toy"):
        rig.arm.home(InitialCondition((9.0, 0.5, 1.0), {}))
    assert rig.machine.sent == []


def test_an_arm_that_does_not_arrive_at_its_start_is_named() -> None:
    rig = Rig(FAR, lag=9.0)
    rig.machine.stuck = True
    with pytest.raises(StoppedError, match="start pose was not reached by base, elbow"):
        rig.arm.home(START)


def test_a_command_takes_one_control_period_and_moves_the_arm() -> None:
    rig = Rig()
    arm = rig.home()
    before = rig.clock.now
    seen = arm.command(np.array([0.01, 0.5, 1.0]))
    assert rig.clock.now - before == pytest.approx(0.02)
    assert 0 < seen["qpos"][0] <= 0.01
    assert arm.outcome.verdict <= Verdict.CLAMPED


def test_three_bad_actions_end_the_trial_and_the_arm_stays_where_it_is() -> None:
    rig = Rig()
    arm = rig.home()
    for _ in range(2):
        arm.command(np.full(3, np.nan))
    with pytest.raises(StoppedError, match="rejected: not finite: target of base") as caught:
        arm.command(np.full(3, np.nan))
    assert caught.value.ends == "rejected"
    for _ in range(5):
        arm.keep()
    assert (np.array(rig.machine.sent[-8:]) == TOY.home).all()
    with pytest.raises(StoppedError):
        arm.command(np.array(TOY.home))


def test_hold_keeps_the_motors_on_and_a_new_trial_begins_after_it_is_released() -> None:
    rig = Rig()
    arm = rig.home()
    rig.stop.press("space key")
    with pytest.raises(StoppedError, match="stopped: emergency stop of space key"):
        arm.command(np.array(TOY.home))
    arm.keep()
    assert rig.machine.on
    arm.resume()
    with pytest.raises(ValueError, match="home the arm"):
        arm.command(np.array(TOY.home))
    arm.home(START)
    arm.command(np.array(TOY.home))
    assert arm.ends == ""


def test_limp_switches_the_torque_off_until_the_arm_is_switched_on_where_it_lies() -> None:
    rig = Rig()
    arm = rig.home()
    rig.stop.press("browser", Reaction.LIMP)
    with pytest.raises(StoppedError):
        arm.command(np.array(TOY.home))
    rig.stop.release()
    sent = len(rig.machine.sent)
    arm.keep()
    assert not rig.machine.on
    assert len(rig.machine.sent) == sent
    rig.machine.q = FAR.copy()
    arm.resume()
    arm.home(START)
    assert rig.machine.sent[sent] == pytest.approx(FAR, abs=2e-3)


def test_a_stop_that_is_still_asked_for_cannot_be_left() -> None:
    rig = Rig()
    clock = rig.clock
    beat = Heartbeat(0.1, "policy", clock)
    rig.stop.sources.append(beat)
    arm = rig.home()
    beat.beat()
    clock.sleep(0.2)
    arm.keep()
    assert arm.ends == "stopped"
    with pytest.raises(StoppedError, match="lost heartbeat of policy still asks for hold"):
        arm.resume()
    beat.beat()
    arm.resume()


def test_a_motor_without_an_answer_holds_and_ends_the_trial_within_250_ms() -> None:
    rig = Rig()
    arm = rig.home()
    rig.machine.silent = ("elbow",)
    since = rig.clock.now
    with pytest.raises(StoppedError, match="invalid_hardware: no answer of elbow") as caught:
        drive(arm, [np.array([0.01 * k, 0.5, 1.0]) for k in range(100)])
    assert caught.value.ends == "invalid_hardware"
    assert rig.clock.now - since <= 0.25
    assert rig.machine.sent[-1][0] < 0.05
    with pytest.raises(MachineError, match="elbow"):
        arm.resume()


def test_a_single_lost_answer_is_flagged_and_the_trial_goes_on() -> None:
    rig = Rig()
    arm = rig.home()
    rig.machine.silent = ("elbow",)
    arm.command(np.array(TOY.home))
    rig.machine.silent = ()
    arm.command(np.array(TOY.home))
    assert arm.outcome.verdict is Verdict.HELD
    arm.command(np.array(TOY.home))
    assert arm.outcome.verdict is Verdict.PASSED


def test_an_action_that_comes_late_is_not_carried_out_the_next_one_is() -> None:
    rig = Rig()
    arm = rig.home()
    rig.clock.sleep(0.5)
    arm.command(np.array([0.02, 0.5, 1.0]))
    assert [found.what for found in arm.outcome.findings] == ["late action"]
    assert rig.machine.sent[-1] == pytest.approx(TOY.home)
    arm.command(np.array([0.02, 0.5, 1.0]))
    assert rig.machine.sent[-1][0] > 0


def test_a_faulty_motor_is_named_and_gets_no_new_goal() -> None:
    rig = Rig()
    arm = rig.home()
    rig.machine.faults["elbow"] = "overload"
    arm.command(np.array([0.01, 0.5, 1.0]))
    held = rig.machine.sent[-1]
    with pytest.raises(StoppedError, match=r"motor fault \(overload\) of elbow"):
        arm.command(np.array([0.3, 0.5, 1.0]))
    for _ in range(10):
        arm.keep()
    assert rig.machine.sent[-1] == pytest.approx(held, abs=0.02)


def test_a_machine_without_a_watchdog_is_not_driven() -> None:
    rig = Rig()
    rig.machine.watchdog_s = None
    with pytest.raises(StoppedError, match="invalid_hardware: watchdog"):
        rig.arm.home(START)


def test_the_log_names_what_was_found(tmp_path) -> None:
    log = SafetyLog(tmp_path / "safety.jsonl")
    rig = Rig(log=log)
    arm = rig.home()
    arm.command(np.array([1.0, 0.5, 1.0]))
    arm.command(np.array([0.4, 0.5, 1.0]))
    arm.close()
    lines = [json.loads(line) for line in (tmp_path / "safety.jsonl").read_text().splitlines()]
    jump = next(line for line in lines if line["verdict"] == "rejected")
    assert jump["findings"][0]["text"] == "jump of base: 1 rad, limit 0.5"
    assert lines[-1]["findings"][0]["what"] == "velocity"
    assert log.verdicts["rejected"] == 1
    assert rig.machine.closed


def test_an_openarm_runs_behind_the_chain_on_the_emulated_bus_in_spite_of_losses() -> None:
    bench = Bench(seed=1, q=at_home())
    arm = SafeArm(bench.arm(), free, timer=(bench.clock, bench.clock.sleep))
    home = np.array(arm.spec.home)
    arm.home(InitialCondition(arm.spec.home, {}))
    for motor in bench.motors.motors:
        motor.trouble.loss = 0.01
    held = 0
    for k in range(150):
        goal = home + 0.2 * np.sin(2 * np.pi * 0.5 * k / 50) * (np.arange(8) < 7)
        seen = arm.command(goal)
        held += arm.outcome.verdict >= Verdict.HELD
    assert arm.ends == ""
    assert held <= 3
    assert np.abs(seen["qpos"] - goal)[:7].max() < 0.1
    bench.motors["joint4"].trouble.unplugged = True
    with pytest.raises(StoppedError, match="no answer of joint4"):
        drive(arm, [goal] * 20)
    for _ in range(50):
        arm.keep()
    statuses = {motor.motor.name: motor.status for motor in bench.motors.motors}
    assert statuses.pop("joint4") == 0
    assert set(statuses.values()) == {1}  # the others are held, and are told so
    assert arm._lost == ("joint4",)
    with pytest.raises(MachineError, match="joint4"):
        arm.resume()
    bench.motors["joint4"].trouble.unplugged = False
    arm.resume()
    arm.home(InitialCondition(arm.spec.home, {}))
    arm.close()
    assert {motor.status for motor in bench.motors.motors} == {0}


# --- the only way ---------------------------------------------------------------------------------


def where(pattern: str) -> set[str]:
    """Return the files of what may drive an arm that hold ``pattern``."""
    paths = (
        path for name in ("real", "benchmarks", "scripts") for path in ROOT.glob(f"{name}/**/*.py")
    )
    return {str(p.relative_to(ROOT)) for p in paths if re.search(pattern, p.read_text("utf-8"))}


def test_only_the_chain_clears_targets_and_only_the_safe_arm_drives_a_machine() -> None:
    assert where(r"[^`\w]Cleared\(") == {"real/safety.py"}
    assert where(r"machine\.(drive|enable|limp)\(") == {"real/safe_arm.py"}


def test_drivers_are_imported_only_where_they_are_put_behind_the_chain() -> None:
    assert where(r"real\.damiao(_arm)? import|real import .*damiao") == {
        "real/connect.py",
        "real/damiao_arm.py",
    }
    assert where(r"real\.dynamixel(_machine)? import") == {
        "real/connect.py",
        "real/dynamixel_machine.py",
    }


def test_a_pair_of_limits_keeps_its_meaning_when_the_arm_is_narrowed() -> None:
    narrow = replace(TOY, upper=(1.0, 2.0, 1.0))
    clock = Clock()
    arm = SafeArm(FakeMachine(narrow, clock, np.array(TOY.home)), free, timer=(clock, clock.sleep))
    arm.home(START)
    for k in range(60):
        arm.command(np.array([min(0.05 * k, 1.4), 0.5, 1.0]))
    assert arm.observe()["qpos"][0] == pytest.approx(1.0, abs=1e-6)
