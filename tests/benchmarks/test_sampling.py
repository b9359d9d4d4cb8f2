"""How a diffusion policy denoises can be chosen at evaluation, and the records say so."""

from pathlib import Path

import pytest
from made_checkpoint import config, make_checkpoint

from benchmarks.board_commands import reproduce
from benchmarks.board_runs import load_run
from benchmarks.board_tables import row_groups
from benchmarks.records import read_run
from benchmarks.run import evaluate, prepare
from envs.errors import UsageError


def test_the_sampler_is_overridden_for_one_run_and_makes_a_row_of_its_own(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "policy", algorithm="diffusion")
    small = {"conditions": ("nominal",), "trials": 1}
    folders = [
        evaluate(config(folder, tmp_path, sampler=name, **small)).folder
        for name in (None, "ddim", "dpm")
    ]
    runs = [read_run(made) for made in folders]
    usual, same, other = (run.trials[0]["actions_sha256"] for run in runs)
    assert usual == same != other
    assert [run.manifest["execution"].get("sampler") for run in runs] == [None, "ddim", "dpm"]
    assert "--sampler dpm" in reproduce([runs[2].manifest])
    assert "--sampler" not in reproduce([runs[0].manifest])
    labels = [label for label, *_ in row_groups([load_run(made) for made in folders])]
    assert sorted(labels) == [f"diffusion (sampler {name})" for name in ("None", "ddim", "dpm")]


def test_a_sampler_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "policy", algorithm="diffusion")
    with pytest.raises(UsageError, match="unknown sampler 'euler'; known: ddim, dpm"):
        prepare(config(folder, tmp_path, sampler="euler"))
    with pytest.raises(UsageError, match="sampler belongs to a diffusion policy, and bc is none"):
        prepare(config(make_checkpoint(tmp_path / "bc"), tmp_path, sampler="dpm"))
