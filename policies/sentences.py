"""What an arm is told, as tokens: words by their letters, or a language model that is at hand.

The encoder that needs nothing from outside reads a word as the set of its letter trigrams and
itself (fastText, Bojanowski et al. 2017), each hashed into a table that is learned with the
policy: there is no vocabulary, every word of every sentence has a vector, and words that share
letters share parts of it. Others are named: a text model of ``transformers`` in a folder or in the
local cache, frozen.
"""

import functools
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from envs.arm import Array
from envs.errors import UsageError
from policies.attention import LayerConfig, Stack
from policies.base import AlgorithmConfig
from policies.configs import LATER
from policies.hub import folder_of, load_model, load_tokenizer, model_hash
from policies.torch_build import tracing

NGRAMS = "ngrams"
GRAMS = 12
"""Most pieces of a word: itself and its first trigrams."""
START = "<start>"
"""Stands before the first word: the empty sentence has a token, too."""


@dataclass(frozen=True)
class SentenceConfig:
    """How a sentence is read.

    Attributes:
        encoder: ``"ngrams"``, or a text model of ``transformers``: a folder, or a name in the
            cache.
        buckets: rows of the table of pieces.
        words: longest sentence; what comes after is not read.
        width: size of a word's token.
        layers: self-attention layers over the words; 0: words as they are.
        heads: of each.
        sha256: of the text model's files, see ``hub.model_hash``; "" is not compared.
    """

    encoder: str = NGRAMS
    buckets: int = 8192
    words: int = 32
    width: int = 256
    layers: int = 2
    heads: int = 8
    sha256: str = field(default="", metadata=LATER)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if min(self.buckets, self.words, self.width) < 1:
            found = (self.buckets, self.words, self.width)
            raise UsageError(f"buckets, words and width must be at least 1, got {found}")


def encoder_of(config: AlgorithmConfig) -> str | None:
    """Return what reads sentences under settings of an algorithm, None where nothing does."""
    told = getattr(config, "sentence", None)
    return told.encoder if isinstance(told, SentenceConfig) else None


def with_encoder(config: AlgorithmConfig, encoder: str | None) -> AlgorithmConfig:
    """Return the settings with another reader of sentences, and its hash; as they are with None.

    Raises:
        UsageError: an algorithm that reads none so, or a model that is not on this machine.
    """
    if encoder is None:
        return config
    if encoder_of(config) is None:
        raise UsageError(f"--sentences belongs to vla, got {encoder!r} for another algorithm")
    sha256 = "" if encoder == NGRAMS else model_hash(encoder)
    told = replace(config.sentence, encoder=encoder, sha256=sha256)  # type: ignore[attr-defined]
    return replace(config, sentence=told)  # type: ignore[call-arg]


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence, in small letters, without punctuation; ``_`` parts words."""
    return re.findall(r"[^\W_]+", sentence.lower())


@functools.cache
def pieces(word: str, buckets: int) -> tuple[int, ...]:
    """Return the rows 1..buckets of a word's pieces, ``GRAMS`` of them; 0 where there are fewer."""
    marked = f"<{word}>"
    grams = [marked, *(marked[i : i + 3] for i in range(len(marked) - 2))]
    rows = [zlib.crc32(gram.encode()) % buckets + 1 for gram in grams[:GRAMS]]
    return (*rows, *(0,) * (GRAMS - len(rows)))


def tokens_of(sentences: Sequence[str], config: SentenceConfig) -> Array:
    """Return sentences as tokens (B, words, GRAMS) int64 by their letters, zeros behind the end."""
    out = np.zeros((len(sentences), config.words, GRAMS), np.int64)
    for row, sentence in zip(out, sentences, strict=True):
        told = [START, *words_of(sentence)][: config.words]
        row[: len(told)] = [pieces(word, config.buckets) for word in told]
    return out


def reader_of(config: SentenceConfig) -> Callable[[Sequence[str]], Array]:
    """Return what makes tokens of sentences: it has no weights that a policy has learned.

    Raises:
        UsageError: a model that is not on this machine, or another than it was.
    """
    if config.encoder != NGRAMS:
        return TextModel(config).tokens
    return functools.partial(tokens_of, config=config)


