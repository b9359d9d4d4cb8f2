"""Where work is done: what a pool asks of its workers, be they processes here or on a cluster.

An executor hires workers and waits for them. Order, retries and errors are the pool's
(``envs/pool.py``), so they are the same everywhere and no command knows which executor runs.
"""

import os
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from envs.errors import UsageError

Make = Callable[[], Callable[[Any], Any]]
"""Makes, once in a worker, the function that does its jobs."""
Answer = tuple[Any] | Exception
"""What came of a job: ``(result,)``, or what it raised."""


class WorkerDiedError(Exception):
    """A worker is gone; the message says how."""


class Worker(ABC):
    """One place where jobs are done, one after the other."""

    numbers: tuple[int, ...] = ()
    """Jobs it is doing, by their numbers; kept by the pool."""
    up: bool = True
    """Whether it takes jobs; a worker that is still starting says so by an empty answer."""

    @abstractmethod
    def send(self, jobs: Sequence[Any]) -> None:
        """Give it jobs to do; one that died meanwhile says so in ``receive``."""

    @abstractmethod
    def receive(self) -> list[Answer]:
        """Return the answers to the jobs that were sent.

        Raises:
            WorkerDiedError: it died before it had done them.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it, in the middle of a job if need be."""


class Executor(ABC):
    """Hires workers in one kind of place."""

    attempts: ClassVar[int] = 2
    """How often a job is tried when the worker that does it dies."""
    here: ClassVar[bool] = False
    """Whether a single worker is this process itself."""

    def share(self, jobs: int, workers: int) -> int:
        """Return how many of ``jobs`` a worker is given at a time."""
        return 1

    @abstractmethod
    def hire(self, make: Make) -> Worker:
        """Start one worker; ``make`` must be picklable."""

    @abstractmethod
    def wait(self, workers: Sequence[Worker]) -> list[Worker]:
        """Wait until some of ``workers`` have answered, come up or died; return these."""


@dataclass(frozen=True)
class Briefing:
    """What a worker on another machine must find there as it is here.

    Attributes:
        folder: the working folder: relative paths start there.
        marks: versions and the code, by name (``envs/cluster.py``).
        look: returns the marks of the place where it is called.
    """

    folder: str
    marks: Mapping[str, str]
    look: Callable[[], Mapping[str, str]]

    def follow(self, host: str) -> None:
        """Work in the same folder with the same software.

        Raises:
            UsageError: that cannot be on ``host``; the message says why.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise UsageError(
                f"{host} has no folder {self.folder}: all machines of a cluster must share it, "
                "under the same path"
            ) from error
        found = self.look()
        other = [f"{k} {found.get(k)} (here {v})" for k, v in self.marks.items() if v != found[k]]
        if other:
            raise UsageError(f"{host} has other software, results would differ: {', '.join(other)}")


class Duty:
    """Does jobs where it is called, whatever they raise; what jobs share is made once."""

    deadly: type[Exception] | None = None
    """What ends the worker rather than being the answer to a job."""

    def __init__(self, make: Make, briefing: Briefing | None = None) -> None:
        """Do the jobs of ``make()``; on another machine after a ``briefing``."""
        self._make, self._briefing = make, briefing
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, job: Any) -> Answer:  # noqa: ANN401  (any job, any result)
        """Do one job; errors are part of the answer, and one that is asked to end goes quietly."""
        try:
            return (self._ready()(job),)
        except UsageError as error:
            return error
        except Exception as error:
            if self.deadly is not None and isinstance(error, self.deadly):
                raise
            return RuntimeError(f"in a worker process:\n{traceback.format_exc()}")
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what was made: it is made anew where the duty goes."""
        return {**self.__dict__, "_work": None}

    def _ready(self) -> Callable[[Any], Any]:
        if self._work is None:
            if self._briefing is not None:
                self._briefing.follow(os.uname().nodename)
            self._work = self._make()
        return self._work
