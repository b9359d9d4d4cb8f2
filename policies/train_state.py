"""All that a training run needs to go on as if it had not stopped, in one safetensors file.

One file, so that its replacement is atomic; tensors and JSON, so that reading it runs no code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from envs.atomic import write_atomic
from envs.errors import UsageError
from policies.configs import canonical
from policies.optim import Ema
from policies.parallel import ALONE, Team

FILE = "resume.safetensors"


@dataclass
class TrainState:
    """The moving parts of a training run.

    Attributes:
        optimizer: of the trained network.
        ema: the average; its ``source`` is the trained network.
        rng: draws the windows.
        augment: draws the augmentation.
        step: optimiser steps done.
        seconds: (wall-clock, CPU) spent.
        loss: (sum, count) since the last log line.
        history: (training, validation) loss at each validation.
        team: the processes that train together.
    """

    optimizer: torch.optim.Optimizer
    ema: Ema
    rng: np.random.Generator
    augment: torch.Generator
    step: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)
    loss: tuple[float, int] = (0.0, 0)
    history: tuple[tuple[float, float], ...] = ()
    team: Team = ALONE

    def save(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Write the state atomically; ``identity`` says which run it belongs to.

        All processes call it: the first one writes, with the generators of all.
        """
        generators = self.team.gather(self._generators())
        if not self.team.leads:
            return
        tensors = {f"model/{k}": v for k, v in self._kept(self.ema.source).items()}
        if self.ema.active:
            tensors |= {f"ema/{k}": v for k, v in self._kept(self.ema.model).items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": v for k, v in moments.items()}
        tensors |= {f"rng/{name}": state for name, state in generators.items()}
        numbers = {
            "step": self.step,
            "seconds": self.seconds,
            "loss": self.loss,
            "history": self.history,
            "rng": self.rng.bit_generator.state,
            "identity": dict(identity),
        }
        data = save_tensors(
            {k: v.detach().cpu().contiguous() for k, v in tensors.items()},
            metadata={"state": canonical(numbers).decode()},
        )
        write_atomic(folder / FILE, data)

    def _generators(self) -> dict[str, Tensor]:
        """Return the states of this process's generators."""
        states = {"torch": torch.get_rng_state(), "augment": self.augment.get_state()}
        return states | ({"cuda": torch.cuda.get_rng_state()} if self._on_cuda else {})

    def restore(self, folder: Path) -> None:
        """Continue from the state stored in ``folder``.

        Raises:
            UsageError: the file is broken.
        """
        path = folder / FILE
        numbers = _numbers(path)
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in load_tensors(path.read_bytes()).items():
            group, _, key = name.partition("/")
            groups.setdefault(group, {})[key] = tensor
        whole = not self._frozen
        self.ema.source.load_state_dict(groups["model"], strict=whole)
        if self.ema.active:
            self.ema.model.load_state_dict(groups["ema"], strict=whole)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups.get("optimizer", {}).items():
            index, _, key = name.partition("/")
            moments.setdefault(int(index), {})[key] = tensor
        settings = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": settings})
        torch.set_rng_state(groups["rng"][self.team.key("torch")])
        self.augment.set_state(groups["rng"][self.team.key("augment")])
        if self._on_cuda:
            torch.cuda.set_rng_state(groups["rng"][self.team.key("cuda")])
        self.rng.bit_generator.state = numbers["rng"]
        self.step = int(numbers["step"])
        self.seconds = (float(numbers["seconds"][0]), float(numbers["seconds"][1]))
        self.loss = (float(numbers["loss"][0]), int(numbers["loss"][1]))
        self.history = tuple((float(a), float(b)) for a, b in numbers["history"])

    @property
    def _frozen(self) -> bool:
        return not all(p.requires_grad for p in self.ema.source.parameters())

    def _kept(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the state of a network; of one that is adapted, what is learned."""
        state: dict[str, Tensor] = model.state_dict()
        if not self._frozen:
            return state
        names = {name for name, p in self.ema.source.named_parameters() if p.requires_grad}
        return {name: value for name, value in state.items() if name in names}

    @property
    def _on_cuda(self) -> bool:
        return next(self.ema.source.parameters()).is_cuda


def identity_of(folder: Path) -> dict[str, Any] | None:
    """Return the identity of the run stored in ``folder``; ``None`` if there is none."""
    path = folder / FILE
    return dict(_numbers(path)["identity"]) if path.exists() else None


def step_of(folder: Path) -> int | None:
    """Return the step of the run stored in ``folder``; ``None`` if there is none."""
    path = folder / FILE
    return int(_numbers(path)["step"]) if path.exists() else None


def discard(folder: Path) -> None:
    """Remove the stored state."""
    (folder / FILE).unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a kill in the middle of a save left behind."""
    for partial in folder.glob(".*.part"):
        partial.unlink(missing_ok=True)


def _numbers(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "np") as file:
            numbers: dict[str, Any] = json.loads((file.metadata() or {})["state"])
            return numbers
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UsageError(
            f"{path} is broken ({error}): train again with --no-resume to start over"
        ) from error
