"""pi0 and vision-language models with random weights: adapted, saved, loaded again, acting."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from test_contract import acts, observe
from test_train import interrupted_at
from toy import MakeDemos, N

from envs.errors import UsageError
from policies.base import Policy, PolicySpec
from policies.checkpoint import load_checkpoint
from policies.checkpoint_files import FILES
from policies.lora import LoraConfig
from policies.pi0 import Pi0
from policies.train import train
from policies.train_config import TrainConfig
from policies.vlm import Vlm, VlmConfig
from scripts.main import main

Make = Callable[..., Path]
MODELS: dict[str, tuple[str, Make]] = {
    "pi0": ("pi0", tiny_models.pi0),
    "smolvlm": ("vlm", tiny_models.smolvlm),
    "paligemma": ("vlm", tiny_models.paligemma),
    "llava": ("vlm", tiny_models.llava),
}
every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks as the tiny pi0 has them."""
    for kind in (Pi0, Vlm):
        known = kind.PRESETS["pixels", "quick"]
        training = replace(known.training, warmup=1, batch=4, lr=5e-3)
        config = replace(known.config, chunk=4, execute=2)
        monkeypatch.setitem(
            kind.PRESETS, ("pixels", "quick"), known._replace(config=config, training=training)
        )


@pytest.fixture
def adapt(demos: MakeDemos, tmp_path: Path) -> Callable[..., TrainConfig]:
    """Return how a model of a name is adapted to the toy task."""

    def make(name: str, out: str = "run", steps: int = 3) -> TrainConfig:
        algo, build = MODELS[name]
        weights, data = tmp_path / name, tmp_path / "demos"
        if not weights.exists():
            build(weights)
        return TrainConfig(
            algo, data if data.exists() else demos(episodes=3, image=24), tmp_path / out,
            track="pixels", preset="quick", steps=steps, weights=str(weights),
            lora=LoraConfig(rank=4),
        )  # fmt: skip

    return make


def look(policy: Policy, rows: int, call: int = 0) -> dict[str, np.ndarray]:
    seen = observe(policy, rows, call)
    pictures = np.random.default_rng(call).integers(256, size=seen["images/overhead"].shape)
    return {**seen, "images/overhead": pictures.astype(np.uint8)}


@every_model
def test_it_is_adapted_saved_and_acts_the_same_when_loaded(
    name: str, adapt: Callable[..., TrainConfig]
):
    out = train(adapt(name))
    policy = load_checkpoint(out)
    assert policy.name.endswith("-lora")
    chunk = acts(policy, [look(policy, 2)], [0, 1])
    assert chunk.shape == (1, 2, 4, N)
    assert np.isfinite(chunk).all()
    np.testing.assert_allclose(acts(load_checkpoint(out), [look(policy, 2)], [0, 1]), chunk)
    alone = acts(policy, [{k: v[1:] for k, v in look(policy, 2).items()}], [1])
    np.testing.assert_allclose(alone[:, 0], chunk[:, 1], atol=1e-4)


@every_model
def test_the_adapter_holds_what_was_learned_and_not_the_base(
    name: str, adapt: Callable[..., TrainConfig]
):
    config = adapt(name)
    out = train(config)
    small = (out / "model.safetensors").stat().st_size
    assert small < (Path(str(config.weights)) / "model.safetensors").stat().st_size
    base = load_checkpoint(out).algorithm.network.state_dict()
    for key, value in (
        type(load_checkpoint(out).algorithm.network)
        .from_pretrained(config.weights)
        .state_dict()
        .items()
    ):
        if "embed_tokens" in key:
            assert torch.equal(base[key], value)  # no linear layer: untouched


@every_model
def test_it_learns_and_listens(name: str, adapt: Callable[..., TrainConfig]):
    out = train(adapt(name, steps=30))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in log]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    policy = load_checkpoint(out).algorithm
    seen = {"qpos": torch.zeros(1, 1, N), "images/overhead": torch.zeros(1, 1, 24, 24, 3)}
    noise = torch.zeros(1, *policy.noise_shape) if policy.noise_shape else None

    def given(sentence: str) -> torch.Tensor:
        told = {**seen, "sentence": policy.read([sentence])}
        if isinstance(policy, Vlm):
            return policy.logits(told, torch.zeros(1, 0, dtype=torch.long))
        return policy.predict(told, noise)

    with torch.inference_mode():
        assert not torch.equal(given("wipe the marks"), given("put it there"))


def test_an_interrupted_adaptation_goes_on_to_the_same_bytes(adapt: Callable[..., TrainConfig]):
    straight = train(adapt("pi0", "straight", steps=4))
    config = adapt("pi0", "broken", steps=4)
    with pytest.raises(KeyboardInterrupt):
        train(config, advance=interrupted_at(2))
    train(config)
    for file in FILES:
        assert (config.out / file).read_bytes() == (straight / file).read_bytes()


