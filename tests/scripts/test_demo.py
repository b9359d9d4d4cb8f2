"""The command `armtrials demo twin`: a policy on the twin, and the page."""

from pathlib import Path

import pytest

from benchmarks.protocol import PROTOCOLS
from benchmarks.real_trial import Scripted, Trials
from envs.collect import collect
from envs.collection import Collection
from envs.crew import crew
from envs.tasks import TASKS
from policies.train import train
from policies.train_config import TrainConfig
from real.emulators.dynamixel_faults import Fault
from real.emulators.twin import ClockTwin
from real.emulators.twin_table import twin_arm
from scripts.main import main

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that has hardly learnt anything, which is all that the page needs."""
    folder = tmp_path_factory.mktemp("demo")
    collect(Collection(task="pick_place"), 3, folder / "data", 1)
    config = TrainConfig(
        algo="bc", data=folder / "data", out=folder / "bc", preset="quick", steps=20,
        validation=0.3, device="cpu",
    )  # fmt: skip
    return train(config)


def test_a_policy_drives_the_twin_and_a_page_shows_it(
    policy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", 30)
    page = tmp_path / "twin.html"
    words = ["demo", "twin", "--policy", str(policy), "--clock", "own", "--out", str(page)]
    assert main([*words, "--gap", "ordinary"]) == 0
    said = capsys.readouterr().out
    assert "of 1 trials on the twin succeeded" in said
    text = page.read_text()
    assert "data:video/mp4;base64," in text
    for what in ("Hardware twin", "not a real arm", "control period", "Safety log", "ordinary"):
        assert what in text


def test_a_mistake_is_told_in_one_line(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (["--trials", "0"], "--trials must be at least 1"),
        (["--gap", "wide"], "unknown gap 'wide'; known: hard, none, ordinary"),
        (["--faults", "fire"], "unknown fault 'fire'"),
        (["--objects", "tags"], "leave out the own clock"),
        (["--robot", "koch"], "--robot belongs to --script"),
        (["--script"], "give --policy or --script, not both"),
        (["--out", "."], "--out must be a file, got the folder"),
    ):
        assert main(["demo", "twin", "--policy", str(policy), "--clock", "own", *words]) == 2
        assert told in capsys.readouterr().err


def test_the_demonstrator_does_the_task_through_the_drivers_of_an_arm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "twin.html"
    words = ["demo", "twin", "--script", "--robot", "koch", "--clock", "own", "--out", str(page)]
    assert main(words) == 0
    assert "1 of 1 trials on the twin succeeded" in capsys.readouterr().out
    assert "demonstrator on the twin of Koch" in page.read_text()


def test_a_trial_that_is_stopped_on_its_way_to_the_start_is_void() -> None:
    with ClockTwin() as twin, twin_arm(twin) as arm:
        expert = arm.task.expert(twin.truth.world, crew("clean")[0].on(arm.spec))
        runs = Trials(arm, Scripted(twin.truth, expert))
        start = PROTOCOLS["pick_place/v1"].start("nominal", 0, "test")
        twin.chain.inject(Fault.parse("overload@4"))
        for _ in range(2):  # it stays void while the motor does not take its torque
            trial = runs.run(start)
            assert (trial.ends, trial.success, len(trial.actions)) == ("invalid_hardware", False, 0)
            assert "elbow" in trial.reason
