"""Predictions while the arm moves: the same commands as with a simulated delay, late ones, ends."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.deployment import Deployment
from benchmarks.deployment_site import TWIN, duty_of, twin_site, work_of
from benchmarks.drive import POLICY_ERROR, SERVER_GONE, Pilot
from benchmarks.execution import Execution
from benchmarks.real_trial import RealTrial, Trials
from envs.arm import Array
from envs.collect import collect
from envs.collection import Collection
from envs.episode import read_episode
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.background import THREAD
from policies.base import PolicySpec
from policies.checkpoint import load_checkpoint
from policies.remote import PolicyGoneError
from policies.train import train
from policies.train_config import TrainConfig
from real.address import ArmAddress
from real.control import FarArm
from real.emulators.dynamixel import Emulated
from real.emulators.dynamixel_wire import Timing, VirtualPort
from real.emulators.twin import TwinSetup
from real.real_arm import RealArm
from real.teleop.later import LaterAlbum
from scripts.main import main

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
STEPS, EXECUTE, DELAY = 24, 8, 4
PATIENCE = 60.0  # of a test that would otherwise hang [s]
ARM = ROBOTS["viperx"].spec()
START = Collection("pick_place").start(0)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch):
    """Episodes of the task end soon, and no thread is left behind."""
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", STEPS)
    yield
    assert [one for one in threading.enumerate() if one.name.startswith(THREAD)] == []


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that has hardly learnt anything: it stays near where it is."""
    folder = tmp_path_factory.mktemp("deployment_delay")
    collect(Collection(task="pick_place"), 3, folder / "data", 1)
    config = TrainConfig(
        algo="diffusion", data=folder / "data", out=folder / "diffusion", preset="quick-delta",
        steps=2, batch=2, validation=0.3, device="cpu", chunk=16,
    )  # fmt: skip
    return train(config)


WORDS = ("--execute", str(EXECUTE), "--delay", str(DELAY), "--ddim-steps", "2")


def test_the_same_is_sent_as_with_a_simulated_delay(policy: Path, tmp_path: Path) -> None:
    told = ["deploy", "--policy", str(policy), "--twin", "--episodes", "2", *WORDS]
    assert main([*told, "--out", str(tmp_path / "background")]) == 0
    out = tmp_path / "simulated"
    loaded, collection = work_of(load_checkpoint(policy), "", "")
    loaded.algorithm.use_steps(2)
    controller = Execution(EXECUTE, delay=DELAY).controller(loaded)
    with (
        LaterAlbum(out, collection, {"operator": "policy"}) as album,
        twin_site(TwinSetup(), loaded, duty_of(loaded, str(policy), TWIN, out, True)) as site,
    ):
        Deployment(site.arm, controller, album, site.duty, site.oversight).run(2)
    for index in range(2):
        here, there = (
            read_episode(tmp_path / kind / "failed" / f"episode_{index}.hdf5")
            for kind in ("background", "simulated")
        )
        assert here.log is not None
        assert there.log is not None
        np.testing.assert_array_equal(here.log.asked, there.log.asked)
        np.testing.assert_array_equal(here.actions, there.actions)
        np.testing.assert_array_equal(here.observations["qpos"], there.observations["qpos"])
        begun, taken = (np.flatnonzero(one.log.predicted) for one in (there, here))
        assert begun.tolist() == [0, 8, 16]
        assert taken.tolist() == [4, 12, 20]
        np.testing.assert_array_equal(here.log.chunks, there.log.chunks)
        assert (here.log.latency[taken] > 0).all()
        np.testing.assert_array_equal(here.log.asked[4:12], here.log.chunks[0, 4:12])
        execution = json.loads(here.meta.deployment)["execution"]
        assert execution == {
            "execute": EXECUTE, "ensemble": None, "batch": 1, "delay": DELAY, "ddim_steps": 2,
        }  # fmt: skip


def test_a_person_who_takes_over_and_a_new_plan_find_the_thread_idle(
    policy: Path, tmp_path: Path
) -> None:
    words = ["deploy", "--policy", str(policy), "--twin", "--episodes", "2", "--rescue", "0.2"]
    assert main([*words, *WORDS, "--out", str(tmp_path)]) == 0
    for path in (*tmp_path.glob("episode_*.hdf5"), *tmp_path.glob("failed/*.hdf5")):
        log = read_episode(path).log
        assert log is not None
        ((taken, _),) = log.interventions
        assert np.flatnonzero(log.predicted).tolist() == [4]  # begun at 0; that of 8 is not taken
        assert EXECUTE < taken < EXECUTE + DELAY + 2


class Hasty(Deployment):
    """Ctrl-C comes while a prediction is computed."""

    def _watch(self, period) -> bool:
        if self._take is not None and len(self._take.stamps) == EXECUTE:
            raise KeyboardInterrupt
        return super()._watch(period)


def test_ctrl_c_keeps_the_episode_and_leaves_no_thread(policy: Path, tmp_path: Path) -> None:
    loaded, collection = work_of(load_checkpoint(policy), "", "")
    with (
        pytest.raises(KeyboardInterrupt),
        Execution(EXECUTE, delay=DELAY).driving(loaded) as controller,
        LaterAlbum(tmp_path, collection, {"operator": "policy"}) as album,
        twin_site(TwinSetup(), loaded, duty_of(loaded, str(policy), TWIN, tmp_path, True)) as site,
    ):
        Hasty(site.arm, controller, album, site.duty, site.oversight).run(5)
    episode = read_episode(tmp_path / "failed" / "episode_0.hdf5")
    assert (len(episode), episode.meta.failure) == (EXECUTE, "interrupted")


