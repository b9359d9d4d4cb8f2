"""Somebody else's environment, from demonstrations to a row in a table of its own."""

import json
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from benchmarks.foreign import ForeignConfig, foreign_workers, prepare_foreign
from benchmarks.leaderboard import make_leaderboard
from benchmarks.protocol import PROTOCOLS
from benchmarks.records import VOLATILE, read_run, run_folders, verify_run
from benchmarks.run import Piece, evaluate
from envs.adapters import adapt
from envs.errors import UsageError
from envs.foreign_episodes import record
from envs.success import Success
from policies.train import train
from policies.train_config import TrainConfig
from scripts.main import main

CAR = "gym:MountainCarContinuous-v0"


def run(config: ForeignConfig):
    job = prepare_foreign(config)
    with foreign_workers(config.workers) as pool:
        return evaluate(config, job=job, pool=pool)


def push_along(seen):
    """Push in the direction of motion: solves the mountain car."""
    return np.where(seen["state"][1:] >= 0, 1.0, -1.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("car")
    record(adapt(CAR), push_along, Success("return>0"), 6, folder / "data")
    config = TrainConfig("bc", folder / "data", folder / "bc", preset="quick", steps=100)
    return train(config)


@pytest.fixture(scope="module")
def config(checkpoint: Path) -> ForeignConfig:
    return ForeignConfig(str(checkpoint), env=CAR, success="return>0", trials=4, batch=2)


@pytest.fixture(scope="module")
def results(config: ForeignConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    run(replace(config, results=results))
    for floor in ("floor:hold", "floor:random"):
        run(replace(config, policy=floor, results=results, horizon=300))
    return results


def read(results: Path, name: str):
    return next(
        r for f in run_folders(results) if (r := read_run(f)).manifest["run"].startswith(name)
    )


def test_a_policy_trained_on_foreign_demonstrations_succeeds_there(results: Path):
    trials = read(results, "bc").trials
    assert [t["success"] for t in trials] == [True] * 4
    assert all(t["failure"] is None and t["quality"]["return"] > 80 for t in trials)
    assert len({t["seeds"]["ic"] for t in trials}) == 4


def test_a_floor_fails_there_and_its_failures_are_labelled(results: Path):
    trials = read(results, "hold").trials
    assert {(t["success"], t["failure"], t["steps"]) for t in trials} == {(False, "timeout", 300)}


def test_the_records_are_sealed_like_any_other(results: Path):
    for folder in run_folders(results):
        assert verify_run(folder) == []
    manifest = read(results, "bc").manifest
    assert manifest["protocol"]["id"] == f"{CAR}/nominal"
    assert manifest["protocol"]["definition"]["success"] == "return>0"
    assert manifest["versions"]["gymnasium"]


def test_the_leaderboard_shows_an_environment_in_a_table_of_its_own(results: Path):
    made = make_leaderboard(results)
    tables = {(t["protocol"], len(t["rows"]), len(t["floors"])) for t in made.board["tables"]}
    assert tables == {(f"{CAR}/nominal", 1, 0), (f"{CAR}/nominal", 0, 2)}  # two horizons
    row = next(t["rows"][0] for t in made.board["tables"] if t["rows"])
    assert (row["status"], row["nominal"]["k"]) == ("partial", 4)
    assert f"--env {CAR} --success 'return>0'" in row["reproduce"]
    assert "armtrials collect" not in row["reproduce"]
    page = made.files["index.html"].decode()
    assert f"<h2>{CAR}, state track</h2>" in page
    assert "return&gt;0 within 999 steps" in page


def test_the_same_command_gives_the_same_records(
    config: ForeignConfig, results: Path, tmp_path: Path
):
    run(replace(config, results=tmp_path))
    kept = [
        [{k: v for k, v in t.items() if k not in VOLATILE} for t in read(where, "bc").trials]
        for where in (results, tmp_path)
    ]
    assert kept[0] == kept[1]


def test_its_work_can_be_sent_to_other_processes(config: ForeignConfig, tmp_path: Path):
    job = prepare_foreign(replace(config, results=tmp_path))
    for wave in job.plan.waves(job.execution.batch):
        assert ForkingPickler.dumps(Piece(job, wave))


def test_a_finished_run_is_left_alone(config: ForeignConfig, results: Path):
    assert run(replace(config, results=results)).sealed_before


def test_a_crash_of_the_environment_makes_a_trial_invalid(
    config: ForeignConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def crash(*_: object) -> None:
        raise RuntimeError("the mountain is closed")

    monkeypatch.setattr(
        "gymnasium.envs.classic_control.continuous_mountain_car.Continuous_MountainCarEnv.step",
        crash,
    )
    trials = read_run(run(replace(config, policy="floor:hold", results=tmp_path)).folder).trials
    assert {t["status"] for t in trials} == {"invalid"}
    assert trials[0]["reason"] == "environment: RuntimeError: the mountain is closed"


def test_a_policy_made_for_something_else_is_refused(config: ForeignConfig, tmp_path: Path):
    with pytest.raises(UsageError, match=r"was trained for arm 'gym:Mountain.*this is 'gym:Pend"):
        run(replace(config, env="gym:Pendulum-v1", results=tmp_path))


def test_a_known_protocol_is_not_replaced(results: Path):
    assert not any(name.startswith(("gym:", "dm:")) for name in PROTOCOLS)


def test_the_command_evaluates_an_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["evaluate", "--policy", "floor:random", "--env", "gym:Pendulum-v1", "--workers", "1"]
    words += ["--success", "return>-200", "--trials", "2", "--horizon", "30"]
    assert main([*words, "--results", str(tmp_path)]) == 0
    assert "nominal: " in capsys.readouterr().out
    assert json.loads(next(tmp_path.glob("runs/*/*/SEALED.json")).read_text())["trials"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--env gym:Pendulum-v1", "--env needs --success: a key of info, return>NUMBER or"),
        ("--success won", "--success and --horizon belong to --env"),
        ("--env gym:Nothing-v1 --success won", "gym:Nothing-v1 cannot be made: "),
        ("--env gym:Pendulum-v1 --success return<1", "success must be an info key, return>NUMBER"),
        ("--env gym:CartPole-v1 --success won", "must be a Box of real numbers"),
        ("--env gym:Pendulum-v1 --success won --trials 1", "reports no 'won' in info; known: "),
        ("--env gym:Pendulum-v1 --success won --trials 900", "trials must be 1..200"),
        ("--env gym:Pendulum-v1 --success won --conditions lighting/L1", "unknown condition"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["evaluate", "--policy", "floor:hold", "--results", str(tmp_path), "--workers", "1"]
    assert main([*command, *words.split()]) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
