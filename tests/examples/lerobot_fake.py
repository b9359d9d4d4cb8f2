"""What LeRobot would load, without LeRobot: a config, a policy that tells what came, processors."""

from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from lerobot_policy import Checkpoint
from torch import Tensor

STATE, TOP = "observation.state", "observation.images.top"
JOINTS = ("a", "b", "gripper")
CHUNK, EXECUTE = 4, 3


def config(kind: str = "act", state: int = 3, **images: tuple[int, ...]) -> Any:
    """Return a config as LeRobot's, of a state and images by the last part of their key."""
    seen = {f"observation.images.{name}": SimpleNamespace(shape=s) for name, s in images.items()}
    return SimpleNamespace(
        type=kind, input_features={STATE: SimpleNamespace(shape=(state,)), **seen},
        image_features=seen, action_feature=SimpleNamespace(shape=(3,)), n_obs_steps=1,
        chunk_size=CHUNK, max_action_dim=3, n_action_steps=EXECUTE, device="cpu", use_amp=False,
    )  # fmt: skip


class FakePolicy:
    """Answers the state that it sees, and noise: as LeRobot's policies, on normalised numbers."""

    def __init__(self, noisy: bool = False, queued: int = 0) -> None:
        self.noisy, self.queued = noisy, queued
        self.seen: Mapping[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        self._queues = {STATE: deque(maxlen=self.queued), "action": deque()} if self.queued else {}

    def predict_action_chunk(self, batch: Mapping[str, Any], noise: Tensor | None = None) -> Tensor:
        assert "action" not in batch
        self.seen = batch
        state = batch[STATE]
        if self.queued:
            state = torch.stack(list(self._queues[STATE]), dim=1).sum(1)
        chunk = state[:, None].repeat(1, CHUNK, 1)
        if self.noisy:
            chunk = chunk + (torch.randn(chunk.shape) if noise is None else noise)
        return chunk


def before(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Normalise the state by halving it; LeRobot's batches have an action, of None."""
    return {**batch, STATE: batch[STATE] / 2, "action": None}


def after(action: Tensor) -> Tensor:
    """Un-normalise actions (any, joints), one step a row."""
    assert action.ndim == 2
    return action * 2


def loaded(policy: FakePolicy | None = None, **told: Any) -> Checkpoint:
    return Checkpoint(policy or FakePolicy(), told.pop("config", config()), before, after)
