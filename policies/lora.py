"""Low-rank adaptation (Hu et al. 2022): the weights stay, a small product is learned beside each.

A linear layer x W becomes x W + (alpha / rank) x A B with A (inputs, rank) and B (rank, outputs),
B zero at first. The layers are peft's; what is saved of a training are A and B alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from envs.errors import UsageError

EVERY = "all"
PRODUCT = ".lora_"
"""Part of the name of every parameter of a product, as peft calls them."""
NOTHING = ("\0",)
"""The beginning of no name."""


@dataclass(frozen=True)
class LoraConfig:
    """How much is learned beside which layers.

    Attributes:
        rank: of the product; at most the smaller side of the largest layer, see ``check_rank``.
        alpha: its scale is ``alpha / rank``; None: the rank, a scale of 1.
        layers: last part, or any longer end, of the names of linear layers; ``("all",)``: every
            one.
        dropout: rate of what goes into the product.
    """

    rank: int = 16
    alpha: int | None = None
    layers: tuple[str, ...] = (EVERY,)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if self.rank < 1:
            raise UsageError(
                f"LoRA rank must be at least 1, got {self.rank}; leave --lora away to train all "
                "weights"
            )
        if self.alpha is not None and not self.alpha > 0:
            raise UsageError(f"LoRA alpha must be positive, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"LoRA dropout must be in 0..1, got {self.dropout}")
        if not self.layers:
            raise UsageError("LoRA layers must name at least one, or all")


def linear_layers(model: nn.Module) -> list[str]:
    """Return the names of all linear layers, but for those that share a table's weights."""
    tables = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    return [
        name
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear) and id(part.weight) not in tables
    ]


def chosen_layers(model: nn.Module, config: LoraConfig) -> list[str]:
    """Return the names of the layers that ``config`` means.

    Raises:
        UsageError: a name that is no layer's; the known ones are listed.
    """
    names = linear_layers(model)
    if config.layers == (EVERY,):
        return names
    for layer in config.layers:
        if not any(_means(layer, name) for name in names):
            known = sorted({name.rsplit(".", 1)[-1] for name in names} - set("0123456789"))
            raise UsageError(
                f"unknown LoRA layer {layer!r}; known: {', '.join([EVERY, *known])}, "
                f"or the end of a longer name, such as {names[-1]!r}"
            )
    return [name for name in names if any(_means(layer, name) for layer in config.layers)]


def _means(layer: str, name: str) -> bool:
    return name == layer or name.endswith(f".{layer}")


def check_rank(model: nn.Module, names: Sequence[str], rank: int) -> None:
    """Refuse a rank above that of every adapted layer: its product would be larger than they are.

    A layer (inputs, outputs) has at most rank min(inputs, outputs). Smaller layers among larger
    ones take a product of the same rank, as usual.

    Args:
        model: has the layers.
        names: of the linear layers that are adapted; at least one.
        rank: of the products.

    Raises:
        UsageError: so it is; the message names the layer with the highest rank.
    """
    shapes = {
        name: (part.in_features, part.out_features)
        for name, part in model.named_modules()
        if name in names and isinstance(part, nn.Linear)
    }
    name, shape = max(shapes.items(), key=lambda item: min(item[1]))
    if rank > min(shape):
        raise UsageError(
            f"LoRA rank must be at most {min(shape)} here, got {rank}: none of the {len(shapes)} "
            f"adapted layers has a higher one ({name} is {shape[0]} x {shape[1]}); leave --lora "
            "away to train all weights"
        )


def attach(model: nn.Module, config: LoraConfig, whole: tuple[str, ...] = ()) -> None:
    """Freeze ``model`` and put a product beside each of the chosen layers, in place.

    Args:
        model: keeps its results until the products are trained.
        config: how much, where.
        whole: beginnings of the names of parameters that stay trainable as they are.

    Raises:
        UsageError: a layer that is not known, none that is adapted, or a rank that no layer has.
    """
    try:
        from peft import LoraConfig as Peft  # imports transformers: seconds
        from peft import inject_adapter_in_model
    except ImportError as error:
        raise UsageError("adapters need peft: pip install 'armtrials[vla]'") from error
    names = [name for name in chosen_layers(model, config) if not name.startswith(whole or NOTHING)]
    if not names:
        raise UsageError(
            f"LoRA layers {', '.join(config.layers)} leave none to adapt: those are trained "
            f"entirely as it is; name others, or {EVERY}"
        )
    check_rank(model, names, config.rank)
    settings = Peft(
        r=config.rank,
        lora_alpha=config.rank if config.alpha is None else config.alpha,
        lora_dropout=config.dropout,
        target_modules=names,
    )
    inject_adapter_in_model(settings, model)
    for parameter in learned(model, whole).values():
        parameter.requires_grad_(True)


def learned(model: nn.Module, whole: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Return the products, and what else ``attach`` left trainable, by name."""
    named = model.named_parameters()
    return {name: p for name, p in named if PRODUCT in name or name.startswith(whole or NOTHING)}


def restore(model: nn.Module, stored: Mapping[str, Tensor], whole: tuple[str, ...] = ()) -> None:
    """Load what ``learned`` gave into a model with the same products attached.

    Raises:
        ValueError: other names or shapes.
    """
    mine = learned(model, whole)
    if set(mine) != set(stored):
        odd = sorted(set(mine) ^ set(stored))
        raise ValueError(f"{len(odd)} weights do not fit, such as {odd[0]}")
    with torch.no_grad():
        for name, parameter in mine.items():
            if parameter.shape != stored[name].shape:
                found = tuple(stored[name].shape)
                raise ValueError(f"{name} must have shape {tuple(parameter.shape)}, got {found}")
            parameter.copy_(stored[name])


def merge(model: nn.Module) -> None:
    """Add each product to its layer's weights and take it away: plain layers again, in place."""
    from peft.tuners.lora import LoraLayer

    for name, part in list(model.named_modules()):
        if isinstance(part, LoraLayer):
            part.merge()
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, part.get_base_layer())
    model.requires_grad_(True)
