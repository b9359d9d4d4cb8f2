"""Where the processes of a command run: options that several commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from envs.executor import Executor


@dataclass(frozen=True)
class Scale:
    """The executor and its options."""

    executor: Literal["local", "submitit", "ray"] = "local"
    """Where the --workers run: on this machine, as jobs of SLURM, or on a Ray cluster. What comes
    out does not depend on it."""
    slurm: tuple[str, ...] = ()
    """With --executor submitit, as NAME=VALUE: partition, time (minutes), account, qos, gpus,
    mem_gb, cpus_per_task, constraint and others; cluster=local tries it out on this machine."""
    ray: tuple[str, ...] = ()
    """With --executor ray, as NAME=VALUE: address (HOST:PORT of the head), and cpus and gpus of a
    worker."""

    def place(self) -> "Executor":
        """Return the executor.

        Raises:
            UsageError: its package or its cluster is missing, or an option is not known.
        """
        from envs.cluster import executor_of

        return executor_of(self.executor, self.slurm, self.ray)
