"""The sequential test of a session: of every pair of policies, asked after each complete block.

With more than two policies the error is shared among the pairs (Bonferroni), so that the chance of
any wrong claim stays below the session's alpha. A pair that is decided stays decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.planner import discordance, resolution, sequential_power
from benchmarks.session.state import State
from benchmarks.stats.sequential import Decision, SignTest, Stopping

CONTINUE, DECIDED, UNDECIDED = "continue", "decided", "undecided"
GAPS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Differences whose power a plan tells."""

Pair = tuple[int, int]


def rule(alpha: float, blocks: int, arms: int) -> Stopping:
    """Return the stopping rule of one pair."""
    return Stopping(alpha / max(1, arms * (arms - 1) // 2), blocks)


def rule_of(state: State) -> Stopping:
    """Return the stopping rule of one pair of a session."""
    terms = state.lock.terms
    return rule(terms.alpha, terms.blocks, state.lock.arms)


@dataclass(frozen=True)
class Asked:
    """What the test of a pair said after a number of complete blocks."""

    block: int
    pair: Pair
    wins: int
    losses: int
    boundary: int
    decision: Decision


def path(state: State) -> tuple[Asked, ...]:
    """Return what every test said after every complete block, until it decided."""
    found = []
    outcomes = state.outcomes()
    for pair in combinations(range(state.lock.arms), 2):
        test = SignTest(rule_of(state))
        for number, block in enumerate(outcomes, 1):
            test.update(block[pair[0]], block[pair[1]])
            boundary = test.boundary
            found.append(Asked(number, pair, test.wins, test.losses, boundary, test.decision))
            if test.decision is not Decision.CONTINUE:
                break
    return tuple(found)


def decision(state: State) -> str:
    """Return ``continue``, ``decided`` (of every pair) or ``undecided`` (the blocks are over)."""
    last = {asked.pair: asked.decision for asked in path(state)}
    if state.complete >= state.lock.terms.blocks:
        whole = last and Decision.UNDECIDED not in last.values()
        return DECIDED if whole else UNDECIDED
    going_on = not last or Decision.CONTINUE in last.values()
    return CONTINUE if going_on else DECIDED


def told(state: State) -> str:
    """Say what the test said after the last complete block, and not who leads."""
    terms, done = state.lock.terms, state.complete
    if state.lock.arms == 1:
        return f"{done} of {terms.blocks} trials; one policy: nothing to compare"
    words = {
        CONTINUE: "go on",
        DECIDED: "stop, it has decided",
        UNDECIDED: "stop, no difference was found",
    }
    return f"after {done} of at most {terms.blocks} blocks: {words[decision(state)]}"


def plan(
    blocks: int, arms: int, alpha: float, better: float, correlation: float, seed: int = 0
) -> Sequence[str]:
    """Tell what so many blocks can show, by the power of the very test that decides.

    Args:
        blocks: complete blocks at most.
        arms: policies.
        alpha: two-sided error over all pairs.
        better: success rate of the better policy.
        correlation: of the difficulty of a start for both.
        seed: of the sampled patterns of discordance.
    """
    stopping = rule(alpha, blocks, arms)
    shares = " over all pairs" if arms > 2 else ""
    width = 100 * resolution(blocks, better, correlation, alpha=alpha).half_width
    lines = [
        f"{blocks} blocks of {arms}: at most {blocks * arms} trials.",
        f"A success rate near {better:.0%} is known to ±{width:.0f} points.",
    ]
    if arms == 1:
        return lines
    lines.append(
        f"The sequential test ({100 * alpha:g} % two-sided{shares}, correlation {correlation:g}):"
    )
    for gap in GAPS:
        worse = round(better - gap, 6)
        if worse <= 0:
            continue
        found = sequential_power(
            stopping, *discordance(better, worse, correlation), np.random.default_rng(seed)
        )
        lines.append(
            f"  {better:.0%} against {worse:.0%}: found with power {found.power:.2f} after "
            f"{found.mean_trials:.0f} blocks in the mean; the wrong way round {found.wrong:.4f}"
        )
    return lines
