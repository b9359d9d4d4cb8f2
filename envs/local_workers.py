"""Worker processes on this machine: the executor that is used unless another is named."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, ClassVar

from envs.executor import Answer, Duty, Executor, Make, Worker, WorkerDiedError
from envs.threads import one_thread


class LocalExecutor(Executor):
    """Processes of this machine."""

    here: ClassVar[bool] = True

    def hire(self, make: Make) -> "LocalWorker":
        """Start a process."""
        return LocalWorker(make)

    def wait(self, workers: Sequence[Worker]) -> list[Worker]:
        """Wait for the pipes."""
        busy = {worker.pipe: worker for worker in workers if isinstance(worker, LocalWorker)}
        return [busy[pipe] for pipe in wait(list(busy)) if isinstance(pipe, Connection)]


LOCAL = LocalExecutor()


class LocalWorker(Worker):
    """One process and the pipe to it."""

    def __init__(self, make: Make) -> None:
        """Start it."""
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(make, other), daemon=True)
        with one_thread():
            self.process.start()
        other.close()

    def send(self, jobs: Sequence[Any]) -> None:
        """Send the job; a process that died meanwhile is noticed when its answer is read."""
        try:
            self.pipe.send(jobs[0])
        except (BrokenPipeError, ConnectionError):
            return

    def receive(self) -> list[Answer]:
        """Read the answer."""
        try:
            return [self.pipe.recv()]
        except (EOFError, ConnectionError):
            self.process.join(5)
            raise WorkerDiedError(f"exit code {self.process.exitcode}; out of memory?") from None

    def stop(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(make: Make, pipe: Connection) -> None:
    """Do jobs until the parent closes the pipe or is gone; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    duty = Duty(make)
    while True:
        try:
            pipe.send(duty(pipe.recv()))
        except (EOFError, ConnectionError):
            return
        except Exception:  # a result that cannot be sent
            pipe.send(RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))


def _end_with_the_parent() -> None:
    """End this worker when its parent is killed: what it writes would meet the next command's."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
