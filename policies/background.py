"""Predictions that are computed by a thread while the actions before them are carried out."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from envs.arm import Array
from policies.base import Policy
from policies.chunking import Controller

THREAD = "prediction"
"""Beginning of the name of the thread that predicts."""


class Background(Controller):
    """A ``Controller`` with a delay during which time passes, as on an arm.

    The actions are those of a ``Controller`` with the same delay. A prediction is begun at step s
    and taken at step s + ``delay``; where it is not there by then, ``action`` waits for it. What
    the policy raises is raised there, and ``errors``, ``predicted`` and ``seconds`` tell of a
    prediction when it is taken. The policy is used by one thread at a time.
    """

    def __init__(
        self, policy: Policy, execute: int | None, ensemble: float | None, delay: int
    ) -> None:
        """Wrap ``policy``; see ``Controller``.

        Raises:
            ValueError: a delay below 1, or one that chunks cannot have.
        """
        if delay < 1:
            raise ValueError(f"delay must be at least 1 to predict meanwhile, got {delay}")
        super().__init__(policy, execute, ensemble, delay)
        self._thread = ThreadPoolExecutor(1, THREAD)
        self._running: Future[tuple[Array, float]] | None = None

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials; a prediction of the old ones is waited for, and no more."""
        if self._running is not None:
            wait([self._running])
            self._running = None
        super().reset(instructions, seeds)

    def close(self) -> None:
        """Wait for the prediction that is being computed; end the thread."""
        self._thread.shutdown()

    def _predict(self) -> Array | None:
        """Take the prediction that is due, then begin the next; return what was taken."""
        taken, begun = None, self.step - self.delay
        if self._running is not None and begun % self.execute == 0:
            answer = self._running.result()
            self._running = None
            taken = self._keep(begun, *answer)
        if self.step % self.execute == 0:
            self._running = self._thread.submit(self._asked, self._seen())
        return taken
