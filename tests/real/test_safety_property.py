"""The safety chain as a whole, ten thousand times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real.machine import Sensed
from real.rules import Rules
from real.safety import check
from real.stop import Reaction, StopRequest
from real.verdict import State, Tick
from tests.real.machines import EPS, TOY, assert_within, free

RULES = Rules.of(TOY)
ZERO = np.zeros(TOY.n)
AT = np.array([0.2, 0.5, 0.5])
WILD = np.array([np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 1e9, -1e9, 0.0])


def drawn(rng: np.random.Generator) -> np.ndarray:
    """Return three numbers: near the arm, somewhere, and now and then what no joint can do."""
    numbers = np.where(rng.random(3) < 0.5, rng.uniform(-3, 3, 3), AT + rng.normal(0, 0.05, 3))
    return np.where(rng.random(3) < 0.1, rng.choice(WILD, 3), numbers)


@pytest.mark.timeout(1200)  # ten seconds on an idle core
@settings(max_examples=10_000)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_that_is_not_finite_or_out_of_limits_ever_goes_out(seed) -> None:
    rng = np.random.default_rng(seed)
    state = State.at(AT, RULES)
    for _ in range(1 + seed % 2):
        before, measured = state, drawn(rng)
        age = rng.choice([0.0, 0.0, 0.0, 0.05, np.nan])
        seen = Sensed(measured, ZERO, ZERO, -age)
        wish = rng.choice([None, None, None, *Reaction])
        request = wish and StopRequest(wish, "test")
        action = None if rng.random() < 0.1 else drawn(rng)
        tick = Tick(action, seen, 0.0, watchdog_s=0.2, request=request)
        state, outcome = check(tick, state, RULES, free)
        assert_within(before, state, RULES)
        slower = np.maximum(np.abs(before.step) - RULES.bounds[1], 0.0) + EPS
        with np.errstate(invalid="ignore"):  # in measured space, too: only back in, or braking
            assert (state.step <= slower)[measured > RULES.upper + 0.03].all()
            assert (state.step >= -slower)[measured < RULES.lower - 0.03].all()
        if outcome.cleared is None:
            assert wish is Reaction.LIMP
        else:
            assert (outcome.cleared.target == state.target).all()
