"""The loop in which somebody drives an arm; trials, the gate and deployments watch it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs.arm import Arm, Array, Observation
from policies.chunking import Controller
from policies.remote import PolicyGoneError
from real.verdict import INVALID_HARDWARE

POLICY_ERROR = "policy_error"
"""Why an episode ends whose policy raised, or gave what no arm can be told."""
SERVER_GONE = "server_gone"
"""Why an episode ends whose policy's server is gone: that says nothing about the policy."""
VOID = (INVALID_HARDWARE, SERVER_GONE)
"""Ends of trials that do not count."""
NO_ACTION = "the policy's answer was not finite or of another shape"
"""The reason of a policy error where nothing was raised."""


class PolicyError(RuntimeError):
    """The policy raised, or its answer was not finite or of another shape."""


class Pilot:
    """A policy at the controls of one arm; an ``Autonomy`` for who takes over from it.

    Attributes:
        seconds: what ``chunk`` took to compute [s]; 0 where an action was at hand.
        chunk: what was predicted, in force from this action on or, with a simulated delay, later
            (chunk, n); None where an action was at hand.
        action: what it was (n,).
        holding: whether it only holds the arm where it was: nothing is predicted yet.
    """

    def __init__(self, controller: Controller) -> None:
        """Carry chunks out by ``controller``."""
        self._controller = controller
        self._told, self._seed = "", 0
        self.relieve()

    def begin(self, instruction: str, seed: int) -> None:
        """Begin an episode; what is random in it follows from ``seed``."""
        self._told, self._seed = instruction, seed
        self.restart()

    def restart(self) -> None:
        """Forget what was planned: somebody else has moved the arm."""
        self._controller.reset([self._told], [self._seed])
        self.relieve()

    def relieve(self) -> None:
        """Nobody asks the policy in this period."""
        self.seconds = 0.0
        self.chunk: Array | None = None
        self.action: Array | None = None
        self.holding = False

    def act(self, observation: Observation) -> Array:
        """Return the targets (n,) of this control period.

        Raises:
            PolicyError: the policy raised, or its answer cannot be carried out.
            PolicyGoneError: its server is gone.
        """
        batch = {key: np.asarray(value)[None] for key, value in observation.items()}
        try:
            action: Array = self._controller.action(batch)[0]
        except PolicyGoneError:
            raise
        except Exception as error:  # any crash of a policy is a result of its trial
            raise PolicyError(f"{type(error).__name__}: {error}") from error
        if self._controller.errors[0]:
            raise PolicyError(NO_ACTION)
        predicted = self._controller.predicted
        if predicted is not None:
            self.chunk, self.seconds = predicted[0], self._controller.seconds
        else:
            self.chunk, self.seconds = None, 0.0
        self.action, self.holding = action, self._controller.step <= self._controller.delay
        return action


@dataclass(frozen=True, eq=False)
class Period:
    """One control period: what was seen, the targets (n,) that answered it, what came of it."""

    seen: Observation
    action: Array
    after: Observation


@dataclass(frozen=True)
class Ended:
    """Why driving ended early, and that in words; both empty where it did not."""

    ends: str = ""
    reason: str = ""


def drive(
    arm: Arm,
    seen: Observation,
    act: Callable[[Observation], Array],
    periods: int,
    watch: Callable[[Period], bool],
) -> Ended:
    """Let ``act`` answer what is seen until somebody says that it is over.

    Where nothing answers any more nothing is commanded, and the arm holds.

    Args:
        arm: at a start.
        seen: its first observation.
        act: returns targets (n,).
        periods: at most so many.
        watch: told every control period, also that in which the arm was stopped; True: enough.
    """
    try:
        for _ in range(periods):
            try:
                action = act(seen)
            except PolicyError as error:
                return Ended(POLICY_ERROR, str(error))
            try:
                after = arm.command(action)
            except RuntimeError as error:  # the safety chain ends the episode; hardware fails
                watch(Period(seen, action, _last(arm, seen)))
                return Ended(getattr(error, "ends", INVALID_HARDWARE), str(error))
            if watch(Period(seen, action, after)):
                break
            seen = after
    except PolicyGoneError as gone:  # also of a policy that ``watch`` has begin anew
        return Ended(SERVER_GONE, str(gone))
    return Ended()


def _last(arm: Arm, seen: Observation) -> Observation:
    """Return what can still be seen of an arm that was stopped."""
    try:
        return arm.observe()
    except RuntimeError:
        return seen