@pytest.mark.parametrize("name", ["smolvlm", "paligemma", "llava"])
def test_what_it_writes_is_what_it_finds_likeliest_in_one_look(
    name: str, adapt: Callable[..., TrainConfig]
):
    policy = load_checkpoint(train(adapt(name, steps=5))).algorithm
    assert isinstance(policy, Vlm)
    told = policy.read(["go", "put the red cube on the green zone"])
    seen = {
        "qpos": torch.zeros(2, 1, N),
        "images/overhead": torch.rand(2, 1, 24, 24, 3),
        "sentence": told,
    }
    with torch.inference_mode():
        chunk = policy.predict(seen, None)
        bins = ((chunk + 1) * 128).long().flatten(1)
        assert torch.equal(policy.logits(seen, bins[:, :-1]).argmax(-1), bins)


def test_an_adapter_refuses_other_weights_and_finds_its_own_beside_it(
    adapt: Callable[..., TrainConfig], tmp_path: Path
):
    config = adapt("pi0")
    out = train(config)
    own = Path(str(config.weights))
    kept = own.rename(tmp_path / "kept")
    tiny_models.pi0(own, seed=1)
    with pytest.raises(UsageError, match="adapter for another base"):
        load_checkpoint(out)
    shutil.rmtree(own)
    with pytest.raises(UsageError, match=r"not on this machine.*place"):
        load_checkpoint(out)
    shutil.copytree(kept, out / "base")
    assert load_checkpoint(out).name == "pi0-lora"


def test_weights_that_are_missing_are_refused_with_what_to_place_where(
    demos: MakeDemos, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    data = str(demos(episodes=2, image=24))
    words = ["train", "--algo", "pi0", "--track", "pixels", "--data", data, "--lora", "4"]
    words += ["--out", str(tmp_path / "run")]
    assert main([*words, "--weights", "lerobot/pi0_base"]) == 2
    told = capsys.readouterr().err
    assert "'lerobot/pi0_base' are not on this machine" in told
    assert "place config.json, model.safetensors" in told
    assert told.endswith("hf download lerobot/pi0_base\n")
    assert main(words) == 2
    assert "--weights FOLDER" in capsys.readouterr().err
    assert main([*words, "--weights", str(tmp_path)]) == 2
    assert "model.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("there", [False, True])
def test_weights_that_need_the_code_of_their_repository_are_to_be_served(
    there: bool, demos: MakeDemos, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # and the code is not run all the same
    weights = "openvla/openvla-7b"
    if there:
        folder = tiny_models.paligemma(tmp_path / "model")
        (folder / "modeling_own.py").write_text("raise SystemExit('its code was run')")
        entry = {"model_type": "own", "auto_map": {"AutoConfig": "modeling_own.Own"}}
        (folder / "config.json").write_text(json.dumps(entry))
        weights = str(folder)
    words = ["train", "--algo", "vlm", "--preset", "quick", "--track", "pixels", "--lora", "4"]
    words += ["--data", str(demos(episodes=2, image=24)), "--out", str(tmp_path / "run")]
    assert main([*words, "--weights", weights]) == 2
    told = capsys.readouterr().err
    assert f"the weights {weights!r} need code of their own repository" in told
    assert "docs/serving.md" in told
    assert "hf download" not in told


def test_weights_are_for_algorithms_around_a_model(
    demos: MakeDemos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["train", "--algo", "act", "--data", str(demos(episodes=2)), "--weights", "x"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "--weights belongs to pi0 and vlm" in capsys.readouterr().err


def test_a_family_that_is_not_known_is_refused(tmp_path: Path):
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 16}  # fmt: skip
    config = Blip2Config(
        vision_config={**small, "image_size": 28, "patch_size": 14},
        qformer_config={**small, "encoder_hidden_size": 16, "vocab_size": 20},
        text_config={"model_type": "opt", "hidden_size": 16, "num_hidden_layers": 1,
                     "num_attention_heads": 2, "ffn_dim": 16, "vocab_size": 300,
                     "word_embed_proj_dim": 16},
    )  # fmt: skip
    Blip2ForConditionalGeneration(config).save_pretrained(tmp_path / "blip")
    tiny_models.tokenizer(tmp_path / "blip")
    spec = PolicySpec(
        "toy", ("a", "b", "gripper"), 50.0, "toy", "pixels",
        {"qpos": (3,), "images/overhead": (24, 24, 3)}, 1, 8, 8, language=True,
    )  # fmt: skip
    with pytest.raises(UsageError, match="is a blip-2; known families: paligemma, llava"):
        Vlm(VlmConfig(weights=str(tmp_path / "blip")), spec)
