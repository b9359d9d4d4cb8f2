"""Workers on a Ray cluster: one actor each; a machine that leaves takes its jobs back to the queue.

The working folder must be on a file system that the machines share.
"""

import logging
import os
import socket
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from envs.cluster import briefing, missing, own_paths
from envs.errors import UsageError
from envs.executor import Answer, Duty, Executor, Make, Worker, WorkerDiedError
from envs.threads import THREADS

LOG = logging.getLogger(__name__)
KNOWN = ("address", "cpus", "gpus")
KNOCK_S = 5.0
"""A head that has not answered by then is not there; Ray itself asks for minutes."""


class RayExecutor(Executor):
    """Actors on a cluster that runs already."""

    attempts: ClassVar[int] = 4

    def __init__(self, options: Mapping[str, str]) -> None:
        """Check the options and join the cluster.

        Raises:
            UsageError: Ray or the cluster is missing, or an option is not known.
        """
        try:
            import ray
        except ImportError:
            raise missing("ray", "ray") from None
        if unknown := sorted(set(options) - set(KNOWN)):
            raise UsageError(f"unknown --ray {unknown[0]}; known: {', '.join(KNOWN)}")
        self._ray = ray
        self._needs = {
            "num_cpus": _number(options, "cpus", 1),
            "num_gpus": _number(options, "gpus", 0),
        }
        self._join(options.get("address") or os.environ.get("RAY_ADDRESS") or "auto")
        self._check_size()

    def _join(self, address: str) -> None:
        if self._ray.is_initialized():
            return
        try:
            _knock(address)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=FutureWarning)  # of Ray about its future
                self._ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"no Ray cluster at {address}: start one with `ray start --head`, or name it with "
                f"--ray address=HOST:PORT ({' '.join(str(error).split())})"
            ) from error

    def _check_size(self) -> None:
        """Say so if no worker can start as the cluster is."""
        there = self._ray.cluster_resources()
        for kind, name in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
            if there.get(name, 0) < self._needs[kind]:
                LOG.warning(
                    "the Ray cluster has %g %s, a worker needs %g: it waits until more join",
                    there.get(name, 0), name, self._needs[kind],
                )  # fmt: skip

    def hire(self, make: Make) -> "RayWorker":
        """Start an actor; it comes up where and when the cluster has room."""
        kind = self._ray.remote(**self._needs, max_restarts=0)(_station())
        actor = kind.remote(own_paths(), dict.fromkeys(THREADS, "1"))
        return RayWorker(self._ray, actor, Duty(make, briefing()))

    def wait(self, workers: Sequence[Worker]) -> list[Worker]:
        """Wait for the first actors that have something to say."""
        busy = {worker.ref: worker for worker in workers if isinstance(worker, RayWorker)}
        ready, _ = self._ray.wait(list(busy), num_returns=1)
        return [busy[ref] for ref in ready]


class RayWorker(Worker):
    """One actor, and what it was asked last."""

    up = False

    def __init__(self, ray: Any, actor: Any, duty: Duty) -> None:  # noqa: ANN401  (Ray's own)
        """Tell the actor its duty."""
        self._ray, self._actor = ray, actor
        self.ref = actor.begin.remote(duty)

    def send(self, jobs: Sequence[Any]) -> None:
        """Ask the actor to do the jobs."""
        self.ref = self._actor.do.remote(list(jobs))

    def receive(self) -> list[Answer]:
        """Fetch the answers; none from an actor that has just come up."""
        try:
            answers: list[Answer] = self._ray.get(self.ref)
        except self._ray.exceptions.RayTaskError as error:  # what its machine cannot even import
            raise WorkerDiedError(str(error).strip().splitlines()[-1]) from None
        except self._ray.exceptions.RayError as error:
            raise WorkerDiedError(str(error).strip().splitlines()[0]) from None
        return answers

    def stop(self) -> None:
        """End the actor's process."""
        self._ray.kill(self._actor)


def _station() -> type:
    """Return the class of the actors.

    It is made in here so that it travels by value: an actor prepares its process (paths of modules,
    one thread) before anything of ours, and with it numpy, is imported there.
    """

    class Station:
        def __init__(self, paths: list[str], environment: dict[str, str]) -> None:
            import os
            import sys

            os.environ.update(environment)
            sys.path[:0] = [path for path in paths if path not in sys.path[: len(paths)]]

        def begin(self, duty: Any) -> list[Any]:  # noqa: ANN401  (what a type names is imported)
            self.duty = duty
            return []

        def do(self, jobs: list[Any]) -> list[Any]:
            return [self.duty(job) for job in jobs]

    return Station


def _knock(address: str) -> None:
    """Connect to ``HOST:PORT``, with or without ``ray://``, and hang up; any other word passes.

    Raises:
        OSError: nobody answers there.
        ValueError: the port is no number.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        with socket.create_connection((host.strip("[]"), int(port)), KNOCK_S):
            pass


def _number(options: Mapping[str, str], name: str, usual: float) -> float:
    try:
        value = float(options.get(name, usual))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"--ray {name} must be a number from 0 up, got {options[name]!r}")
    return value
