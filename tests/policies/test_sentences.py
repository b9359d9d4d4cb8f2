import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_contract import acts, observe
from toy import MakeDemos
from toy_presets import shrink

from envs.errors import UsageError
from policies.checkpoint import load_checkpoint
from policies.configs import from_json, to_json
from policies.hub import model_hash
from policies.sentences import (
    GRAMS,
    SentenceConfig,
    SentenceEncoder,
    pieces,
    reader_of,
    words_of,
)
from policies.vla import Vla
from scripts.main import main

SMALL = SentenceConfig(buckets=64, words=6, width=16, layers=1, heads=2)


def encoder(config: SentenceConfig = SMALL) -> SentenceEncoder:
    torch.manual_seed(0)
    return SentenceEncoder(config, width=8).eval()


def encoded(model: SentenceEncoder, sentences: list[str]) -> list[torch.Tensor]:
    """Return the tokens of each sentence, without what lies behind its end."""
    with torch.inference_mode():
        tokens, beyond = model(model.read(sentences))
    return [row[~none] for row, none in zip(tokens, beyond, strict=True)]


def test_a_sentence_is_its_words_in_small_letters():
    assert words_of("Put the RED cube, please -- in left_tray!") == [
        "put", "the", "red", "cube", "please", "in", "left", "tray",
    ]  # fmt: skip
    assert words_of("") == []


@given(st.text(min_size=1, max_size=40), st.integers(1, 10_000))
def test_every_word_has_pieces_in_the_table(word: str, buckets: int):
    rows = pieces(word, buckets)
    assert len(rows) == GRAMS
    assert rows[0] > 0
    assert all(0 <= row <= buckets for row in rows)


def test_words_of_one_stem_share_pieces():
    cube, cubes, zone = (set(pieces(word, 10_000)) - {0} for word in ("cube", "cubes", "zone"))
    assert len(cube & cubes) > len(cube & zone)


def test_a_sentence_is_read_alike_beside_a_longer_one_and_in_any_row():
    model = encoder()
    alone = encoded(model, ["wipe it"])[0]
    beside = encoded(model, ["put the red cube down", "wipe it", "wipe it"])
    torch.testing.assert_close(beside[1], alone)
    torch.testing.assert_close(beside[2], alone)
    assert len(alone) == 3  # the start, and two words


def test_the_empty_sentence_has_a_token_and_a_long_one_is_cut():
    empty, long = encoded(encoder(), ["", "one two three four five six seven eight"])
    assert len(empty) == 1
    assert len(long) == SMALL.words
    assert torch.isfinite(empty).all()


def test_the_order_of_words_matters():
    model = encoder()
    first, second = encoded(model, ["cube on ring", "ring on cube"])
    assert (first[1] - second[3]).abs().max() > 1e-3


def test_a_text_model_of_a_folder_reads_sentences(tmp_path: Path):
    folder = tiny_models.text_model(tmp_path / "bert")
    model = encoder(SentenceConfig(encoder=str(folder), words=20))
    one, other = encoded(model, ["wipe", "put it there"])
    assert one.shape == (4, 8)
    assert other.shape == (12, 8)
    assert encoded(model, [""])[0].shape == (1, 8)
    names = dict(model.named_parameters())
    assert not any("model" in name for name in names)  # frozen, and no part of the weights
    torch.testing.assert_close(encoded(model, ["put it there", "wipe"])[1], one)


def test_a_text_model_that_is_not_here_says_what_to_place_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    config = SentenceConfig(encoder="sentence-transformers/none-such")
    with pytest.raises(
        UsageError,
        match=r"not on this machine.*place config.json, model.safetensors, tokenizer.json",
    ):
        encoder(config)


def told(algo: str, data: Path, out: Path, *more: str) -> int:
    words = ["train", "--algo", algo, "--preset", "quick", "--steps", "2", "--data", str(data)]
    return main([*words, "--out", str(out), *more])


def test_a_policy_is_trained_with_a_text_model_of_a_folder_and_loads_it_again(
    demos: MakeDemos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    shrink(monkeypatch)
    folder = tiny_models.text_model(tmp_path / "bert")
    data, out = demos(episodes=3), tmp_path / "run"
    assert told("vla", data, out, "--sentences", str(folder)) == 0
    policy = load_checkpoint(out)
    assert isinstance(policy.algorithm, Vla)
    assert policy.algorithm.config.sentence.encoder == str(folder)
    states = policy.algorithm.read(["go", "stay here"])
    assert states.shape == (2, 8, 16)  # hidden states of that model, not trigrams
    seen = [observe(policy, 2, 0)]
    chunk = acts(policy, seen, [0, 1])
    assert np.isfinite(chunk).all()
    np.testing.assert_array_equal(acts(load_checkpoint(out), seen, [0, 1]), chunk)
    other = tiny_models.text_model(tmp_path / "other")
    more = ["--from", str(out), "--lora", "2"]
    assert told("vla", data, tmp_path / "on", *more, "--sentences", str(other)) == 2
    assert f"--sentences {folder}, not {other}" in capsys.readouterr().err
    assert told("vla", data, tmp_path / "on", *more) == 0
    assert np.isfinite(acts(load_checkpoint(tmp_path / "on"), seen, [0, 1])).all()


def edited(folder: Path, name: str) -> None:
    path = folder / name
    if name == "model.safetensors":
        shutil.copy(tiny_models.text_model(folder.parent / "else", seed=1) / name, path)
    else:
        path.write_text(path.read_text() + "\n")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_text_model_that_is_another_than_it_was_is_refused_with_both_hashes(
    name: str, demos: MakeDemos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shrink(monkeypatch)
    folder = tiny_models.text_model(tmp_path / "bert")
    out = tmp_path / "run"
    assert told("vla", demos(episodes=2), out, "--sentences", str(folder)) == 0
    was = json.loads((out / "config.json").read_text())["settings"]["sentence"]["sha256"]
    assert was == model_hash(str(folder))
    (folder / "README.md").write_text("of no account")
    load_checkpoint(out)
    edited(folder, name)
    now = model_hash(str(folder))
    reason = f"learned with model {was[:12]}, that in {folder} is {now[:12]} .*; place the right"
    with pytest.raises(UsageError, match=reason):
        load_checkpoint(out)
    with pytest.raises(UsageError, match=reason):  # as an exported graph does
        reader_of(SentenceConfig(encoder=str(folder), words=8, sha256=was))


def test_settings_of_before_the_hash_keep_their_bytes_and_are_not_compared(tmp_path: Path):
    assert "sha256" not in to_json(SMALL)
    old = from_json(SentenceConfig, to_json(replace(SMALL, encoder="bert")), "config.json")
    assert old.sha256 == ""
    folder = tiny_models.text_model(tmp_path / "bert")
    assert encoder(replace(old, encoder=str(folder))).model is not None


@pytest.mark.parametrize(
    ("algo", "reason"),
    [
        ("act", "--sentences belongs to vla, got 'none/such' for another algorithm"),
        ("vla", "the weights 'none/such' are not on this machine"),
    ],
)
def test_a_text_model_that_cannot_be_is_refused_before_any_data_is_read(
    algo: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert told(algo, tmp_path / "none", tmp_path / "run", "--sentences", "none/such") == 2
    assert reason in capsys.readouterr().err
