"""Commands on a cluster give what they give on one machine, byte for byte."""

import os
from pathlib import Path

import pytest

from benchmarks import manifest
from benchmarks.records import VOLATILE, read_run
from envs.cluster import own_paths
from envs.errors import UsageError
from scripts.jobs import Job, run_jobs
from scripts.main import main

pytest.importorskip("submitit", reason='pip install "armtrials[cluster]"')

AWAY = ("--executor", "submitit", "--slurm", "cluster=local")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(own_paths()))
    monkeypatch.chdir(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_demonstrations_made_on_a_cluster_are_the_same_bytes() -> None:
    for out, where in (("here", ()), ("away", AWAY)):
        words = ("--episodes", "3", "--workers", "1", "--out", out, *where)
        assert main(("collect", *words)) == 0
    assert files(Path("here")) == files(Path("away"))
    assert len(files(Path("away"))) == 4


def test_trials_run_on_a_cluster_are_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    code = manifest.code_state()  # whoever edits a file meanwhile does not matter
    monkeypatch.setattr(manifest, "code_state", lambda: code)
    for out, where in (("here", ()), ("away", AWAY)):
        words = ("--trials", "2", "--batch", "1", "--conditions", "nominal", "--workers", "1")
        words = (*words, "--policy", "floor:hold", "--videos", "few", "--results", out)
        assert main(("evaluate", *words, *where)) == 0
    (here,), (away,) = (list(Path(out).rglob("SEALED.json")) for out in ("here", "away"))
    assert told(here.parent) == told(away.parent)
    ours, theirs = files(here.parent), files(away.parent)
    assert ours.keys() == theirs.keys()
    measured = {"SEALED.json", "trials.jsonl.xz"}  # hold latencies, or a hash over them
    assert {name for name in ours if ours[name] != theirs[name]} <= measured
    assert any(name.endswith(".mp4") for name in ours)


def told(run: Path) -> list[dict[str, object]]:
    """Return the trials of a run, without what a clock measured."""
    trials = read_run(run).trials
    assert len(trials) == 2
    return [{k: v for k, v in t.items() if k not in VOLATILE} for t in trials]


def test_commands_run_on_a_cluster_with_their_output_in_the_log() -> None:
    from envs.cluster import executor_of

    executor = executor_of("submitit", ["cluster=local"])
    good = Job("plan", ("plan", "--better", "0.9", "--worse", "0.5"), Path("good.log"))
    bad = Job("training", ("train", "--algo", "bc", "--out", "x"), Path("bad.log"))
    with pytest.raises(UsageError, match=r"training: training needs one of --data .*bad.log"):
        run_jobs([good, bad], 1, Path("lock"), executor=executor)
    assert "trials" in Path("good.log").read_text()


def test_a_missing_cluster_is_told_before_any_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("collect", "--out", "x", "--executor", "ray", "--ray", "color=red")) == 2
    assert "unknown --ray color; known: address, cpus, gpus" in capsys.readouterr().err
    assert not Path("x").exists()
