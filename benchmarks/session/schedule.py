"""Which trials, in which order: randomised complete blocks, drawn from a seed.

A block is one initial condition met by every policy once, in an order of its own. So policies are
compared on the same starts, and whatever drifts within a session meets all of them alike.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from envs.errors import UsageError

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
DIGITS = "23456789"
"""Of blind codes, such as ``K7-T4``: no vowels, nothing that looks like something else."""


@dataclass(frozen=True)
class Planned:
    """A trial of the schedule.

    Attributes:
        place: number of it in the schedule.
        code: blind code; every trial has its own, so that nobody learns which one is good.
        block: number of the block.
        ic: initial condition of the protocol.
        arm: which of the policies, as numbered in the hidden key.
        rated: whether a second person rates its film.
    """

    place: int
    code: str
    block: int
    ic: int
    arm: int
    rated: bool


def draw(seed: int, blocks: int, arms: int, share: float) -> tuple[Planned, ...]:
    """Draw a schedule; the same arguments give the same.

    Args:
        seed: of the schedule.
        blocks: how many at most; block b has initial condition b.
        arms: policies.
        share: of the blocks whose films a second person rates, at least one unless 0.

    Raises:
        UsageError: numbers that make no schedule.
    """
    if blocks < 1 or arms < 1 or not 0 <= share <= 1 or seed < 0:
        raise UsageError(
            "needed: blocks >= 1, policies >= 1, seed >= 0 and a share in 0..1, got "
            f"{blocks}, {arms}, {seed}, {share:g}"
        )
    most = (len(LETTERS) * len(DIGITS)) ** 2
    if blocks * arms > most // 2:
        raise UsageError(f"a session has at most {most // 2} trials, got {blocks * arms}")
    order = np.random.default_rng([seed, 0])
    codes = np.random.default_rng([seed, 1]).permutation(most)[: blocks * arms]
    # The first block is always filmed: a session that ends early has something to rate.
    later = np.random.default_rng([seed, 2]).permutation(blocks - 1)[
        : max(0, ceil(share * blocks) - 1)
    ]
    rated = {0, *(int(b) + 1 for b in later)} if share else set()
    found: list[Planned] = []
    for block in range(blocks):
        for arm in order.permutation(arms):
            place = len(found)
            code = _code(int(codes[place]))
            found.append(Planned(place, code, block, block, int(arm), block in rated))
    return tuple(found)


def _code(number: int) -> str:
    """Return the code of a number: two pairs of a letter and a digit."""
    pair = len(LETTERS) * len(DIGITS)
    halves = (number // pair, number % pair)
    return "-".join(LETTERS[h // len(DIGITS)] + DIGITS[h % len(DIGITS)] for h in halves)
