from pathlib import Path

import pytest
import tiny_models
import torch
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import UsageError
from policies.sentences import GRAMS, SentenceConfig, SentenceEncoder, pieces, words_of

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
