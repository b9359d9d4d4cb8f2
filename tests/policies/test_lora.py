"""Adapters: what is learned beside a base, saved apart from it, and put together again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from test_contract import acts, observe
from test_train import interrupted_at
from torch import nn
from toy import MakeDemos
from toy_presets import shrink

from envs.errors import UsageError
from policies.checkpoint import load_checkpoint
from policies.checkpoint_files import FILES
from policies.lora import LoraConfig, attach, learned, linear_layers, merge
from policies.train import train
from policies.train_config import TrainConfig
from scripts.main import main

STEPS = 4


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


def base_of(algo: str, data: Path, out: Path, seed: int = 0) -> TrainConfig:
    return TrainConfig(algo, data, out, preset="quick", steps=STEPS, seed=seed)


def adapted(algo: str, data: Path, out: Path, base: Path, **lora: object) -> TrainConfig:
    return TrainConfig(
        algo, data, out, preset="quick", steps=STEPS, initial=base,
        lora=LoraConfig(**{"rank": 4, **lora}),  # type: ignore[arg-type]
    )  # fmt: skip


class Net(nn.Module):
    """Two layers, one of them tied to a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.first = nn.Linear(4, 4)
        self.last = nn.Linear(4, 5, bias=False)
        self.last.weight = self.table.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(self.first(self.table(x)))
        return out


def test_products_change_nothing_until_they_are_trained_and_merging_keeps_what_they_do():
    torch.manual_seed(0)
    net, x = Net(), torch.arange(5)
    before = net(x)
    attach(net, LoraConfig(rank=2))
    assert torch.equal(net(x), before)
    assert sorted(learned(net)) == ["first.lora_A.default.weight", "first.lora_B.default.weight"]
    with torch.no_grad():
        for parameter in learned(net).values():
            parameter.copy_(torch.randn_like(parameter))
    after = net(x)
    assert not torch.allclose(after, before)
    merge(net)
    torch.testing.assert_close(net(x), after)
    assert set(net.state_dict()) == set(Net().state_dict())


def test_a_layer_that_is_tied_to_a_table_is_left_alone():
    assert linear_layers(Net()) == ["first"]


def test_only_the_chosen_layers_are_adapted():
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ModuleDict({"a": nn.Linear(2, 2)})})
    attach(net, LoraConfig(rank=1, layers=("b.a",)))
    assert learned(net)
    assert all(name.startswith("b.a.") for name in learned(net))


def test_the_rank_is_at_most_that_of_the_largest_adapted_layer():
    def net() -> nn.ModuleDict:
        return nn.ModuleDict({"small": nn.Linear(2, 9), "large": nn.Linear(7, 5)})

    attach(net(), LoraConfig(rank=5))
    told = r"at most 5 here, got 6: none of the 2 adapted layers .* \(large is 7 x 5\)"
    with pytest.raises(UsageError, match=told):
        attach(net(), LoraConfig(rank=6))
    attach(net(), LoraConfig(rank=2, layers=("small",)))
    with pytest.raises(UsageError, match=r"at most 2 here, got 5.*\(small is 2 x 9\)"):
        attach(net(), LoraConfig(rank=5, layers=("small",)))


@pytest.mark.parametrize("algo", ["vla", "act"])
def test_an_adapter_is_small_names_its_base_and_acts(algo: str, demos: MakeDemos, tmp_path: Path):
    data = demos(episodes=4)
    base = train(base_of(algo, data, tmp_path / "base"))
    out = train(adapted(algo, data, tmp_path / "adapter", base))
    entry = json.loads((out / "config.json").read_text())["adapter"]
    assert entry["base"]["weights"] == load_checkpoint(base).hashes["weights"]
    assert entry["lora"]["rank"] == 4
    policy, before = load_checkpoint(out), load_checkpoint(base)
    assert policy.name == f"{algo}-lora"
    seen = [observe(policy, 2, 0)]
    assert (acts(policy, seen, [0, 1]) != acts(before, seen, [0, 1])).any()
    again = train(adapted(algo, data, tmp_path / "again", base))
    for file in FILES:
        assert (again / file).read_bytes() == (out / file).read_bytes()


def test_an_interrupted_adaptation_goes_on_to_the_same_bytes(demos: MakeDemos, tmp_path: Path):
    data = demos(episodes=4)
    base = train(base_of("vla", data, tmp_path / "base"))
    straight = train(adapted("vla", data, tmp_path / "straight", base))
    broken = adapted("vla", data, tmp_path / "broken", base)
    with pytest.raises(KeyboardInterrupt):
        train(broken, advance=interrupted_at(2))
    train(broken)
    for file in FILES:
        assert (broken.out / file).read_bytes() == (straight / file).read_bytes()


def test_an_adapter_can_be_the_base_of_another(demos: MakeDemos, tmp_path: Path):
    data = demos(episodes=4)
    base = train(base_of("vla", data, tmp_path / "base"))
    first = train(adapted("vla", data, tmp_path / "first", base))
    second = load_checkpoint(train(adapted("vla", data, tmp_path / "second", first)))
    assert np.isfinite(acts(second, [observe(second, 1, 0)], [0])).all()


def test_both_folders_may_move_together_and_the_base_may_lie_in_the_adapter(
    demos: MakeDemos, tmp_path: Path
):
    data = demos(episodes=4)
    base = train(base_of("vla", data, tmp_path / "runs" / "base"))
    out = train(adapted("vla", data, tmp_path / "runs" / "adapter", base))
    moved = (tmp_path / "runs").rename(tmp_path / "elsewhere")
    assert load_checkpoint(moved / "adapter").name == "vla-lora"
    shutil.move(moved / "base", moved / "adapter" / "base")
    assert load_checkpoint(moved / "adapter").name == "vla-lora"
    shutil.rmtree(moved / "adapter" / "base")
    with pytest.raises(UsageError, match=r"its base .* is missing: place .*adapter/base"):
        load_checkpoint(moved / "adapter")
    assert not out.exists()


def test_an_adapter_for_another_base_is_refused(
    demos: MakeDemos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = demos(episodes=4)
    base = train(base_of("vla", data, tmp_path / "base"))
    out = train(adapted("vla", data, tmp_path / "adapter", base))
    shutil.rmtree(base)
    train(base_of("vla", data, base, seed=1))
    assert main(["evaluate", "--policy", str(out), "--results", str(tmp_path / "r")]) == 2
    assert "is an adapter for another base" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--lora", "0"], "LoRA rank must be at least 1, got 0"),
        (["--lora", "4", "--lora-layers", "nowhere"], "unknown LoRA layer 'nowhere'; known: all"),
        (["--lora", "4", "--lora-layers", "pose"], "LoRA layers pose leave none to adapt"),
        (["--lora", "100000"], "LoRA rank must be at most 32 here, got 100000"),
        (["--lora", "4", "--lora-alpha", "0"], "LoRA alpha must be positive, got 0"),
    ],
)
def test_an_adaptation_that_cannot_be_is_refused(
    words: list[str], told: str, demos: MakeDemos, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    data = demos(episodes=4)
    base = train(base_of("vla", data, tmp_path / "base"))
    given = ["train", "--algo", "vla", "--preset", "quick", "--data", str(data)]
    given += ["--from", str(base), "--out", str(tmp_path / "adapter")]
    assert main([*given, *words]) == 2
    assert told in capsys.readouterr().err


def test_an_adapter_without_a_base_is_refused(
    demos: MakeDemos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["train", "--algo", "vla", "--data", str(demos(episodes=2)), "--lora", "8"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "--lora needs weights to adapt: --from" in capsys.readouterr().err
