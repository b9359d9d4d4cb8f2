"""How a healthy policy is broken: in its files, or in what stands between it and an arm."""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.arm import Array
from policies.base import Policy
from policies.checkpoint import (
    load_network,
    rewrite_canary,
    save_checkpoint,
    stored_observations,
)
from policies.checkpoint_files import MODEL, PROVENANCE, sha256
from policies.dataset import EpisodeSet, Reading
from policies.normalize import KeyStats, Normalizer, Stats
from policies.train import train
from policies.train_config import TrainConfig
from policies.trained import TrainedPolicy

Observations = Mapping[str, Array]
See = Callable[[Observations], Observations]
Say = Callable[[Array, Observations], Array]


@dataclass(frozen=True)
class Broken:
    """A broken policy: its folder, the adapter through which it is asked, and data of its own."""

    folder: Path
    adapter: Callable[[Policy], Policy] | None = None
    data: EpisodeSet | None = None


class Adapted:
    """A policy seen through an adapter that is wrong.

    Attributes:
        calls: predictions since the start of the trial.
    """

    def __init__(self, policy: Policy, see: See | None = None, say: Say | None = None) -> None:
        """Change what ``policy`` is shown, or what it says."""
        self.policy, self.name, self.spec = policy, policy.name, policy.spec
        self._see, self._say = see, say
        self.calls = 0

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials."""
        self.calls = 0
        self.policy.reset(instructions, seeds)

    def act(self, obs: Observations) -> Array:
        """Return what comes out."""
        self.calls += 1
        seen = obs if self._see is None else self._see(obs)
        chunk = np.array(self.policy.act(seen))
        return chunk if self._say is None else self._say(chunk, obs)


def through(see: See | None = None, say: Say | None = None) -> Callable[[Path, Path], Broken]:
    """Return what plants an adapter before an untouched folder."""
    return lambda source, folder: Broken(source, lambda policy: Adapted(policy, see, say))


def column(k: int, change: Callable[[Array], Array]) -> Say:
    """Change one column of the answers."""

    def say(chunk: Array, obs: Observations) -> Array:
        chunk[..., k] = change(chunk[..., k])
        return chunk

    return say


def hinges(factor: float) -> Say:
    """Multiply all columns but the last, the gripper."""

    def say(chunk: Array, obs: Observations) -> Array:
        chunk[..., :-1] *= factor
        return chunk

    return say


def offset(sign: float) -> Say:
    """Add the present position to the joints' targets, or take it off."""

    def say(chunk: Array, obs: Observations) -> Array:
        chunk[..., :-1] += sign * obs["qpos"][:, -1:, :-1]
        return chunk

    return say


def swapped(i: int, j: int) -> Say:
    """Exchange two columns of the answers."""

    def say(chunk: Array, obs: Observations) -> Array:
        chunk[..., [i, j]] = chunk[..., [j, i]]
        return chunk

    return say


def resampled(factor: float) -> Say:
    """Let a chunk be over ``factor`` times as soon."""

    def say(chunk: Array, obs: Observations) -> Array:
        last = chunk.shape[1] - 1
        at = np.minimum(np.round(np.arange(last + 1) * factor), last).astype(int)
        return chunk[:, at]

    return say


def noisy(size: float) -> Say:
    """Add white noise of deviation ``size``."""
    rng = np.random.default_rng(0)
    return lambda chunk, obs: chunk + size * rng.standard_normal(chunk.shape).astype(np.float32)


def shown(key: str, change: Callable[[Array], Array]) -> See:
    """Change one observation, or all whose key begins so."""

    def see(obs: Observations) -> Observations:
        return {k: change(v.copy()) if k.startswith(key) else v for k, v in obs.items()}

    return see


def exchanged(a: str, b: str) -> See:
    """Show one thing for the other."""
    return lambda obs: {**obs, a: obs[b], b: obs[a]}


class NanLater(Adapted):
    """Fails after 100 predictions of a trial."""

    def act(self, obs: Observations) -> Array:
        """Return NaN once it has been asked often."""
        chunk = super().act(obs)
        return chunk * np.nan if self.calls > 100 else chunk


