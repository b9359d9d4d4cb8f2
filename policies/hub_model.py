"""What policies around a model of ``transformers`` share: its weights, its words, its pictures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from envs.errors import UsageError
from policies.augment import as_float
from policies.base import Algorithm, AlgorithmConfig, PolicySpec
from policies.hub import folder_of, load_json, load_model, load_tokenizer, weights_hash

PAD = -1
"""Behind, or before, the last token of a sentence."""


@dataclass(frozen=True)
class HubConfig(AlgorithmConfig):
    """Settings of a policy around a model of ``transformers``.

    Attributes:
        weights: folder of the model, or its name in the local cache of the hub.
        sha256: of its safetensors files, see ``hub.weights_hash``; "" is not compared.
        words: most tokens of an instruction.
    """

    weights: str = ""
    sha256: str = ""
    words: int = 48

    def __post_init__(self) -> None:
        """Refuse more than one observation: such models see the present."""
        super().__post_init__()
        if self.n_obs != 1:
            raise UsageError(f"n_obs must be 1 for a model of transformers, got {self.n_obs}")


class HubAlgorithm(Algorithm):
    """A model of ``transformers`` as an algorithm of the pixel track.

    Attributes:
        needs: class of ``transformers`` that is loaded.
        families: ``model_type`` of the models that it may be.
    """

    Config: ClassVar = HubConfig
    config: HubConfig
    language: ClassVar[bool] = True
    needs: ClassVar[str]
    families: ClassVar[Collection[str]]

    def __init__(self, config: HubConfig, spec: PolicySpec) -> None:
        """Load tokenizer and weights.

        Raises:
            UsageError: no weights named, not on this machine, others than they were, of another
                family or incomplete, or no camera.
        """
        super().__init__(config, spec)
        check_named(config)
        if not spec.images:
            raise UsageError(f"{type(self).__name__} sees pictures: it belongs to --track pixels")
        check_weights(config)
        self.network: Any = load_model(config.weights, self.needs, self.families)
        self.tokenizer = load_tokenizer(config.weights)
        how = load_json(folder_of(config.weights) / "preprocessor_config.json")
        self._mean, self._std = (how.get(k, [0.5] * 3) for k in ("image_mean", "image_std"))

    def prompt(self, sentence: str) -> str:
        """Return what the model is given to read for an instruction."""
        return sentence

    def read(self, sentences: Sequence[str]) -> Tensor:
        """Return the tokens of prompts (B, words), ``PAD`` before the first."""
        out = torch.full((len(sentences), self.config.words), PAD)
        for row, sentence in zip(out, sentences, strict=True):
            ids = self.tokenizer(self.prompt(sentence), add_special_tokens=False)["input_ids"]
            ids = [*self._begin(), *ids][: self.config.words]
            row[len(row) - len(ids) :] = torch.tensor(ids)
        return out

    def _begin(self) -> list[int]:
        first = self.tokenizer.bos_token_id
        return [] if first is None else [int(first)]

    def pixels(self, obs: Mapping[str, Tensor], side: int) -> Tensor:
        """Return the cameras' pictures (B, cameras, 3, side, side), scaled as the model wants."""
        shown = [_square(as_float(obs[key][:, -1]).permute(0, 3, 1, 2), side) for key in self._keys]
        x = torch.stack(shown, dim=1)
        mean, std = (x.new_tensor(v).reshape(3, 1, 1) for v in (self._mean, self._std))
        return ((x - mean) / std).contiguous()

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.spec.images

    def prefix(self, told: Tensor, image_token: int, each: int) -> tuple[Tensor, Tensor]:
        """Return input ids (B, T) and their mask: the pictures' places, then the words.

        Args:
            told: as from ``read``.
            image_token: id that stands where a picture's features go.
            each: tokens a picture.
        """
        places = told.new_full((len(told), each * len(self._keys)), image_token)
        ids = torch.cat([places, told.clamp(min=0)], dim=1)
        mask = torch.cat([torch.ones_like(places), (told != PAD).long()], dim=1)
        return ids, mask


def with_weights(config: AlgorithmConfig, weights: str | None) -> AlgorithmConfig:
    """Return the settings around these weights, with their hash; as they are with None.

    Raises:
        UsageError: no algorithm around a model, one without weights, or weights that are not on
            this machine.
    """
    if weights is None:
        check_named(config)
        return config
    if not isinstance(config, HubConfig):
        raise UsageError(f"--weights belongs to pi0 and vlm, got {weights!r} for another algorithm")
    return replace(config, weights=weights, sha256=weights_hash(weights))


def check_named(config: AlgorithmConfig) -> None:
    """Refuse settings around a model that do not name it."""
    if isinstance(config, HubConfig) and not config.weights:
        name = type(config).__name__.removesuffix("Config")
        raise UsageError(f"{name} starts from weights: armtrials train --weights FOLDER or a name")


def beside(config: AlgorithmConfig, folder: Path) -> AlgorithmConfig:
    """Return the settings with the weights in ``folder``, where there are some."""
    if isinstance(config, HubConfig) and folder.is_dir():
        return replace(config, weights=str(folder))
    return config


def check_weights(config: HubConfig) -> None:
    """Refuse weights that are not those that a checkpoint was made beside."""
    if not config.sha256:
        return
    found = weights_hash(config.weights)
    if found != config.sha256:
        raise UsageError(
            f"an adapter for another base: it was made beside weights {config.sha256[:12]}, those "
            f"in {config.weights} are {found[:12]}; place the right ones there, or in the "
            "adapter's subfolder 'base'"
        )


def _square(images: Tensor, side: int) -> Tensor:
    """Resize (B, 3, h, w) into a square, the rest black: nothing is stretched."""
    height, width = images.shape[-2:]
    scale = side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = functional.interpolate(images, size, mode="bilinear", antialias=True)
    down, right = side - size[0], side - size[1]
    return functional.pad(small, (right // 2, right - right // 2, down // 2, down - down // 2))
