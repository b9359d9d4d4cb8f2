"""What a person asks of the arm in one sentence, in how many words it can be said, what it means.

A request names an object by colour and shape, and the tray on the left or right hand of the arm.
Demonstrations use the sentences of wording 0; the others are kept for evaluation.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from envs.errors import UsageError

COLOURS: Mapping[str, tuple[float, float, float, float]] = {
    "red": (0.85, 0.10, 0.10, 1.0),
    "yellow": (0.95, 0.78, 0.10, 1.0),
    "green": (0.10, 0.60, 0.25, 1.0),
    "blue": (0.12, 0.32, 0.80, 1.0),
    "purple": (0.50, 0.20, 0.65, 1.0),
    "white": (0.93, 0.93, 0.92, 1.0),
}
SHAPES = ("cube", "cylinder", "cross")
SIDES = ("left", "right")
EMPTY = ""

WORDINGS = (
    (
        "put the {colour} {shape} in the {side} tray",
        "place the {colour} {shape} in the {side} tray",
        "move the {colour} {shape} to the {side} tray",
        "the {colour} {shape} goes in the {side} tray",
    ),
    (
        "set the {colour} {synonym} down in the {side} tray",
        "lay the {colour} {synonym} on the {side} tray",
        "bring the {colour} {synonym} to the {side} tray",
    ),
    (
        "I would like to have the {colour} {synonym} lie in the tray on your {side}",
        "could you clear away the {colour} {synonym} to the {side}, where the tray is?",
        "the tray on the {side} is still missing its {colour} {synonym}",
    ),
    (
        "in the {side} tray is where the {shape} belongs, the {colour} one",
        "leave the {other} where it is and put the {colour} {shape} in the {side} tray",
        "to the {side} tray with the {colour} {shape}, not with the {other}",
    ),
)
"""Sentences by wording: 0 as demonstrated; unseen: 1 synonyms, 2 paraphrases, 3 reordered or with
a clause about another object."""

SYNONYMS = {"cube": "block", "cylinder": "can", "cross": "plus"}


@dataclass(frozen=True)
class Request:
    """What is asked: the object of this ``colour`` and ``shape`` into the tray on this ``side``."""

    colour: str
    shape: str
    side: str

    def __post_init__(self) -> None:
        """Refuse what does not exist; the message lists what does."""
        known = {"colour": tuple(COLOURS), "shape": SHAPES, "side": SIDES}
        for what, names in known.items():
            if getattr(self, what) not in names:
                found = getattr(self, what)
                raise UsageError(f"unknown {what} {found!r}; known: {', '.join(names)}")

    @property
    def thing(self) -> str:
        """The object in words: ``red cube``."""
        return f"{self.colour} {self.shape}"


REQUESTS = tuple(Request(*words) for words in product(COLOURS, SHAPES, SIDES))
"""Everything that can be asked: 36 requests."""


def say(request: Request, rng: np.random.Generator, wording: int = 0, other: str = "") -> str:
    """Put a request into words, a sentence of this wording drawn at random.

    Args:
        request: what is asked.
        rng: draws the sentence.
        wording: 0 as in demonstrations, 1..3 as only in evaluation.
        other: another object of the scene, ``blue cylinder``.
    """
    sentences = WORDINGS[wording]
    return _phrase(sentences[int(rng.integers(len(sentences)))], request, other)


def _phrase(sentence: str, request: Request, other: str) -> str:
    words = {"colour": request.colour, "shape": request.shape, "side": request.side}
    return sentence.format(**words, synonym=SYNONYMS[request.shape], other=other)


def understand(sentence: str) -> Request | None:
    """Return what a sentence asks; None for the empty one, which asks nothing.

    Capitals, extra spaces and a full stop do not matter.

    Raises:
        UsageError: nobody says so here; the message gives an example.
    """
    plain = _plain(sentence)
    if not plain:
        return None
    if plain not in _known():
        example = _phrase(WORDINGS[0][0], REQUESTS[0], "")
        raise UsageError(
            f"unknown instruction {sentence!r}; say it like {example!r}, "
            f"colours: {', '.join(COLOURS)}; shapes: {', '.join(SHAPES)}; sides: {', '.join(SIDES)}"
        )
    return _known()[plain]


def encode(sentence: str) -> tuple[float, ...]:
    """Return what a sentence asks as numbers: one of three shapes, one of two sides; or all 0.

    The colour is left out: no two objects of a scene have the same shape.
    """
    request = understand(sentence)
    if request is None:
        return (0.0,) * (len(SHAPES) + len(SIDES))
    shape = [float(name == request.shape) for name in SHAPES]
    return (*shape, *(float(name == request.side) for name in SIDES))


def _plain(sentence: str) -> str:
    return " ".join(sentence.lower().split()).rstrip(".! ")


@functools.cache
def _known() -> Mapping[str, Request]:
    """Return every sentence in its plain form with what it asks."""
    return {
        _plain(_phrase(sentence, request, f"{colour} {shape}")): request
        for request in REQUESTS
        for sentences in WORDINGS
        for sentence in sentences
        for colour, shape in product(COLOURS, SHAPES)
        if colour != request.colour and shape != request.shape
    }
