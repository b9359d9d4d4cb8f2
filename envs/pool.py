"""Worker processes that do jobs; results come in the order of the jobs, whoever does them."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Generic, Self, TypeVar

from envs.errors import UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")

ATTEMPTS = 2
"""How often a job is tried when the worker that does it dies."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")


class _Worker:
    """One process, the pipe to it, and the job it is doing."""

    def __init__(self, make: Callable[[], Callable[[Job], Result]]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(make, other), daemon=True)
        self.job = -1
        with one_thread():
            self.process.start()
        other.close()

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Pool(Generic[Job, Result]):
    """A fixed number of worker processes; use it in a ``with`` statement.

    Each worker calls ``make()`` once (to load what jobs share) and then the function it returned
    on every job. With one worker all happens in this process.
    """

    def __init__(self, make: Callable[[], Callable[[Job], Result]], workers: int) -> None:
        """Prepare ``workers`` processes; ``make`` must be picklable."""
        if workers < 1:
            raise UsageError(f"workers must be at least 1, got {workers}")
        self._make, self._size = make, workers
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        """Return the pool; processes start with the first jobs."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all workers, in the middle of a job if need be."""
        while self._workers:
            self._workers.pop().stop()

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Do all jobs; yield their results in order as soon as they are there.

        Raises:
            UsageError: a job raised one, or its worker died ``ATTEMPTS`` times.
            RuntimeError: a job raised something else; the message holds its traceback.
        """
        if self._size == 1:
            with one_thread():
                work = self._make()
            yield from (work(job) for job in jobs)
            return
        waiting, results = deque(range(len(jobs))), dict[int, Result]()
        attempts = [0] * len(jobs)
        fatal: dict[int, UsageError] = {}
        turn = 0
        while turn < len(jobs):
            self._assign(jobs, waiting, attempts)
            for worker in self._ready():
                number = worker.job
                if not self._collect(worker, results):
                    if attempts[number] >= ATTEMPTS:
                        fatal[number] = UsageError(_death(jobs[number], worker.process.exitcode))
                        waiting = deque(job for job in waiting if job < number)
                    else:
                        waiting.appendleft(number)
            while turn in results:
                yield results.pop(turn)
                turn += 1
            if turn in fatal:
                raise fatal[turn]

    def _assign(self, jobs: Sequence[Job], waiting: deque[int], attempts: list[int]) -> None:
        """Give every idle worker a job; start the workers that are missing."""
        while len(self._workers) < self._size and len(waiting) > self._idle():
            self._workers.append(_Worker(self._make))
        for worker in self._workers:
            if worker.job < 0 and waiting:
                worker.job = waiting.popleft()
                attempts[worker.job] += 1
                _try_send(worker.pipe, jobs[worker.job])

    def _idle(self) -> int:
        return sum(worker.job < 0 for worker in self._workers)

    def _ready(self) -> list[_Worker]:
        """Wait until a busy worker has answered or died."""
        busy = {worker.pipe: worker for worker in self._workers if worker.job >= 0}
        return [busy[pipe] for pipe in wait(list(busy)) if isinstance(pipe, Connection)]

    def _collect(self, worker: _Worker, results: dict[int, Result]) -> bool:
        """Take a worker's answer; False if it died (then it is gone from the pool)."""
        try:
            answer = worker.pipe.recv()
        except (EOFError, ConnectionError):
            worker.process.join(5)
            self._workers.remove(worker)
            worker.stop()
            return False
        if isinstance(answer, Exception):
            raise answer
        results[worker.job] = answer[0]
        worker.job = -1
        return True


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the libraries of processes started here use one thread each: the bytes depend on it."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _try_send(pipe: Connection, job: object) -> None:
    """Send a job; a worker that died meanwhile is noticed when its answer is read."""
    try:
        pipe.send(job)
    except (BrokenPipeError, ConnectionError):
        return


def _death(job: object, code: int | None) -> str:
    return (
        f"a worker process died {ATTEMPTS} times on {job} (exit code {code}; out of memory?); "
        "what was completed is kept: run the same command again with fewer --workers"
    )


def _serve(make: Callable[[], Callable[[Job], Result]], pipe: Connection) -> None:
    """Do jobs until the parent closes the pipe or is gone; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    work: Callable[[Job], Result] | None = None
    while True:
        try:
            job = pipe.recv()
            work = work or make()
            pipe.send((work(job),))
        except (EOFError, ConnectionError):
            return
        except UsageError as error:
            pipe.send(error)
        except Exception:
            pipe.send(RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))


def _end_with_the_parent() -> None:
    """End this worker when its parent is killed: what it writes would meet the next command's."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
