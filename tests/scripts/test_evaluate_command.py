from pathlib import Path

import pytest

from benchmarks.records import read_run, run_folders, verify_run
from benchmarks.run import EvaluateConfig
from scripts import main as cli
from scripts.options import RESULTS

FAST = ["--trials", "2", "--batch", "2", "--workers", "1", "--videos", "none"]


def run(words: str, *more: str) -> int:
    return cli.main([*words.split(), *more])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    words = "evaluate --policy floor:hold floor:random --conditions home_pose/L1,action_delay/L2"
    assert run(words, *FAST, "--results", str(folder)) == 0
    return folder


def test_every_policy_gets_a_sealed_run_of_the_same_trials(results: Path) -> None:
    folders = run_folders(results)
    assert [folder.name.split("-")[0] for folder in folders] == ["hold", "random"]
    assert [verify_run(folder) for folder in folders] == [[], []]
    hold, random = map(read_run, folders)
    assert [t["start"] for t in hold.trials] == [t["start"] for t in random.trials]
    assert list(hold.cells()) == ["nominal", "home_pose/L1", "action_delay/L2"]


def test_the_same_command_again_says_that_it_is_done(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "evaluate --policy floor:hold --conditions home_pose/L1 action_delay/L2"
    assert run(words, *FAST, "--results", str(results)) == 0
    told = capsys.readouterr().out
    assert told.startswith("sealed already: ")
    assert "nominal: 0/2 (stuck 2)" in told


def test_without_a_named_folder_nothing_of_the_repository_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("evaluate --policy floor:hold --conditions nominal", *FAST) == 0
    assert run("leaderboard") == 0
    assert "page: evaluations/leaderboard/index.html" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["evaluations"]
    assert EvaluateConfig("floor:hold").results == RESULTS
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    assert f"/{RESULTS}/" in ignored


def test_dev_trials_stay_out_of_the_runs(results: Path) -> None:
    words = "evaluate --policy floor:hold --split dev --conditions nominal"
    before = run_folders(results)
    assert run(words, *FAST, "--results", str(results)) == 0
    assert run_folders(results) == before
    assert len(list((results / "dev").glob("*/*/SEALED.json"))) == 1


def test_one_name_is_not_given_to_two_policies(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "evaluate --policy floor:hold floor:random --name both"
    assert run(words, *FAST, "--results", str(results)) == 2
    assert "--name takes one policy, got 2" in capsys.readouterr().err


def test_a_trial_becomes_a_page(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = run_folders(results)[0], tmp_path / "pages" / "trial.html"
    assert run(f"view {folder} --trial home_pose/L1/1 --out {page}") == 0
    assert "home_pose/L1 / 1. Failure" in capsys.readouterr().out
    assert page.read_text().startswith("<!doctype html>")


def test_a_page_needs_to_know_which_trial(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folders(results)[0]
    assert run(f"view {folder}") == 2
    assert "say which trial, as in --trial nominal/0" in capsys.readouterr().err
    assert run(f"view {folder} --trial nominal/9") == 2
    assert "must be nominal/0..1" in capsys.readouterr().err
