"""Checkpoints with wrong statistics, made on purpose: what a mistake at deployment costs.

The folder that comes out is whole (its hashes and its canary are of the wrong policy), as when a
policy was exported with the statistics of another data set. Statistics that are merely replaced in
a folder are refused when it is loaded, see ``refusal``.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from envs.registry import Registry
from policies.checkpoint import (
    load_checkpoint,
    load_network,
    save_checkpoint,
    stored_observations,
)
from policies.checkpoint_files import PROVENANCE
from policies.normalize import KeyStats, Normalizer, Stats
from policies.trained import TrainedPolicy

JOINTS = ("qpos", "action")
OFFSET = 0.05
"""Joint zero that is off [rad; opening]: about 3 degrees."""
SHIFT = 0.02
"""Objects seen beside their place [m]."""
SCALE = 0.8


Column = Callable[[Array], Array]


def _mapped(stats: KeyStats, places: Column, spread: Column) -> KeyStats:
    """Return statistics with ``places`` of minimum, maximum and mean, and ``spread`` of std."""
    columns = (places(np.array(c)) for c in (stats.minimum, stats.maximum, stats.mean))
    low, high, mean = (tuple(column.tolist()) for column in columns)
    return KeyStats(stats.count, low, high, mean, tuple(spread(np.array(stats.std)).tolist()))


def _moved(stats: KeyStats, by: Array) -> KeyStats:
    return _mapped(stats, lambda v: v + by, lambda v: v)


def _scaled(stats: KeyStats, by: float) -> KeyStats:
    return _mapped(stats, lambda v: by * v, lambda v: by * v)


def _narrowed(stats: KeyStats, by: float) -> KeyStats:
    """Scale about the mean."""
    mean = np.array(stats.mean)
    return _mapped(stats, lambda v: mean + by * (v - mean), lambda v: by * v)


def _turned(stats: KeyStats) -> KeyStats:
    """Swap the first two joints."""
    order = [1, 0, *range(2, len(stats.mean))]
    return _mapped(stats, lambda v: v[order], lambda v: v[order])


Keys = Mapping[str, KeyStats]


def _each(keys: Keys, chosen: Callable[[str], bool], how: Callable[[KeyStats], KeyStats]) -> Keys:
    return {name: how(one) if chosen(name) else one for name, one in keys.items()}


def _offset(keys: Keys) -> Keys:
    return _each(keys, lambda k: k in JOINTS, lambda s: _moved(s, np.full(len(s.mean), OFFSET)))


def _place(keys: Keys) -> Keys:
    by = np.array([SHIFT, 0, 0, 0, 0, 0, 0])
    return _each(keys, lambda k: k.startswith("objects/"), lambda s: _moved(s, by))


def _scale(keys: Keys) -> Keys:
    return _each(keys, lambda k: k == "action", lambda s: _narrowed(s, SCALE))


def _swap(keys: Keys) -> Keys:
    return _each(keys, lambda k: k in JOINTS, _turned)


def _degrees(keys: Keys) -> Keys:
    return _each(keys, lambda k: k == "qpos", lambda s: _scaled(s, 180 / np.pi))


DAMAGES: Registry[Callable[[Keys], Keys]] = Registry("damage")
"""What is done to statistics: every joint's zero off by ``OFFSET``; objects off by ``SHIFT`` in x;
actions scaled by ``SCALE`` about their mean; the first two joints swapped; joint positions in
degrees. ``mode`` leaves them and takes minimum and maximum for mean and deviation, or these for
those."""
for _name, _how in (
    ("offset", _offset),
    ("place", _place),
    ("scale", _scale),
    ("swap", _swap),
    ("degrees", _degrees),
    ("mode", lambda keys: keys),
):
    DAMAGES.register(_name, _how)


def damaged(folder: Path, kind: str) -> Path:
    """Return the folder of the checkpoint in ``folder`` with a registered damage, made once.

    Raises:
        UsageError: an unknown damage, or a broken checkpoint.
    """
    how, out = DAMAGES[kind], folder / "damaged" / kind
    if (out / PROVENANCE).is_file():
        return out
    policy = load_network(folder)
    mode = policy.normalizer.mode
    if kind == "mode":
        mode = "minmax" if mode == "meanstd" else "meanstd"
    wrong = Normalizer(Stats(dict(how(policy.normalizer.stats.keys))), mode)
    config = json.loads((folder / "config.json").read_text())
    origin = {k: v for k, v in policy.provenance.items() if k != "hashes"} | {"damage": kind}
    made = TrainedPolicy(policy.name, policy.spec, policy.algorithm, wrong)
    return save_checkpoint(out, made, stored_observations(folder), config, origin)


def refusal(folder: Path, kind: str) -> str:
    """Return what loading says where the damaged statistics are put into the folder itself.

    Returns:
        The message; "" where it loads.
    """
    other = damaged(folder, kind)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "policy"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("damaged", "steps"))
        for name in ("stats.json", "config.json"):
            shutil.copy(other / name, copy / name)
        try:
            load_checkpoint(copy)
        except UsageError as error:
            return str(error).replace(str(copy), str(folder))
    return ""
