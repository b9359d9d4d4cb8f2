"""pi0 (Black et al. 2024) as it stands in ``transformers``: weights that a user has, adapted here.

A vision-language model reads pictures and instruction, a smaller transformer beside it turns noise
into a chunk of actions by flow matching. The network is ``PI0ForConditionalGeneration``; ours are
the scaling of joints and actions, the padding to its widths, and LoRA. Where the time of its flow
is 1 there is noise: the other way round than in ``policies.flow``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from envs.errors import UsageError
from policies.base import PolicySpec, Preset, TrainDefaults
from policies.denoiser import mean_error
from policies.hub_model import HubAlgorithm, HubConfig

RARELY = 1e-3
"""Least time of the flow that training draws, as openpi does."""


@dataclass(frozen=True)
class Pi0Config(HubConfig):
    """Settings of pi0.

    Attributes:
        denoise: steps of Euler's method at inference.
    """

    chunk: int = 50
    execute: int = 25
    denoise: int = 10

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        super().__post_init__()
        if self.denoise < 1:
            raise UsageError(f"denoise must be at least 1, got {self.denoise}")


TRAINING = TrainDefaults(
    steps=5000, batch=8, lr=2.5e-5, warmup=1000, weight_decay=1e-10, betas=(0.9, 0.95),
    normalization="meanstd",
)  # fmt: skip
"""Optimiser of openpi; its batch is 32, its steps 30 000."""
ADAPTING = replace(TRAINING, lr=2e-4, warmup=100)


class Pi0(HubAlgorithm):
    """pi0 with LoRA, or trained entirely."""

    Config: ClassVar = Pi0Config
    config: Pi0Config
    needs: ClassVar[str] = "PI0ForConditionalGeneration"
    families: ClassVar[tuple[str, ...]] = ("pi0",)
    whole: ClassVar[tuple[str, ...]] = ("network.embed_action_time", "network.action_out_proj")
    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("pixels", "quick"): Preset(Pi0Config(), replace(ADAPTING, steps=500)),
        ("pixels", "cpu"): Preset(Pi0Config(), replace(ADAPTING, steps=2000)),
        ("pixels", "paper"): Preset(
            Pi0Config(), replace(TRAINING, steps=30_000, batch=32, precision="fp32")
        ),
    }

    def __init__(self, config: Pi0Config, spec: PolicySpec) -> None:
        """Load the network; refuse more joints or longer chunks than it has room for."""
        super().__init__(config, spec)
        room: Any = self.network.config
        if max(spec.n, spec.observations["qpos"][0]) > min(room.max_action_dim, room.max_state_dim):
            raise UsageError(f"{config.weights} acts with at most {room.max_action_dim} joints")
        if config.chunk != room.chunk_size:
            raise UsageError(
                f"{config.weights} predicts chunks of {room.chunk_size}, asked for {config.chunk}"
            )

    def prompt(self, sentence: str) -> str:
        """Return the instruction and the line break that ends it."""
        return f"{sentence.strip()}\n"

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(chunk, the network's action width): what the flow starts from."""
        return (self.config.chunk, int(self.network.config.max_action_dim))

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the direction at random times, padding left out.

        Times are drawn as openpi does: Beta(1.5, 1), most where there is much noise.
        """
        action = self._wide(batch["action"], self.noise_shape[1])
        noise = torch.randn_like(action)
        drawn = torch.rand(len(action), device=action.device).pow(1 / 1.5)  # Beta(1.5, 1)
        time = drawn * (1 - RARELY) + RARELY
        at = time[:, None, None]
        found = self._direction(self._given(batch), at * noise + (1 - at) * action, time)
        error = (found.float() - (noise - action)).square()[..., : self.spec.n]
        return mean_error(error, batch["pad"]), {}

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Follow the field from ``noise`` (B, chunk, width) at time 1 to time 0."""
        if noise is None:
            raise ValueError(f"noise must have shape (B, {self.noise_shape}), got None")
        given = self._given(obs)
        prefix = self._prefix(given)
        x, steps = noise, self.config.denoise
        for step in range(steps):
            time = torch.full((len(x),), 1 - step / steps, device=x.device)
            x = x - self._direction(given, x, time, prefix).float() / steps
        return x[..., : self.spec.n]

    def _given(self, obs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return observations as the network takes them."""
        vision: Any = self.network.config.vlm_config
        side, patch = vision.vision_config.image_size, vision.vision_config.patch_size
        pictures = self.pixels(obs, side)
        ids, mask = self.prefix(obs["sentence"], vision.image_token_id, (side // patch) ** 2)
        return {
            "state": self._wide(obs["qpos"][:, -1], int(self.network.config.max_state_dim)),
            "input_ids": ids,
            "attention_mask": mask,
            "pixel_values": pictures,
            "pixel_attention_mask": torch.ones(
                pictures.shape[:2], dtype=torch.bool, device=ids.device
            ),
        }

    def _prefix(self, given: Mapping[str, Tensor]) -> Any:  # noqa: ANN401  (a cache of keys)
        """Let the language model read pictures and words once for all steps."""
        model = self.network.model
        mask = given["attention_mask"]
        names = ("input_ids", "pixel_values", "pixel_attention_mask")
        embedded = model.embed_prefix(*(given[name] for name in names))
        return model.vlm(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            token_type_ids=torch.zeros_like(mask),
            use_cache=True,
        ).past_key_values

    def _direction(
        self,
        given: Mapping[str, Tensor],
        noisy: Tensor,
        time: Tensor,
        prefix: Any = None,  # noqa: ANN401
    ) -> Tensor:
        """Return the direction at ``noisy`` (B, chunk, width) and ``time`` (B,)."""
        prefix = self._prefix(given) if prefix is None else prefix
        length = prefix.get_seq_length()
        out: Tensor = self.network(
            state=given["state"],
            noise=noisy,
            timestep=time,
            attention_mask=given["attention_mask"],
            past_key_values=prefix,
        ).logits
        prefix.crop(length - prefix.get_seq_length())  # the next step does not read this one
        return out

    @staticmethod
    def _wide(values: Tensor, width: int) -> Tensor:
        return functional.pad(values, (0, width - values.shape[-1]))
