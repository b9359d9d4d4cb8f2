"""Pre-training on two tasks, an adapter for a third: every command takes both as policy folders."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.experiments import pretraining
from benchmarks.records import read_run, run_folders
from policies.attention import LayerConfig
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
def test_the_experiment_adapts_what_it_pre_trained_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in (("RANK", 4), ("DEMONSTRATIONS", 2)):
        monkeypatch.setattr(pretraining, name, value)
    words = "experiment pretraining --task transfer --pretrain 2 --steps 2 --at 250 --trials 1"
    assert run(f"{words} --split dev --workers 1 --out {tmp_path}") == 0
    page = tmp_path / "pretraining-transfer"
    cells = json.loads((page / "experiment.json").read_text())["cells"]
    assert {c["series"]: c["pretraining"] for c in cells} == {
        "from scratch": "", "pre-trained, LoRA": "insertion_pair"
    }  # fmt: skip
    adapted = [c for c in cells if c["diff"] is not None]
    assert [c["series"] for c in adapted] == ["pre-trained, LoRA"]
    trained = sorted((tmp_path / "policies").rglob("provenance.json"))
    assert len(trained) == 3
    before = [path.stat().st_mtime_ns for path in trained]
    assert run(f"{words} --split dev --workers 1 --out {tmp_path}") == 0
    assert [path.stat().st_mtime_ns for path in trained] == before  # nothing was trained again