class Ramp:
    """Turns the waist from where it is; the second prediction waits, or raises."""

    name = "ramp"

    def __init__(self, error: Exception | None = None) -> None:
        self.spec = PolicySpec(
            "viperx", ARM.joints, ARM.control_hz, "pick_place", "state", {"qpos": (ARM.n,)}, 1,
            16, EXECUTE,
        )  # fmt: skip
        self.error = error
        self.asked, self.go = threading.Event(), threading.Event()

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        self.calls = 0

    def act(self, obs: Mapping[str, Array]) -> Array:
        self.calls += 1
        if self.calls == 2:
            self.asked.set()
            assert self.go.wait(PATIENCE)
            if self.error is not None:
                raise self.error
        at = np.array(START.qpos) + 0.005 * EXECUTE * (self.calls - 1) * np.eye(ARM.n)[0]
        way = at + 0.005 * np.arange(16)[:, None] * np.eye(ARM.n)[0]
        return way[None].astype(np.float32)


def clock_port() -> VirtualPort:
    """A port with servos on a clock of their own, made where it is driven."""
    return VirtualPort(Emulated("viperx").chain(0.0), Timing())


@pytest.fixture(scope="module")
def far():
    arm = FarArm(ArmAddress("viperx", clock_port))
    yield arm
    arm.close()


def run(far: FarArm, policy: Ramp, during: Any = lambda arm: None) -> RealTrial:
    """Run a trial; until ``during`` returns, the policy waits at its second prediction."""
    arm = RealArm(far, TASKS["pick_place"])
    found: list[RealTrial] = []
    with Execution(EXECUTE, delay=DELAY).driving(policy) as controller:
        trials = Trials(arm, Pilot(controller))
        thread = threading.Thread(target=lambda: found.append(trials.run(START)))
        thread.start()
        assert policy.asked.wait(PATIENCE)
        during(arm)
        policy.go.set()
        thread.join(PATIENCE)
    return found[0]


def until(condition: Any) -> None:
    last = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < last, "waited in vain"


def test_a_late_prediction_is_waited_for_held_and_counted(far: FarArm) -> None:
    quick = run(far, Ramp())
    assert (quick.ends, len(quick.actions)) == ("", STEPS)
    held: list[int] = []

    def late(arm: RealArm) -> None:
        until(lambda: arm.clock == EXECUTE + DELAY)  # all that was committed to is carried out
        ticks, begun = (lambda: int(far._state.read()[0]["tick"][0])), time.monotonic()
        first = ticks()
        until(lambda: ticks() > first + 20 and time.monotonic() > begun + 3 / ARM.control_hz)
        held.append(arm.clock)

    trial = run(far, Ramp(), late)
    assert held == [EXECUTE + DELAY]
    assert (trial.ends, trial.lost >= 1) == ("", True)
    np.testing.assert_array_equal(trial.actions, quick.actions)
    assert trial.periods[EXECUTE + DELAY] > 3 / ARM.control_hz
    assert (trial.predicting > 0).nonzero()[0].tolist() == [4, 12, 20]


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (RuntimeError("no idea"), POLICY_ERROR),
        (PolicyGoneError("the line is cut"), SERVER_GONE),
    ],
)
def test_what_a_prediction_raises_ends_the_trial_and_not_the_next(
    far: FarArm, error: Exception, ends: str
) -> None:
    policy = Ramp(error)
    trial = run(far, policy)
    assert (trial.ends, str(error) in trial.reason) == (ends, True)
    assert len(trial.actions) == EXECUTE + DELAY  # what was committed to is carried out
    policy.error = None
    assert run(far, policy).ends == ""


def test_a_stop_meanwhile_is_obeyed_and_leaves_no_thread(far: FarArm) -> None:
    trial = run(far, Ramp(), lambda arm: far.stop.press("the test"))
    far.resume()
    assert trial.ends == "stopped"
    assert len(trial.actions) <= EXECUTE + DELAY + 1


def test_a_verdict_without_the_delay_is_refused(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.gate.check import NAMES, PASS, passed
    from benchmarks.gate.run import GateConfig, Passage, write_verdict

    checks = tuple(passed(name, "fine") for name in NAMES)
    passage = Passage(PASS, "", checks, 1.0, Execution(EXECUTE))
    verdict = write_verdict(passage, GateConfig(policy), tmp_path)
    words = ["deploy", "--policy", str(policy), "--out", str(tmp_path / "log"), *WORDS]
    assert main([*words, "--port", "none", "--verdict", str(verdict)]) == 2
    told = capsys.readouterr().err
    assert f"given under delay 0, ddim_steps own, this runs with delay {DELAY}, ddim" in told
    passage = replace(passage, execution=Execution(EXECUTE, delay=DELAY, ddim_steps=2))
    write_verdict(passage, GateConfig(policy), tmp_path)
    assert main([*words, "--port", "none", "--verdict", str(verdict)]) == 2
    assert "nobody sees it" in capsys.readouterr().err  # permitted: the next check refuses it
