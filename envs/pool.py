"""Workers that do jobs; results come in the order of the jobs, whoever does them and where."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Self, TypeVar

from envs.errors import UsageError
from envs.executor import Executor, Worker, WorkerDiedError
from envs.local_workers import LOCAL
from envs.threads import one_thread

Job = TypeVar("Job")
Result = TypeVar("Result")


class Pool(Generic[Job, Result]):
    """A fixed number of workers; use it in a ``with`` statement.

    Each worker calls ``make()`` once (to load what jobs share) and then the function it returned
    on every job. With one worker on this machine all happens in this process. A job whose worker
    dies is done again by another one, so every job has one result.
    """

    def __init__(
        self,
        make: Callable[[], Callable[[Job], Result]],
        workers: int,
        executor: Executor = LOCAL,
    ) -> None:
        """Prepare ``workers`` workers of ``executor``; ``make`` must be picklable."""
        if workers < 1:
            raise UsageError(f"workers must be at least 1, got {workers}")
        self._make, self._size, self._executor = make, workers, executor
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        """Return the pool; workers start with the first jobs."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers, in the middle of a job if need be."""
        while self._workers:
            self._workers.pop().stop()

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Do all jobs; yield their results in order as soon as they are there.

        Raises:
            UsageError: a job raised one, or its workers died ``Executor.attempts`` times.
            RuntimeError: a job raised something else; the message holds its traceback.
        """
        if self._size == 1 and self._executor.here:
            with one_thread():
                work = self._make()
            yield from (work(job) for job in jobs)
            return
        round_ = _Round[Result](len(jobs), self._executor.share(len(jobs), self._size))
        turn = 0
        while turn < len(jobs):
            self._assign(jobs, round_)
            engaged = [worker for worker in self._workers if worker.numbers or not worker.up]
            for worker in self._executor.wait(engaged):
                self._hear(worker, jobs, round_)
            while turn in round_.results:
                yield round_.results.pop(turn)
                turn += 1
            if turn in round_.fatal:
                raise round_.fatal[turn]

    def _assign(self, jobs: Sequence[Job], round_: "_Round[Result]") -> None:
        """Give every idle worker jobs; start the workers that are missing."""
        while len(self._workers) < self._size and len(round_.waiting) > self._idle():
            self._workers.append(self._executor.hire(self._make))
        for worker in self._workers:
            if worker.up and not worker.numbers and round_.waiting:
                worker.numbers = round_.take()
                worker.send([jobs[number] for number in worker.numbers])

    def _idle(self) -> int:
        return sum(not worker.numbers for worker in self._workers)

    def _hear(self, worker: Worker, jobs: Sequence[Job], round_: "_Round[Result]") -> None:
        """Take a worker's answers; one that died leaves the pool, and its jobs wait again."""
        numbers = worker.numbers
        try:
            answers = worker.receive()
        except WorkerDiedError as death:
            self._workers.remove(worker)
            worker.stop()
            tried = round_.lose(numbers)
            if tried >= self._executor.attempts:
                where = f"on {jobs[numbers[0]]}" if numbers else "as it started"
                round_.give_up(numbers, _death(tried, where, death))
            return
        if not answers:
            worker.up = True
            return
        for number, answer in zip(numbers, answers, strict=True):
            if isinstance(answer, Exception):
                raise answer
            round_.results[number] = answer[0]
        round_.stillborn = 0
        worker.numbers = ()


class _Round(Generic[Result]):
    """The jobs of one call: those that wait, how often they were tried, what came of them."""

    def __init__(self, count: int, share: int) -> None:
        self.waiting = deque(range(count))
        self.results: dict[int, Result] = {}
        self.fatal: dict[int, UsageError] = {}
        self.attempts = [0] * count
        self.stillborn = 0
        self._share = share

    def take(self) -> tuple[int, ...]:
        """Take the next share; jobs whose worker died go one by one, to find the deadly one."""
        taken = [self.waiting.popleft()]
        fresh = not self.attempts[taken[0]]
        while fresh and self.waiting and len(taken) < self._share:
            if self.attempts[self.waiting[0]]:
                break
            taken.append(self.waiting.popleft())
        for number in taken:
            self.attempts[number] += 1
        return tuple(taken)

    def lose(self, numbers: Sequence[int]) -> int:
        """Let the jobs of a dead worker wait again; return how often these died."""
        self.waiting.extendleft(reversed(numbers))
        if not numbers:
            self.stillborn += 1
            return self.stillborn
        return max(self.attempts[number] for number in numbers)

    def give_up(self, numbers: Sequence[int], error: UsageError) -> None:
        """Let ``error`` be raised after the results before it."""
        if not numbers:
            raise error
        self.fatal[numbers[0]] = error
        self.waiting = deque(job for job in self.waiting if job < numbers[0])


def _death(times: int, where: str, death: WorkerDiedError) -> UsageError:
    return UsageError(
        f"a worker process died {times} times {where} ({death}); "
        "what was completed is kept: run the same command again with fewer --workers"
    )
