"""Every algorithm small enough to train in a moment: its quick preset, shrunk."""

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from policies.attention import LayerConfig
from policies.base import ALGORITHMS, TRACKS
from policies.sentences import SentenceConfig
from policies.transformer import TransformerConfig
from policies.unet import UNetConfig
from policies.vision import VisionConfig

LAYER = LayerConfig(width=32, heads=4, feedforward=64, dropout=0.0, pre_norm=True)
VISION = VisionConfig(widths=(8, 16), strides=(1, 2), keypoints=4, features=6)
DENOISER = {
    "chunk": 16,
    "execute": 8,
    "patch": 4,
    "condition": (32, 32),
    "unet": UNetConfig(channels=(16, 32), groups=4, step=16),
    "transformer": TransformerConfig(layers=1, layer=LAYER),
    "vision": VISION,
}
SMALLER: Mapping[str, Mapping[str, Any]] = {
    "bc": {"hidden": (32,), "vision": VISION},
    "bc_rnn": {"hidden": 32, "horizon": 3, "chunk": 4, "execute": 2, "vision": VISION},
    "act": {
        "chunk": 20,
        "execute": 10,
        "patch": 5,
        "layer": LAYER,
        "encoder_layers": 1,
        "latent": 4,
        "hidden": 32,
        "vision": VISION,
    },
    "diffusion": DENOISER,
    "flow": DENOISER,
    "vla": {
        **{k: DENOISER[k] for k in ("chunk", "execute", "patch", "vision")},
        "transformer": TransformerConfig(layers=1, layer=LAYER, memory=True),
        "trunk": LAYER,
        "layers": 1,
        "sentence": SentenceConfig(buckets=64, words=8, width=32, layers=1, heads=4),
        "bins": 16,
    },
}
"""An algorithm that is not named here is tested as large as its quick preset is."""
MODELS = {"pi0": tiny_models.pi0, "vlm": tiny_models.smolvlm}


@functools.cache
def around(name: str) -> Mapping[str, Any]:
    """Return settings of an algorithm around a model of transformers: a tiny one; {} of others."""
    if name not in MODELS:
        return {}
    folder = MODELS[name](Path(tempfile.mkdtemp(prefix=f"armtrials-{name}-")))
    return {"weights": str(folder), "chunk": 4, "execute": 2}


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Replace the quick presets of all algorithms, and their variants, for the test."""
    for name in ALGORITHMS:
        presets = ALGORITHMS[name].load().PRESETS
        for track in TRACKS:
            for known in [k for where, k in presets if where == track and k.startswith("quick")]:
                chosen = presets[track, known]
                config = replace(chosen.config, **(SMALLER.get(name) or around(name)))
                training = replace(chosen.training, warmup=2, batch=8)
                made = chosen._replace(config=config, training=training)
                patch.setitem(presets, (track, known), made)  # type: ignore[arg-type]


def variants() -> list[tuple[str, str]]:
    """Return every algorithm with every quick preset that it has on the state track.

    Without those that learn in a task's own simulation: they need more than demonstrations.
    """
    return [
        (name, known)
        for name in ALGORITHMS
        if not ALGORITHMS[name].trainer
        for track, known in ALGORITHMS[name].load().PRESETS
        if track == "state" and known.startswith("quick")
    ]
