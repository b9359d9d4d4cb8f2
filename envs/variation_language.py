"""Variations of what the arm is told: other words for the same, and nothing or something else."""

from envs.arm import InitialCondition
from envs.factor import BOTH, PIXELS, Bound, Draw, Variation, add_factor
from envs.task import Task


def _draw_language(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Say the same in words that no demonstration has used."""
    wording = int(b["wording"]) if d.at_bound else int(d.rng.integers(int(b["wording"]) + 1))
    told = task.reword(start, wording, d.rng)
    return add_factor(start, "language", {"wording": wording, "instruction": told})


def _draw_empty(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    return add_factor(start, "empty_instruction", {"instruction": ""})


def _draw_wrong(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Tell the arm something else than what is judged."""
    return add_factor(start, "wrong_instruction", {"instruction": task.mislead(start, d.rng)})


LANGUAGE = Variation(
    "language", "other words: synonyms, paraphrases, reordered or with a distracting clause",
    ({"wording": 1}, {"wording": 2}, {"wording": 3}),
    # In the state track the instruction arrives as its meaning, which no wording changes.
    PIXELS, _draw_language, words=True,
)  # fmt: skip

_ONCE: tuple[Bound, Bound, Bound] = ({}, {}, {})
NEGATIVE = (
    Variation("empty_instruction", "told nothing", _ONCE, BOTH, _draw_empty, words=True),
    Variation("wrong_instruction", "told another thing", _ONCE, BOTH, _draw_wrong, words=True),
)
