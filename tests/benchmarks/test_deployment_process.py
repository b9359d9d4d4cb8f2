"""Deployments in processes of their own: a kill in the middle, and an arm behind a serial port."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.deployment import Deployment
from benchmarks.deployment_log import logged_episodes
from benchmarks.deployment_site import Lead, arm_site, duty_of, work_of
from envs.collect import collect
from envs.collection import Collection
from envs.episode import read_episode
from envs.tasks import TASKS
from policies.checkpoint import load_checkpoint
from policies.chunking import Controller
from policies.train import train
from policies.train_config import TrainConfig
from real.address import PATIENT, ArmAddress
from real.calibration import Calibration
from real.control import FarArm
from real.emulators.twin import Twin
from real.real_senses import Eyes
from real.teleop.later import LaterAlbum

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
STEPS = 25


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that reads the joints alone and stays near where it is."""
    folder = tmp_path_factory.mktemp("deployment")
    collect(Collection(task="pick_place"), 2, folder / "data", 1)
    blind = TrainConfig("bc", folder / "data", folder / "bc", preset="quick-delta", steps=1)
    return train(dataclasses.replace(blind, blind=True))


def test_a_kill_in_the_middle_loses_no_finished_episode(policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "log"
    code = (
        "import sys; from envs.tasks import TASKS; from scripts.main import main\n"
        f"type(TASKS['pick_place']).horizon = {STEPS}\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["deploy", "--policy", str(policy), "--out", str(out), "--twin", "--episodes", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    done = 0
    for line in process.stdout:
        done += "of 1000: episode" in line
        if done == 2 and line.startswith("Episode 2"):
            break
    deadline = time.monotonic() + 120
    running = out / "recording" / "episode_2.hdf5.journal"
    while not running.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    _, collection = work_of(load_checkpoint(policy), "", "")
    who = json.loads((out / "dataset.json").read_text())["definition"]
    named = {k: who[k] for k in ("operator", "policy", "where")}
    with LaterAlbum(out, collection, named) as album:
        whole = logged_episodes(album)
        kept = {*album.successes, *album.failed}
    assert whole >= 2
    assert {0, 1} <= kept
    for index in (0, 1):
        assert len(read_episode(out / "failed" / f"episode_{index}.hdf5")) == STEPS


def test_a_person_labels_what_a_real_arm_did_and_the_reason_is_in_the_record(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arm is the twin behind its serial port; a policy that reads joints alone drives it."""
    loaded, collection = work_of(load_checkpoint(policy), "", "")
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", STEPS)
    patient = functools.partial(FarArm, manner=PATIENT)  # this computer may be busy
    monkeypatch.setattr("benchmarks.deployment_site.FarArm", patient)
    asked = []
    out = tmp_path / "log"
    leave = {"override": "a test", "problem": "no verdict", "verdict": ""}
    duty = duty_of(loaded, str(policy), leave, out, sim=False)
    known = Calibration("viperx")
    with (
        Twin() as twin,
        LaterAlbum(out, collection, {"operator": "policy"}) as album,
        arm_site(
            dataclasses.replace(twin.address, calibration=known), loaded, duty, Lead(), Eyes()
        ) as site,
    ):
        made = Deployment(site.arm, Controller(loaded), album, duty, site.oversight)

        def tell(text: str) -> None:
            if text.startswith("Set the scene up"):
                asked.append(text)
                assert not site.arm.clock  # the policy waits for the person
            answers = {"Set the scene up": "yr", "Did it succeed?": "y"}  # the first y is none
            keys = next((keys for said, keys in answers.items() if text.startswith(said)), "")
            for key in keys or "q" * ("r goes on" in text):
                made.press(key)

        made.tell = tell
        made.run(1)
        assert site.arm.calibration_hash == ArmAddress("viperx", "", "", known).calibration_hash
    (told,) = asked
    assert "cube: x 0." in told
    assert told.endswith("r lets the policy drive, q ends.")
    episode = read_episode(out / "episode_0.hdf5")
    assert json.loads(episode.meta.deployment)["leave"] == leave
    assert (episode.meta.sim, episode.meta.success, len(episode)) == (False, True, STEPS)
