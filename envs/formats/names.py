"""What a quantity is called in each format.

=====================  ============================  =====================
an episode             LeRobot                       robomimic
=====================  ============================  =====================
``qpos``               ``observation.state``         ``qpos``
``qvel``               ``observation.velocity``      ``qvel``
``effort``             ``observation.effort``        ``effort``
``objects/cube``       ``observation.objects.cube``  ``objects_cube``
``images/wrist``       ``observation.images.wrist``  ``wrist_image``
``instruction``        ``observation.instruction``   ``instruction``
``state``              ``observation.environment_state``  ``state``
=====================  ============================  =====================
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.arm import Array
from envs.errors import UsageError

LEROBOT = {
    "qpos": "observation.state",
    "qvel": "observation.velocity",
    "effort": "observation.effort",
    "instruction": "observation.instruction",
    "state": "observation.environment_state",
}
PREFIXES = ("objects", "images")
PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names that are safe as a part of a path in every format."""


def check_name(name: str, where: object) -> str:
    """Return ``name`` if it may become a part of a path.

    Raises:
        UsageError: it has characters that are no letter, digit, ``_`` or ``-``.
    """
    if not PLAIN.fullmatch(name):
        raise UsageError(f"{where}: the name {name!r} must be 1 to 64 letters, digits, '_' or '-'")
    return name


def to_lerobot(key: str) -> str:
    """Return LeRobot's name of an observation."""
    kind, _, name = key.partition("/")
    if kind in PREFIXES:
        return f"observation.{kind}.{check_name(name, key)}"
    return LEROBOT[key]


def from_lerobot(feature: str) -> str | None:
    """Return our name of one of LeRobot's features, None where there is none."""
    for ours, theirs in LEROBOT.items():
        if feature == theirs:
            return ours
    match = re.fullmatch(r"observation\.(objects|images)\.([A-Za-z0-9_-]{1,64})", feature)
    if match:
        return f"{match[1]}/{match[2]}"
    return "images/image" if feature == "observation.image" else None


def to_robomimic(key: str) -> str:
    """Return robomimic's name of an observation (no dot and no slash: it names modules so)."""
    kind, _, name = key.partition("/")
    if kind == "images":
        return f"{check_name(name, key)}_image"
    return f"{kind}_{check_name(name, key)}" if name else key


def pack_vectors(vectors: Mapping[str, Array]) -> tuple[Array, list[list[Any]]]:
    """Join named vectors (T, k) to one (T, sum of k); return it with ``[name, k]`` of each."""
    names = sorted(vectors)
    layout = [[name, int(vectors[name].shape[1])] for name in names]
    return np.concatenate([vectors[name] for name in names], axis=1), layout


def unpack_vectors(state: Array, layout: Sequence[Sequence[Any]]) -> dict[str, Array]:
    """Undo ``pack_vectors``.

    Raises:
        UsageError: the layout does not fit the state.
    """
    widths = [int(width) for _, width in layout]
    if sum(widths) != state.shape[1]:
        raise UsageError(f"the state has {state.shape[1]} numbers, its origin tells {sum(widths)}")
    cuts = np.cumsum(widths)[:-1]
    parts = np.split(state, cuts, axis=1)
    return {str(name): part for (name, _), part in zip(layout, parts, strict=True)}


def read_origin(text: str) -> dict[str, Any]:
    """Return what ``EpisodeMeta.origin`` tells, {} where it is empty or not ours."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
