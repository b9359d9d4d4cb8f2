"""Pre-training on two tasks, an adapter for a third: every command takes both as policy folders."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.experiments_vla import RESULT, TransferConfig, told, transfer
from benchmarks.records import read_run, run_folders
from envs.errors import UsageError
from policies.attention import LayerConfig
from policies.lora import LoraConfig
from policies.sentences import SentenceConfig
from policies.transformer import TransformerConfig
from policies.vla import Vla
from scripts.main import main

LAYER = LayerConfig(width=32, heads=4, feedforward=64, dropout=0.0, pre_norm=True)
STEPS = ["--steps", "2", "--batch", "8", "--preset", "quick"]
Folders = dict[str, Path]


def run(words: str, *more: str) -> int:
    return main([*words.split(), *more])


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Vla.PRESETS["state", "quick"]
    small = replace(
        known.config,
        trunk=LAYER,
        layers=1,
        sentence=SentenceConfig(buckets=64, width=32, layers=1, heads=4),
        transformer=TransformerConfig(layers=1, layer=LAYER, memory=True),
    )  # type: ignore[call-arg]
    monkeypatch.setitem(Vla.PRESETS, ("state", "quick"), known._replace(config=small))  # type: ignore[index]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folder = tmp_path_factory.mktemp("data")
    for task in ("pick_place", "two_ways", "insertion"):
        assert run(f"collect --task {task} --episodes 3 --workers 1 --out {folder / task}") == 0
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.usefixtures("_tiny")
def test_a_base_of_two_tasks_and_an_adapter_for_a_third_are_evaluated(
    data: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    base, adapter, results = tmp_path / "base", tmp_path / "adapter", tmp_path / "results"
    two = f"{data['pick_place']} {data['two_ways']}"
    assert run(f"train --algo vla --data {two} --out {base}", *STEPS) == 0
    words = f"train --algo vla --from {base} --lora 4 --data {data['insertion']} --out {adapter}"
    assert run(words, *STEPS) == 0
    once = ["--trials", "1", "--videos", "none", "--results", str(results)]
    for policy, protocol in ((base, "two_ways/v1"), (adapter, "insertion/v1")):
        words = f"evaluate --policy {policy} --protocol {protocol} --conditions nominal"
        assert run(words, *once) == 0
    names = {read_run(folder).manifest["policy"]["name"] for folder in run_folders(results)}
    assert names == {"vla", "vla-lora"}
    assert run(f"evaluate --policy {base} --protocol insertion/v1", *once) == 2
    assert "trained for task 'pick_place+two_ways'" in capsys.readouterr().err


@pytest.mark.usefixtures("_tiny")
def test_the_experiment_compares_on_the_same_starts_and_goes_on(data: Folders, tmp_path: Path):
    config = TransferConfig(
        (data["pick_place"], data["two_ways"]), data["insertion"], "insertion/v1",
        tmp_path / "out", demonstrations=2, most=2, preset="quick", steps=(3, 2), batch=8,
        lora=LoraConfig(rank=4), trials=1,
    )  # fmt: skip
    result = transfer(config)
    assert set(result["rows"]) == {"lora", "scratch", "scratch_long"}
    assert result["training"]["scratch_long"]["steps"] == 5
    assert len(list((tmp_path / "out" / "data" / "insertion-2").glob("*.hdf5"))) == 2
    gap = result["difference"]["scratch"]
    assert gap["low"] <= gap["diff"] <= gap["high"]
    assert len(told(result)) == 5
    before = (tmp_path / "out" / RESULT).read_bytes()
    steps: list[int] = []
    assert json.dumps(transfer(config, steps.append), sort_keys=True)
    assert (tmp_path / "out" / RESULT).read_bytes() == before  # nothing was trained again


def test_a_task_that_is_not_new_is_refused(data: Folders, tmp_path: Path):
    config = TransferConfig(
        (data["pick_place"],), data["pick_place"], "pick_place/v1", tmp_path / "out"
    )
    with pytest.raises(UsageError, match="demonstrates pick_place, the task that is to be new"):
        transfer(config)
