"""Weights of others that do not fit: refused with the reason, never replaced by random ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from toy import MakeDemos

from envs.errors import UsageError
from policies.hub import load_model
from policies.sentences import SentenceConfig, SentenceEncoder
from scripts.main import main

VLM = "AutoModelForImageTextToText"
Spoil = Callable[[Path], Any]
Weights = dict[str, torch.Tensor]


def rewrite(folder: Path, change: Callable[[Weights], Weights]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def prefixed(folder: Path) -> None:
    rewrite(folder, lambda weights: {f"policy.{k}": v for k, v in weights.items()})


def without(words: str) -> Spoil:
    return lambda folder: rewrite(
        folder, lambda weights: {k: v for k, v in weights.items() if words not in k}
    )


def written(text: str) -> Spoil:
    return lambda folder: (folder / "config.json").write_text(text)


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def widened(folder: Path) -> None:
    text = json.loads((folder / "config.json").read_text())["text_config"]
    configure(folder, text_config={**text, "intermediate_size": 64})


def removed(*files: str) -> Spoil:
    return lambda folder: [(folder / file).unlink() for file in files]


SMOLVLM = (tiny_models.smolvlm, "vlm")
AS_PI0 = (tiny_models.smolvlm, "pi0")


@pytest.mark.parametrize(
    ("given", "spoil", "reason"),
    [
        (SMOLVLM, prefixed, "SmolVLMForConditionalGeneration of its config.json: 43 are missing "
         "(lm_head.weight, model.connector.modality_projection.proj.weight, "
         "model.text_model.embed_tokens.weight, ...); place config.json and safetensors of one"),
        (SMOLVLM, without("text_model"), "20 are missing (model.text_model.embed_tokens.weight"),
        (SMOLVLM, widened, "6 are of another shape (model.text_model.layers.0.mlp.down_proj"),
        (SMOLVLM, truncated, "model.safetensors is damaged: "),
        (SMOLVLM, written("not JSON"), "config.json is not JSON"),
        (SMOLVLM, written("{}"), "names no model_type; known families: paligemma, llava, "),
        (SMOLVLM, written('{"type": "smolvla"}'), "a policy of LeRobot, smolvla: serve them"),
        (SMOLVLM, removed("model.safetensors"), "cannot be read: it lacks model.safetensors"),
        (SMOLVLM, removed("config.json", "tokenizer.json"),
         "cannot be read: it lacks config.json and tokenizer.json"),
        (AS_PI0, lambda folder: None, "smolvlm is a smolvlm; known families: pi0"),
        (AS_PI0, written('{"type": "pi0"}'), "or if they are of a policy of LeRobot, serve them"),
        ((tiny_models.pi0, "vlm"), lambda folder: None, "is a pi0; known families: paligemma"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused_before_anything_is_learned(
    given: tuple[Callable[[Path], Path], str], spoil: Spoil, reason: str, demos: MakeDemos,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    build, algo = given
    folder = build(tmp_path / "smolvlm")
    spoil(folder)
    words = ["train", "--algo", algo, "--preset", "quick", "--track", "pixels", "--lora", "4"]
    words += ["--data", str(demos(episodes=2, image=24)), "--out", str(tmp_path / "run")]
    capsys.readouterr()
    assert main([*words, "--weights", str(folder)]) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert str(folder) in told
    assert "hf download" not in told
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_weights_that_another_one_stands_for_need_not_be_there(tmp_path: Path):
    folder = tiny_models.paligemma(tmp_path / "paligemma")
    assert not any("lm_head" in key for key in load_file(folder / "model.safetensors"))
    model = load_model(str(folder), VLM, ["paligemma"])
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_the_pi0_of_lerobot_is_taken(tmp_path: Path):
    folder = tiny_models.pi0(tmp_path / "pi0")
    kind = "PI0ForConditionalGeneration"
    own = load_model(str(folder), kind, ["pi0"]).state_dict()
    configure(folder, type="pi0", n_obs_steps=1, input_features={}, device="cpu")
    entry = json.loads((folder / "config.json").read_text())
    del entry["model_type"]
    (folder / "config.json").write_text(json.dumps(entry))
    taken = load_model(str(folder), kind, ["pi0"]).state_dict()
    assert own.keys() == taken.keys()
    assert all(torch.equal(taken[key], value) for key, value in own.items())


def test_a_text_model_needs_no_pooler_but_all_that_is_read(tmp_path: Path):
    folder = tiny_models.text_model(tmp_path / "bert")

    def states() -> torch.Tensor:
        model = SentenceEncoder(SentenceConfig(encoder=str(folder)), width=8)
        return model.read(["put it there"])

    whole = states()
    without("pooler")(folder)
    assert torch.equal(states(), whole)
    without("embeddings")(folder)
    with pytest.raises(UsageError, match=r"do not fit the BertModel .* 5 are missing"):
        states()


def test_a_text_model_without_a_vocabulary_is_refused(tmp_path: Path):
    folder = tiny_models.text_model(tmp_path / "bert")
    removed("tokenizer.json", "tokenizer_config.json")(folder)  # transformers makes up an empty one
    with pytest.raises(UsageError, match=r"it lacks tokenizer\.json"):
        SentenceEncoder(SentenceConfig(encoder=str(folder)), width=8)
