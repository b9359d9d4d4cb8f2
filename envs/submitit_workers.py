"""Workers on a SLURM cluster, through submitit: every share of the jobs is one job of SLURM.

The working folder must be on a file system that the machines share. What submitit keeps of a job
stands in ``FOLDER`` while it runs, and stays there if it died.
"""

import contextlib
import math
import os
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from envs.cluster import briefing, missing, own_paths
from envs.errors import UsageError
from envs.executor import Answer, Duty, Executor, Make, Worker, WorkerDiedError
from envs.threads import THREADS, one_thread

SHARES = 4
"""Jobs of SLURM a worker: what an interruption may lose, against starting a process for each."""
TIME_MIN = 240
"""Minutes that SLURM gives a job unless ``time`` says otherwise."""
POLL_S = 0.2
END_S = 10.0
"""Seconds that a job which is ended is waited for."""
PLACES = ("slurm", "local", "debug")
COUNTS = {
    "time": "timeout_min",
    "cpus_per_task": "cpus_per_task",
    "gpus_per_node": "gpus_per_node",
    "gpus": "gpus_per_node",
    "mem_gb": "mem_gb",
}
"""Option -> submitit's parameter that takes a whole number."""
WORDS = (
    "partition", "account", "qos", "constraint", "exclude", "nodelist", "comment", "gres", "mem",
    "mail_type", "mail_user", "dependency",
)  # fmt: skip
"""Options that go to SLURM as they are."""


class SubmititExecutor(Executor):
    """Jobs of SLURM, or, with ``cluster=local``, of this machine as submitit runs them."""

    attempts: ClassVar[int] = 4

    def __init__(self, options: Mapping[str, str], folder: Path = Path("slurm")) -> None:
        """Check the options.

        Raises:
            UsageError: submitit or SLURM is missing, or an option is not known.
        """
        try:
            import submitit
        except ImportError:
            raise missing("submitit", "submitit") from None
        given = dict(options)
        place = given.pop("cluster", "slurm")
        if place not in PLACES:
            raise UsageError(f"unknown --slurm cluster={place}; known: {', '.join(PLACES)}")
        if place == "slurm" and shutil.which("sbatch") is None:
            raise UsageError(
                "--executor submitit needs SLURM, and there is no sbatch on this machine: run it "
                "on a login node (--slurm cluster=local tries it out here)"
            )
        self.folder = (
            Path(given.pop("folder", folder)).absolute() / f"{os.uname().nodename}-{os.getpid()}"
        )
        self._submit = submitit.AutoExecutor(self.folder / "%j", cluster=place)
        self._submit.update_parameters(**parameters(given))

    def share(self, jobs: int, workers: int) -> int:
        """Return so many that each worker gets ``SHARES`` shares."""
        return max(1, math.ceil(jobs / (SHARES * workers)))

    def hire(self, make: Make) -> "SubmititWorker":
        """Return a place in the queue; nothing starts before there are jobs."""
        return SubmititWorker(self._submit, Duty(make, briefing()), self.folder)

    def wait(self, workers: Sequence[Worker]) -> list[Worker]:
        """Ask again and again which jobs have ended."""
        while True:
            if done := [w for w in workers if isinstance(w, SubmititWorker) and w.done()]:
                return list(done)
            time.sleep(POLL_S)


def parameters(options: Mapping[str, str]) -> dict[str, Any]:
    """Return options as submitit names them.

    Raises:
        UsageError: an unknown option, or a value that must be a whole number and is none.
    """
    found: dict[str, Any] = {
        "name": "armtrials",
        "timeout_min": TIME_MIN,
        "slurm_setup": [
            *(f"export {name}=1" for name in THREADS),
            f"export PYTHONPATH={shlex.quote(':'.join(own_paths()))}${{PYTHONPATH:+:$PYTHONPATH}}",
        ],
    }
    for name, value in options.items():
        if name in COUNTS:
            if not value.isdecimal():
                raise UsageError(f"--slurm {name} must be a whole number, got {value!r}")
            found[COUNTS[name]] = int(value)
        elif name in WORDS:
            found[f"slurm_{name}"] = value
        else:
            known = ", ".join(sorted({*COUNTS, *WORDS, "cluster", "folder"}))
            raise UsageError(f"unknown --slurm {name}; known: {known}")
    return found


class SubmititWorker(Worker):
    """One job of SLURM at a time."""

    def __init__(self, submit: Any, duty: Duty, folder: Path) -> None:  # noqa: ANN401  (submitit's)
        """Do the jobs of ``duty`` in what ``submit`` starts; its files go to ``folder``."""
        self._submit, self._duty, self._folder = submit, duty, folder
        self._job: Any = None

    def send(self, jobs: Sequence[Any]) -> None:
        """Put the jobs into the queue of SLURM."""
        from submitit.core.utils import FailedJobError

        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with one_thread():
                self._job = self._submit.submit(_Share(), self._duty, list(jobs))
        except FailedJobError as error:
            raise UsageError(f"SLURM refused the job: {error}") from error

    def done(self) -> bool:
        """Whether the job has ended, one way or another."""
        return bool(self._job.done())

    def receive(self) -> list[Answer]:
        """Read what the job left behind, and remove that."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        job, self._job = self._job, None
        try:
            answers: list[Answer] = job.result()
        except (UncompletedJobError, FailedJobError) as error:
            why = str(error).strip().splitlines()[-1]
            raise WorkerDiedError(f"{why}; its log: {job.paths.folder}") from None
        shutil.rmtree(job.paths.folder, ignore_errors=True)
        return answers

    def stop(self) -> None:
        """Take the job out of the queue, or end it; leave no folder that is empty."""
        if self._job is not None:
            self._job.cancel(check=False)
            limit = time.monotonic() + END_S
            while not self._job.done() and time.monotonic() < limit:
                time.sleep(POLL_S)
            shutil.rmtree(self._job.paths.folder, ignore_errors=True)
            self._job = None
        for script in self._folder.glob(".submission_file_*.sh"):  # SLURM has a copy
            script.unlink(missing_ok=True)
        for folder in (self._folder / "%j", self._folder, self._folder.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()


class _Share:
    """What one job of SLURM does."""

    def __call__(self, duty: Duty, jobs: Sequence[Any]) -> list[Answer]:
        """Do the jobs, on a machine of the cluster."""
        from submitit.core.utils import UncompletedJobError

        duty.deadly = UncompletedJobError  # raised when time is up and SLURM queues it no more
        return [duty(job) for job in jobs]

    def checkpoint(self, duty: Duty, jobs: Sequence[Any]) -> Any:  # noqa: ANN401  (submitit's)
        """Return what to do after SLURM took the machine away and queued the job again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, duty, jobs)
