"""An adapter as a checkpoint folder: what was learned beside a base, which it names by hash.

The folder has the files of any checkpoint. Its weights are the learned products alone; config.json
says under ``adapter`` which base they belong to, provenance.json where that lay. It is looked for
in the adapter's own subfolder ``base`` first, then where it lay relative to the adapter, then
there.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from envs.errors import UsageError
from policies.base import Algorithm
from policies.configs import from_json, to_json
from policies.lora import LoraConfig, attach, merge, restore
from policies.train_config import TrainConfig
from policies.trained import TrainedPolicy, inherit

BASE = "base"
"""Subfolder of an adapter in which its base may lie."""
ADAPTER = "adapter"
"""Entry of config.json, of an adapter alone."""


def describe_adapter(lora: LoraConfig | None, base: TrainedPolicy | None) -> dict[str, Any]:
    """Return what config.json says of an adapter: settings, and the hashes of the base.

    An algorithm that brings its own base (``base`` None) names it in its settings. Without
    ``lora`` it is none, and nothing is said.
    """
    if lora is None:
        return {}
    named = None if base is None else {k: base.hashes[k] for k in ("weights", "config")}
    return {ADAPTER: {"lora": to_json(lora), BASE: named}}


def whereabouts(config: TrainConfig) -> dict[str, Any]:
    """Return what provenance.json says of an adapter: where its base lies, in two ways."""
    base = config.initial
    if config.lora is None or base is None:
        return {}
    away = os.path.relpath(base, config.out)
    return {BASE: {"relative": away, "absolute": str(Path(base).resolve())}}


def apply_adapter(
    algorithm: Algorithm,
    stored: Mapping[str, Tensor],
    entry: Mapping[str, Any],
    places: list[Path],
    load: Callable[[Path], TrainedPolicy],
) -> None:
    """Give ``algorithm`` the base's weights and add what was learned beside them, in place.

    Args:
        algorithm: freshly built.
        stored: the adapter's weights.
        entry: ``adapter`` of config.json.
        places: where the base may lie; the first is where the user should place it.
        load: reads a checkpoint folder.

    Raises:
        UsageError: the base is not there, or what is there is another one.
        ValueError: the weights do not fit.
    """
    if entry[BASE] is not None:
        inherit(algorithm, _base(entry[BASE], places, load).algorithm)
    attach(algorithm, from_json(LoraConfig, entry["lora"], "config.json"), algorithm.whole)
    restore(algorithm, stored, algorithm.whole)
    merge(algorithm)


def places_of(folder: Path, provenance: Mapping[str, Any]) -> list[Path]:
    """Return the folders in which the base of the adapter in ``folder`` is looked for."""
    lay = provenance.get(BASE) or {}
    known = [folder / lay["relative"], Path(lay["absolute"])] if lay else []
    return [folder / BASE, *known]


def _base(
    named: Mapping[str, str], places: list[Path], load: Callable[[Path], TrainedPolicy]
) -> TrainedPolicy:
    """Return the base by its hashes from the first place that has a folder."""
    wanted = named["weights"]
    for place in places:
        if not place.is_dir():
            continue
        policy = load(place)
        found = policy.hashes["weights"]
        if found != wanted or policy.hashes["config"] != named["config"]:
            raise UsageError(
                f"{places[0].parent} is an adapter for another base: it was made beside weights "
                f"{wanted[:12]}, those in {place} are {found[:12]}; place the right one in "
                f"{places[0]}"
            )
        return policy
    raise UsageError(
        f"{places[0].parent} is an adapter and its base (weights {wanted[:12]}) is missing: place "
        f"the checkpoint folder it was trained from in {places[0]}; looked in "
        f"{', '.join(map(str, places))}"
    )
