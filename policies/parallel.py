"""Data parallel training: processes started by ``torchrun`` share every batch.

All of them draw the same windows and each takes its part; the gradients are averaged with the
number of actions behind each as its weight, so that their mean is the gradient of the whole batch
(up to rounding; a term that is a mean over windows, as the KL of ACT, is weighted like the rest).
Weights stay equal because the same update is made everywhere. The first process alone writes.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from envs.arm import Array
from envs.errors import UsageError
from envs.lock import locked
from policies.train_log import TrainLog

BACKENDS = "cpu:gloo,cuda:nccl"


@dataclass(frozen=True)
class Team:
    """The processes of one training.

    Attributes:
        rank: number of this one; 0 leads.
        size: how many there are.
        local: number of this one on its machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def part(self, first: Array) -> Array:
        """Return this process's share of a batch's window indices (B,)."""
        return first[self.rank :: self.size]

    def seed(self, seed: int) -> int:
        """Return the seed of this process's noise: the leader's is that of a single process."""
        if self.leads:
            return seed
        return int(np.random.SeedSequence((seed, self.rank)).generate_state(1)[0])

    def device(self, device: torch.device) -> torch.device:
        """Return this process's own of several GPUs; ``UsageError`` if there are too few."""
        if self.size == 1 or device.type != "cuda":
            return device
        if self.local >= torch.cuda.device_count():
            raise UsageError(
                f"process {self.local} of this machine has no GPU of its own: there are "
                f"{torch.cuda.device_count()}; start as many processes, or use --device cpu"
            )
        torch.cuda.set_device(self.local)
        return torch.device("cuda", self.local)

    def average(self, parameters: Iterable[nn.Parameter], loss: Tensor, pad: Tensor) -> float:
        """Make gradients those of the whole batch; return its loss.

        Args:
            parameters: with the gradients of this process's part.
            loss: of this process's part.
            pad: (B, chunk) what of the part does not count.
        """
        if self.size == 1:
            return float(loss.detach())
        weight = float((~pad).sum())
        sums = torch.tensor([float(loss.detach()) * weight, weight], dtype=torch.float64)
        dist.all_reduce(sums)
        total, count = sums.tolist()
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients]) * (weight / count)
        dist.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, mean in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))
        return float(total / count)

    def agree(self, *wishes: bool) -> list[bool]:
        """Return, for each wish, whether any process has it."""
        if self.size == 1:
            return list(wishes)
        votes = torch.tensor(wishes, dtype=torch.uint8)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return [bool(vote) for vote in votes]

    def meet(self) -> None:
        """Wait until all processes are here."""
        self.agree(True)

    def key(self, name: str) -> str:
        """Return what a state of this process is called among those of all."""
        return name if self.leads else f"{name}@{self.rank}"

    def gather(self, states: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the states (bytes, on the CPU) of all processes, by ``key``."""
        if self.size == 1:
            return dict(states)
        found: dict[str, Tensor] = {}
        for name, state in states.items():
            every = [torch.empty_like(state) for _ in range(self.size)]
            dist.all_gather(every, state)
            found |= {Team(rank, self.size).key(name): one for rank, one in enumerate(every)}
        return found

    def locked(self, folder: Path, busy: str) -> contextlib.AbstractContextManager[None]:
        """Let the leader lock ``folder`` for all, see ``envs.lock``."""
        return locked(folder, busy) if self.leads else contextlib.nullcontext()

    def log(self, folder: Path, step: int) -> TrainLog:
        """Return the log; that of a process that does not lead takes nothing."""
        return TrainLog(folder, step) if self.leads else _Silent()


ALONE = Team()


@contextmanager
def joined() -> Iterator[Team]:
    """Join the processes that ``torchrun`` has started, if it has; leave them at the end.

    Raises:
        UsageError: the others do not answer.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    try:
        dist.init_process_group(BACKENDS if torch.cuda.is_available() else "gloo")
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"WORLD_SIZE is {size}, and the other processes do not answer ({error}): start all of "
            "them with torchrun"
        ) from error
    try:
        yield Team(dist.get_rank(), size, int(os.environ.get("LOCAL_RANK", "0")))
    finally:
        dist.destroy_process_group()


def check_alone(what: str) -> None:
    """Refuse to be one of several processes of ``torchrun``, with ``what`` cannot be shared."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1:
        raise UsageError(f"{what} works in one process, got {size} of torchrun")


def following() -> bool:
    """Whether this process is one of several and not the first."""
    return int(os.environ.get("RANK", "0")) > 0


class _Silent(TrainLog):
    """A log that takes nothing."""

    def __init__(self) -> None:
        pass

    def write(self, step: int, values: Mapping[str, float | str]) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass
