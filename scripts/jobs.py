"""Commands run side by side, one core each, with what they print kept in a log file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

PROGRAM = ("-m", "scripts.main")
POLL_S = 0.5
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


def run_jobs(jobs: Sequence[Job], workers: int, watch: Callable[[], None] = lambda: None) -> None:
    """Run ``jobs`` in order, at most ``workers`` at a time; ``watch`` is called now and then.

    The jobs see one thread each. If one fails, or on Ctrl-C, the others are asked to stop (what
    they completed stays) and the first error is raised.

    Raises:
        JobFailedError: a job's exit code was not 0.
    """
    waiting = list(jobs)
    running: dict[subprocess.Popen[bytes], Job] = {}
    terminated = signal.signal(signal.SIGTERM, _interrupt)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running[_start(job)] = job
            time.sleep(POLL_S)
            watch()
            for process in [p for p in running if p.poll() is not None]:
                job = running.pop(process)
                if process.returncode != 0:
                    raise JobFailedError(
                        f"{job.name} failed: {_last_line(job.log)} (see {job.log})"
                    )
    finally:
        _stop(list(running))
        signal.signal(signal.SIGTERM, terminated)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat a request to end as Ctrl-C, so that no job is left behind."""
    raise KeyboardInterrupt


def _start(job: Job) -> subprocess.Popen[bytes]:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *PROGRAM, *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ONE_CORE},
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
    return lines[-1].removeprefix("armtrials: ") if lines else "it printed nothing"
