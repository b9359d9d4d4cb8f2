"""Commands run side by side, one core each, with what they print kept in a log file."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from envs.errors import UsageError
from envs.executor import Executor
from envs.local_workers import LOCAL
from envs.pool import Pool

PROGRAM = ("-m", "scripts.main")
POLL_S = 0.5
MENDABLE = 2
"""Exit code of a command whose user can mend what went wrong."""
ONE_CORE = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass(frozen=True)
class Job:
    """One ``armtrials`` command.

    Attributes:
        name: for messages.
        arguments: what follows ``armtrials``.
        log: file that takes its output.
    """

    name: str
    arguments: tuple[str, ...]
    log: Path


class JobFailedError(RuntimeError):
    """A job ended with an error; the message ends with the last line it printed."""


def run_jobs(
    jobs: Sequence[Job],
    workers: int,
    lock: Path,
    watch: Callable[[], None] = lambda: None,
    executor: Executor = LOCAL,
) -> None:
    """Run ``jobs`` in order, at most ``workers`` at a time; ``watch`` is called now and then.

    The jobs see one thread each. If one fails, or on Ctrl-C, the others are asked to stop (what
    they completed stays) and the first error is raised. The file ``lock`` is held by this process
    and by every job here: if this process is killed, the jobs it leaves behind still hold it. On a
    cluster a job whose machine is lost starts again elsewhere.

    Raises:
        JobFailedError: a job's exit code was not 0.
        UsageError: it was 2, what the user can mend; or the lock is held by another process, or
            its folder cannot be written.
    """
    if not executor.here:
        _run_away(jobs, Pool(_commander, workers, executor), lock, watch)
        return
    waiting = list(jobs)
    running: dict[subprocess.Popen[bytes], Job] = {}
    with _held(lock) as handle:
        terminated = signal.signal(signal.SIGTERM, _interrupt)
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.pop(0)
                    running[_start(job, handle)] = job
                time.sleep(POLL_S)
                watch()
                _reap(running)
        finally:
            _stop(list(running))
            signal.signal(signal.SIGTERM, terminated)


@contextmanager
def _held(lock: Path) -> Iterator[int]:
    """Hold the file ``lock`` and yield its descriptor."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"{lock.parent} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    except BlockingIOError:
        raise UsageError(
            f"{lock.parent} is in use: another process is at work, or jobs that were left behind "
            "when one was killed; wait for them to end"
        ) from None
    finally:
        os.close(handle)


def _reap(running: dict[subprocess.Popen[bytes], Job]) -> None:
    """Take out the jobs that have ended; raise if one failed."""
    for process in [process for process in running if process.poll() is not None]:
        job = running.pop(process)
        if process.returncode != 0:
            raise _failure(job, process.returncode)


def _failure(job: Job, code: int) -> Exception:
    kind = UsageError if code == MENDABLE else JobFailedError
    return kind(f"{job.name}: {_last_line(job.log)} (all of it: {job.log})")


def _run_away(
    jobs: Sequence[Job], pool: Pool[Job, int], lock: Path, watch: Callable[[], None]
) -> None:
    """Run the jobs on other machines, which share the folders with this one."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(POLL_S):
            watch()

    thread = threading.Thread(target=look, daemon=True)
    with _held(lock), pool:
        thread.start()
        try:
            for job, code in zip(jobs, pool.run(jobs), strict=True):
                if code != 0:
                    raise _failure(job, code)
        finally:
            over.set()
            thread.join()


def _commander() -> Callable[[Job], int]:
    return _command


def _command(job: Job) -> int:
    """Run a command in this process, a worker's, and return its exit code."""
    from scripts.main import EXIT_INTERRUPTED, main

    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a") as log, redirect_stdout(log), redirect_stderr(log):
        code = main(job.arguments)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat a request to end as Ctrl-C, so that no job is left behind."""
    raise KeyboardInterrupt


def _start(job: Job, handle: int) -> subprocess.Popen[bytes]:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *PROGRAM, *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ONE_CORE},
            pass_fds=(handle,),
            start_new_session=True,  # Ctrl-C reaches only us: we ask it to stop, once
        )


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    if not lines:
        return "it printed nothing"
    return lines[-1].removeprefix("armtrials: error: ").partition(" (run again with --debug")[0]
