"""Going on from another checkpoint: its network is kept, the preset says how it is trained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_train import interrupted_at
from tiny_models import pi0
from toy import MakeDemos
from toy_presets import shrink

from envs.errors import UsageError
from policies.act import ACT
from policies.checkpoint import load_checkpoint, load_network
from policies.checkpoint_files import FILES
from policies.train import train
from policies.train_config import TrainConfig
from policies.vla import Vla
from scripts.main import main


def settings(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return told


@pytest.fixture
def base(demos: MakeDemos, tmp_path: Path) -> TrainConfig:
    """An ACT that was trained while its preset had another network than it has now."""
    made = TrainConfig("act", demos(episodes=3), tmp_path / "base", preset="quick", steps=2)
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        train(made)
    return made


def test_a_base_that_no_preset_describes_any_more_is_trained_on(base: TrainConfig, tmp_path: Path):
    on = replace(base, out=tmp_path / "on", initial=base.out, preset="cpu", batch=8)
    out = train(on)
    assert settings(out)["settings"] == settings(base.out)["settings"]
    asked = ACT.PRESETS["state", "cpu"]
    assert load_network(out).algorithm.config != asked.config
    assert settings(out)["training"]["lr"] == asked.training.lr
    assert settings(out)["training"]["batch"] == 8
    assert load_checkpoint(out).provenance["preset"] == "quick"


def test_an_interrupted_training_goes_on_to_the_same_bytes(base: TrainConfig, tmp_path: Path):
    on = replace(base, initial=base.out, batch=8, steps=4, out=tmp_path / "straight")
    straight, broken = train(on), replace(on, out=tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        train(broken, advance=interrupted_at(2))
    train(broken)
    for file in FILES:
        assert (broken.out / file).read_bytes() == (straight / file).read_bytes()
    with pytest.raises(UsageError, match="holds a run with another initial"):
        train(replace(broken, initial=straight))


@pytest.mark.parametrize("preset", [["--preset", "quick"], []])
def test_an_adapter_of_an_older_base_is_made_by_the_command(
    preset: list[str], demos: MakeDemos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data, base = demos(episodes=3), tmp_path / "base"
    shrink(monkeypatch)
    train(TrainConfig("vla", data, base, preset="quick", steps=1))
    known = Vla.PRESETS["state", "quick"]
    newer = known._replace(config=replace(known.config, mentions=False, layers=2))  # type: ignore[call-arg]
    monkeypatch.setitem(Vla.PRESETS, ("state", "quick"), newer)  # type: ignore[index]
    words = ["train", "--algo", "vla", "--from", str(base), "--lora", "4", "--data", str(data)]
    words += ["--steps", "2", "--batch", "8", "--out", str(tmp_path / "on"), *preset]
    assert main(words) == 0
    assert settings(tmp_path / "on")["settings"] == settings(base)["settings"]
    assert load_checkpoint(tmp_path / "on").name == "vla-lora"


def test_options_that_ask_for_what_the_base_has_are_granted(base: TrainConfig, tmp_path: Path):
    same = {"chunk": 20, "normalization": load_checkpoint(base.out).normalizer.mode}
    train(replace(base, out=tmp_path / "on", initial=base.out, batch=8, **same))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"chunk": 10}, r"\(--chunk 20, not 10\)"),
        ({"preset": "cpu-delta"}, r"\(variant of --preset none, not delta\)"),
        ({"normalization": "minmax", "chunk": 9}, "20, not 9, --normalization meanstd, not minmax"),
        ({"blind": True}, "its --blind must be True, got False"),
        ({"algo": "bc"}, "its algorithm must be bc, got act"),
    ],
)
def test_options_that_ask_for_another_network_than_the_base_has_are_refused(
    asked: dict[str, Any], told: str, base: TrainConfig, tmp_path: Path
):
    with pytest.raises(UsageError, match=told):
        train(replace(base, out=tmp_path / "on", initial=base.out, **asked))
    assert not (tmp_path / "on").exists()


def test_offsets_stay_offsets_whatever_the_preset(
    demos: MakeDemos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shrink(monkeypatch)
    made = TrainConfig("bc", demos(episodes=3), tmp_path / "base", preset="quick-delta", steps=1)
    out = train(replace(made, initial=train(made), out=tmp_path / "on", preset="quick"))
    policy = load_network(out)
    assert policy.algorithm.config.actions == "delta"
    assert policy.offsets == (0, 1)
    assert policy.name == "bc-delta"
    train(replace(made, initial=out, out=tmp_path / "again"))


def test_a_model_of_transformers_is_named_by_the_base_and_other_weights_are_refused(
    demos: MakeDemos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shrink(monkeypatch)
    made = TrainConfig(
        "pi0", demos(episodes=2, image=16), tmp_path / "base", "pixels", "quick", steps=1,
        weights=str(pi0(tmp_path / "model")), chunk=4,
    )  # fmt: skip
    on = replace(made, initial=train(made), out=tmp_path / "on", weights=None, chunk=None)
    assert settings(train(on))["settings"] == settings(made.out)["settings"]
    train(replace(on, out=tmp_path / "named", weights=made.weights))
    other = pi0(tmp_path / "other", seed=1)
    with pytest.raises(UsageError, match=r"--weights [0-9a-f]{64}, not [0-9a-f]{64}"):
        train(replace(on, out=tmp_path / "odd", weights=str(other)))