class Words(nn.Module):
    """The table of pieces: (..., GRAMS) -> (..., width), the mean of a word's pieces."""

    def __init__(self, config: SentenceConfig) -> None:
        """Make the table; row 0 is nothing."""
        super().__init__()
        self.buckets = config.buckets
        self.table = nn.Embedding(config.buckets + 1, config.width, padding_idx=0)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of words."""
        count = (tokens > 0).sum(-1, keepdim=True).clamp(min=1)
        mean: Tensor = self.table(tokens).sum(-2) / count
        return mean

    def read(self, words: Sequence[str]) -> Tensor:
        """Return words as tokens (words, GRAMS)."""
        return torch.tensor([pieces(word, self.buckets) for word in words])


class SentenceEncoder(nn.Module):
    """Sentences as tokens that the policy reads."""

    def __init__(self, config: SentenceConfig, width: int) -> None:
        """Build the encoder.

        Args:
            config: how to read.
            width: size of the tokens that are returned.

        Raises:
            UsageError: a model that is not on this machine, or another than it was.
        """
        super().__init__()
        self.config = config
        self.words = Words(config)
        self.model = None if config.encoder == NGRAMS else TextModel(config)
        inner = config.width if self.model is None else self.model.width
        self.position = nn.Parameter(torch.randn(config.words, inner) * 0.02)
        layer = LayerConfig(config.width, config.heads, 2 * config.width, 0.0, pre_norm=True)
        layers = config.layers if self.model is None else 0
        self.stack = Stack(layer, layers) if layers else None
        self.out = nn.Linear(inner, width)

    def read(self, sentences: Sequence[str]) -> Tensor:
        """Return sentences as what ``forward`` takes, (B, words, k): zeros behind the last word."""
        if self.model is not None:
            return torch.from_numpy(self.model.tokens(sentences))
        return torch.from_numpy(tokens_of(sentences, self.config))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Encode sentences, each different one once.

        Args:
            tokens: (B, words, k) as from ``read``.

        Returns:
            Tokens (B, W, width), W that of the longest sentence, and a mask (B, W) bool, True
            behind a sentence's end.
        """
        if tracing():  # a graph has one way for all values: every row, every word
            return self._encoded(tokens)
        flat, row = torch.unique(tokens.flatten(1), dim=0, return_inverse=True)
        told = flat.reshape(-1, *tokens.shape[1:])
        longest = int((told != 0).any(-1).sum(-1).max())
        x, beyond = self._encoded(told[:, :longest])
        return x[row], beyond[row]

    def _encoded(self, told: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens and mask of sentences (S, words, k), no longer than they are."""
        beyond = (told == 0).all(-1)
        x = told if self.model is not None else self.words(told)
        x = x + self.position[: told.shape[1]]
        if self.stack is not None:
            x = self.stack(x, pad=beyond)
        return self.out(x), beyond


def check_model(config: SentenceConfig) -> None:
    """Refuse, with ``UsageError``, a text model that is not the one a policy learned with."""
    if not config.sha256:
        return
    found = model_hash(config.encoder)
    if found != config.sha256:
        raise UsageError(
            f"another sentence model: the policy learned with model {config.sha256[:12]}, that "
            f"in {folder_of(config.encoder)} is {found[:12]} (weights, config and tokenizer); "
            "place the right one there"
        )


class TextModel:
    """A frozen text model of ``transformers``, beside the policy's weights and not among them."""

    def __init__(self, config: SentenceConfig) -> None:
        """Load tokenizer and weights from a folder or the local cache; nothing is downloaded.

        Raises:
            UsageError: they are not here, or others than they were; the message says what to place
                where.
        """
        check_model(config)
        self._tokenizer = load_tokenizer(config.encoder)
        self._model = load_model(config.encoder, "AutoModel", unread=("pooler.",)).eval()
        self._words = config.words
        self.width = int(self._model.config.hidden_size)
        self.read = functools.lru_cache(maxsize=4096)(self._read)

    def tokens(self, sentences: Sequence[str]) -> Array:
        """Return sentences as hidden states (B, words, width) float32."""
        states: Array = torch.stack([self.read(sentence) for sentence in sentences]).numpy()
        return states

    @torch.no_grad()
    def _read(self, sentence: str) -> Tensor:
        """Return the last hidden states (words, width), zeros behind the end."""
        sentence = sentence or " "  # some tokenizers make no token of nothing
        told = self._tokenizer(
            sentence, return_tensors="pt", truncation=True, max_length=self._words
        )
        states = self._model(**told).last_hidden_state[0].float()
        out = torch.zeros(self._words, self.width)
        out[: len(states)] = states
        return out