class Stale(Adapted):
    """Gives the first chunk of a trial again and again."""

    first: Array | None = None

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials."""
        super().reset(instructions, seeds)
        self.first = None

    def act(self, obs: Observations) -> Array:
        """Return the first answer."""
        if self.first is None:
            self.first = super().act(obs)
        return self.first.copy()


class Slow(Adapted):
    """Takes long for a single observation, as an arm asks: always, or now and then."""

    seconds, every = 0.0, 1

    def act(self, obs: Observations) -> Array:
        """Wait, and answer."""
        chunk = super().act(obs)
        if len(chunk) == 1 and self.calls % self.every == 0:
            time.sleep(self.seconds)
        return chunk


def slow(seconds: float, every: int = 1) -> Callable[[Path, Path], Broken]:
    """Return what plants a wait of ``seconds`` in every so many predictions."""

    def plant(source: Path, folder: Path) -> Broken:
        def adapter(policy: Policy) -> Policy:
            made = Slow(policy)
            made.seconds, made.every = seconds, every
            return made

        return Broken(source, adapter)

    return plant


def copied(change: Callable[[Path], None]) -> Callable[[Path, Path], Broken]:
    """Return what edits a copy of the folder."""

    def plant(source: Path, folder: Path) -> Broken:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("tensorboard", "*.jsonl"))
        change(folder)
        return Broken(folder)

    return plant


def flip_byte(folder: Path) -> None:
    """Change one byte of the weights."""
    path = folder / MODEL
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


def truncate(folder: Path) -> None:
    """Cut the weights off, as a full disk does."""
    path = folder / MODEL
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_stats(folder: Path) -> None:
    """Forget to copy a file."""
    (folder / "stats.json").unlink()


def foreign_stats(folder: Path) -> None:
    """Put statistics of other data beside the weights, and mend the hash of the file."""
    path = folder / "stats.json"
    told = json.loads(path.read_text())
    told["keys"]["action"]["mean"][0] += 0.1
    data = json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"
    path.write_bytes(data)
    rehash(folder, "stats.json")


def rehash(folder: Path, name: str) -> None:
    """Make the provenance fit a file."""
    path = folder / PROVENANCE
    told = json.loads(path.read_text())
    told["hashes"][name] = sha256((folder / name).read_bytes())
    path.write_text(json.dumps(told))


def foreign_canary(folder: Path) -> None:
    """Store an answer that the policy does not give."""
    path = folder / "canary.safetensors"
    rewrite_canary(path, lambda action: action + np.float32(0.05))
    rehash(folder, path.name)


Change = Callable[[TrainedPolicy], TrainedPolicy]


def resaved(change: Change) -> Callable[[Path, Path], Broken]:
    """Return what saves a changed policy as a checkpoint that is consistent in itself."""

    def plant(source: Path, folder: Path) -> Broken:
        policy = change(load_network(source))
        config = json.loads((source / "config.json").read_text())
        origin = json.loads((source / PROVENANCE).read_text())
        save_checkpoint(folder, policy, stored_observations(source), config, origin)
        return Broken(folder)

    return plant


def remade(policy: TrainedPolicy, **changes: Any) -> TrainedPolicy:  # noqa: ANN401  (any part)
    """Return a policy with other parts: ``spec``, ``algorithm`` or ``normalizer``."""
    parts = {"spec": policy.spec, "algorithm": policy.algorithm, "normalizer": policy.normalizer}
    return TrainedPolicy(policy.name, **{**parts, **changes})


def with_spec(**changes: Any) -> Change:  # noqa: ANN401
    """Claim to be made for something else."""
    return lambda policy: remade(policy, spec=replace(policy.spec, **changes))


def reversed_joints(policy: TrainedPolicy) -> TrainedPolicy:
    """Claim another order of the joints."""
    joints = policy.spec.joints
    order = (joints[1], joints[0], *joints[2:])
    return remade(policy, spec=replace(policy.spec, joints=order))


def with_stats(change: Callable[[str, KeyStats], KeyStats]) -> Change:
    """Scale by other statistics."""

    def apply(policy: TrainedPolicy) -> TrainedPolicy:
        ours = policy.normalizer
        stats = Stats({key: change(key, one) for key, one in ours.stats.keys.items()})
        return remade(policy, normalizer=Normalizer(stats, ours.mode))

    return apply


def wider(key: str, one: KeyStats) -> KeyStats:
    """Return statistics of data with another spread."""
    std = tuple(1.6 * value for value in one.std)
    mean = tuple(value + 0.1 for value in one.mean)
    return replace(one, mean=mean, std=std)


def other_scaling(policy: TrainedPolicy) -> TrainedPolicy:
    """Normalise in the other way than in training."""
    ours = policy.normalizer
    mode = "minmax" if ours.mode == "meanstd" else "meanstd"
    return remade(policy, normalizer=Normalizer(ours.stats, mode))


def untrained(policy: TrainedPolicy) -> TrainedPolicy:
    """Forget what was learned."""
    kind, spec = type(policy.algorithm), policy.algorithm.spec
    return remade(policy, algorithm=kind(policy.algorithm.config, spec))


def coarse(policy: TrainedPolicy) -> TrainedPolicy:
    """Round the weights to four bits of their range."""
    for one in policy.algorithm.parameters():
        size = float(one.detach().abs().max()) / 3 or 1.0
        one.data = (one.data / size).round() * size
    return policy


FEW, LONG = 3, 1500
"""Demonstrations and gradient steps of an over-fit policy."""


def trained_on_few(data: Path) -> Callable[[Path, Path], Broken]:
    """Return what trains behaviour cloning for long on two demonstrations of ``data``."""

    def plant(source: Path, folder: Path) -> Broken:
        few = folder.with_name("few")
        few.mkdir(parents=True)
        for path in sorted(data.glob("*.hdf5"))[:FEW]:
            shutil.copy(path, few)
        config = TrainConfig("bc", few, folder, preset="quick", steps=LONG, validation=0.34)
        return Broken(train(config), data=EpisodeSet.load(few, Reading()))

    return plant
