"""A vision-language model that acts by writing: OpenVLA's recipe (Kim et al. 2024).

Each number of a chunk of actions is one of the last tokens of the vocabulary, 256 bins, and the
model writes them one after another behind a question. Any of the families in ``FAMILIES`` of
``transformers`` will do, SmolVLM among them, on which SmolVLA is built. OpenVLA's own weights need
code from their repository, which is never run here: they act over the policy server
(docs/serving.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from envs.errors import UsageError
from policies.action_tokens import BINS, to_actions, to_tokens
from policies.base import PolicySpec, Preset, TrainDefaults
from policies.denoiser import mean_error
from policies.hub_model import HubAlgorithm, HubConfig

QUESTION = "In: What action should the robot take to {}?\nOut:"


def _square_grid(config: Any) -> int:  # noqa: ANN401
    """Return the tokens of a picture: one a patch."""
    vision = config.vision_config
    return int((vision.image_size // vision.patch_size) ** 2)


def _shuffled_grid(config: Any) -> int:  # noqa: ANN401
    """Return the tokens of a picture: one for ``scale_factor`` squared patches."""
    return _square_grid(config) // int(config.scale_factor) ** 2


FAMILIES: Mapping[str, tuple[Callable[[Any], int], bool]] = {
    "paligemma": (_square_grid, False),
    "llava": (_square_grid, False),
    "idefics3": (_shuffled_grid, True),
    "smolvlm": (_shuffled_grid, True),
}
"""By ``model_type``: how many tokens a picture takes, and whether pictures keep an axis."""


@dataclass(frozen=True)
class VlmConfig(HubConfig):
    """Settings of a model that writes actions.

    Attributes:
        bins: tokens of the vocabulary, its last ones, that are actions.
    """

    chunk: int = 8
    execute: int = 8
    bins: int = BINS
    words: int = 64


LORA = TrainDefaults(steps=2000, batch=8, lr=5e-4, schedule="constant", warmup=0, weight_decay=1e-2)
"""Rate of OpenVLA's fine-tuning, which with LoRA of rank 32 is 5e-4 throughout."""


class Vlm(HubAlgorithm):
    """A vision-language model and a table between actions and the last of its tokens."""

    Config: ClassVar = VlmConfig
    config: VlmConfig
    needs: ClassVar[str] = "AutoModelForImageTextToText"
    families: ClassVar[Mapping[str, Any]] = FAMILIES
    PRESETS: ClassVar[Mapping[tuple[str, str], Preset]] = {
        ("pixels", "quick"): Preset(VlmConfig(), replace(LORA, steps=500)),
        ("pixels", "cpu"): Preset(VlmConfig(), LORA),
        ("pixels", "paper"): Preset(
            VlmConfig(chunk=1, execute=1), replace(LORA, steps=50_000, batch=16, precision="fp32")
        ),
    }

    def __init__(self, config: VlmConfig, spec: PolicySpec) -> None:
        """Load the model; refuse one of another family."""
        super().__init__(config, spec)
        count, self._axis = FAMILIES[self.network.config.model_type]
        self._each = count(self.network.config)
        self.actions: Tensor
        self.register_buffer("actions", self._last_tokens(), persistent=False)

    def _last_tokens(self) -> Tensor:
        """Return the ids of bins 0, 1, ...: from the vocabulary's end, special ones passed over."""
        size = int(self.network.get_output_embeddings().weight.shape[0])
        special = {*self.tokenizer.all_special_ids, int(self.network.config.image_token_id)}
        free = [i for i in reversed(range(size)) if i not in special][: self.config.bins]
        if len(free) < self.config.bins:
            raise UsageError(f"bins must be at most {len(free)}, got {self.config.bins}")
        return torch.tensor(free)

    def prompt(self, sentence: str) -> str:
        """Return OpenVLA's question."""
        return QUESTION.format(sentence.strip().lower())

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the cross-entropy of the action tokens, padding left out."""
        bins = to_tokens(batch["action"], self.config.bins)
        logits = self.logits(batch, bins.flatten(1)[:, :-1])
        error = functional.cross_entropy(
            logits.flatten(0, 1).float(), bins.flatten(), reduction="none"
        )
        return mean_error(error.reshape(bins.shape), batch["pad"]), {}

    def logits(self, obs: Mapping[str, Tensor], written: Tensor) -> Tensor:
        """Return logits over the bins (B, k + 1, bins) of each number, given those before.

        Args:
            obs: what is seen and told.
            written: bins of the first k numbers (B, k).
        """
        ids, mask, pictures = self._given(obs)
        ids = torch.cat([ids, self._ids(written)], dim=1)
        mask = torch.cat([mask, torch.ones_like(written)], dim=1)
        kinds = torch.zeros_like(mask)
        if written.shape[1]:
            kinds[:, -written.shape[1] :] = 1
        out = self.network(**self._inputs(ids, mask, kinds), pixel_values=pictures, use_cache=False)
        return self._bins(out.logits[:, -written.shape[1] - 1 :])

    def predict(self, obs: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Write the likeliest bin of each number, one after another."""
        ids, mask, pictures = self._given(obs)
        kinds = torch.zeros_like(mask)
        out = self.network(**self._inputs(ids, mask, kinds), pixel_values=pictures, use_cache=True)
        numbers = self.config.chunk * self.spec.n
        written = [self._bins(out.logits[:, -1]).argmax(-1, keepdim=True)]
        while len(written) < numbers:
            mask = torch.cat([mask, torch.ones_like(written[-1])], dim=1)
            out = self.network(
                input_ids=self._ids(written[-1]),
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=out.past_key_values,
                use_cache=True,
            )
            written.append(self._bins(out.logits[:, -1]).argmax(-1, keepdim=True))
        chunk = torch.cat(written, dim=1).reshape(-1, self.config.chunk, self.spec.n)
        return to_actions(chunk, self.config.bins)

    def _given(self, obs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids and mask of the question, and the pictures."""
        config: Any = self.network.config
        pictures = self.pixels(obs, int(config.vision_config.image_size))
        ids, mask = self.prefix(obs["sentence"], int(config.image_token_id), self._each)
        return ids, mask, pictures if self._axis else pictures.flatten(0, 1)

    def _inputs(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> dict[str, Tensor]:
        """Return what the network reads; some tell a question from an answer by ``kinds``."""
        given = {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        }
        return given | ({"token_type_ids": kinds} if self._tells_apart else {})

    @property
    def _tells_apart(self) -> bool:
        return bool(self.network.config.model_type == "paligemma")

    def _ids(self, bins: Tensor) -> Tensor:
        """Return the tokens of bins."""
        return self.actions[bins]

    def _bins(self, logits: Tensor) -> Tensor:
        """Return logits over the bins of logits over the vocabulary."""
        return logits[..., self.actions]
