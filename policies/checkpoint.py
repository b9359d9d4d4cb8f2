"""The checkpoint folder: weights, settings, statistics, specification, origin, and a canary.

::

    model.safetensors    the weights; its header holds the hashes of the three files below
    config.json          algorithm, its settings, how it was trained
    stats.json           statistics of the training split
    spec.json            arm, joints, rate, observations: what the policy was made for
    canary.safetensors   a stored observation with the action it must give
    provenance.json      where it comes from, and the SHA-256 of every other file

An exported checkpoint has a graph, ``model.onnx`` or ``model.ts``, in place of the weights.
Each file is checked at every load and the canary is replayed before the first action.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from envs.arm import ArmSpec, Array
from envs.atomic import write_atomic
from envs.errors import UsageError
from policies.adapter import ADAPTER, BASE, apply_adapter, places_of
from policies.base import ALGORITHMS, Algorithm, AlgorithmConfig, Policy, PolicySpec
from policies.checkpoint_files import (
    BESIDE,
    CANARY,
    HASHES,
    MODEL,
    PROVENANCE,
    header_of,
    model_file,
    pretty,
    read_files,
    read_json,
    sha256,
    verify,
    verify_header,
)
from policies.configs import canonical, from_json, to_json
from policies.exported import ExportedPolicy, open_graph
from policies.floors import FLOOR, load_floor
from policies.hub_model import beside
from policies.lora import learned
from policies.naming import policy_name
from policies.normalize import Normalizer, Stats
from policies.remote import PATIENCE_S, REMOTE, RemotePolicy
from policies.trained import LearnedPolicy, TrainedPolicy

CONFIG = ("algorithm", "settings", "normalization", "image_size")
ENTRY = ("algorithm", "preset", "seed", "data", "training")
ORIGIN = ("hashes", "blind", *ENTRY)
"""What config.json and provenance.json must hold."""
CANARY_TOLERANCE = 1e-3
"""Largest difference of an action from the stored one [rad; gripper opening]: well below what a
motor resolves, well above what another CPU's summation order changes."""
CANARY_SEEDS = (0, 1)
CANARY_TOLD = ("put the red cube on the green zone", "wipe the marks off the board")
"""What a policy that acts on instructions is told at its canary; the others do not read it."""


def save_checkpoint(
    folder: Path,
    policy: TrainedPolicy,
    canary: Mapping[str, Array],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Path:
    """Write a checkpoint; each file is replaced atomically, the one with the hashes last.

    Args:
        folder: where to.
        policy: what to store.
        canary: observations for ``policy.act``, as many rows as ``CANARY_SEEDS``.
        config: ``algorithm``, its ``settings``, ``image_size`` and ``training``; of an adapter
            ``adapter``, see ``policies.adapter``: then the trained weights alone are stored.
        provenance: JSON values; ``hashes`` is added.

    Raises:
        UsageError: the folder cannot be written or the disk is full.
    """
    network = policy.algorithm
    kept = learned(network, network.whole) if ADAPTER in config else network.state_dict()
    weights = {k: v.detach().cpu().contiguous() for k, v in kept.items()}

    def model(header: str) -> bytes:
        return save_tensors(weights, metadata={BESIDE: header})

    return write_checkpoint(folder, policy, canary, config, provenance, (MODEL, model))


def write_checkpoint(
    folder: Path,
    policy: LearnedPolicy,
    canary: Mapping[str, Array],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    model: tuple[str, Callable[[str], bytes]],
) -> Path:
    """Write a checkpoint, see ``save_checkpoint``; ``model``: its file, and its bytes by header."""
    small = {
        "config.json": pretty({**config, "normalization": policy.normalizer.mode}),
        "stats.json": pretty(policy.normalizer.stats.to_json()),
        "spec.json": pretty(to_json(policy.spec)),
    }
    header = {name: sha256(data) for name, data in small.items()}
    policy.reset(CANARY_TOLD, CANARY_SEEDS)
    stored = {**canary, "action": policy.act(canary)}
    files = {
        model[0]: model[1](canonical(header).decode()),
        CANARY: save_arrays({key: np.ascontiguousarray(value) for key, value in stored.items()}),
        **small,
    }
    hashes = {name: sha256(data) for name, data in files.items()}
    for name, data in files.items():
        write_atomic(folder / name, data)
    write_atomic(folder / PROVENANCE, pretty({**provenance, "hashes": hashes}))
    return folder


def load_checkpoint(folder: Path, name: str = "", threads: int = 1) -> LearnedPolicy:
    """Read a checkpoint, verify every hash and replay its canary.

    Args:
        folder: the checkpoint folder.
        name: name of the policy; default: ``policies.naming.policy_name``.
        threads: of an exported graph; torch has its own setting.

    Raises:
        UsageError: a file is missing, truncated, edited or of another checkpoint, or the policy
            does not act as it did when it was stored; the message says which and what to do.
    """
    folder = Path(folder)
    model = model_file(folder)
    files = read_files(folder, model)
    provenance = read_json(files[PROVENANCE], folder / PROVENANCE, ORIGIN)
    verify(folder, files, provenance)
    graph = None if model == MODEL else open_graph(folder / model, files[model], threads)
    verify_header(folder, files, header_of(folder) if graph is None else graph.header, model)
    config = read_json(files["config.json"], folder / "config.json", CONFIG)
    spec = _parsed(PolicySpec, files, folder, "spec.json")
    stats = _parsed(Stats, files, folder, "stats.json")
    _check_stats(folder, stats, spec)
    kinds = (str(provenance["preset"]).partition("-")[2], "lora" if ADAPTER in config else "")
    variant = "-".join(filter(None, kinds))
    own = policy_name(str(config["algorithm"]), variant, bool(provenance["blind"]))
    parts = (spec, config, Normalizer(stats, str(config["normalization"])))
    policy = (
        _network(name or own, parts, files[MODEL], folder, provenance)
        if graph is None
        else ExportedPolicy.of(name, own, parts, graph)
    )
    policy.provenance = provenance
    policy.hashes = {
        what: provenance["hashes"][model if what == "weights" else file]
        for what, file in HASHES.items()
    }
    _replay_canary(policy, load_arrays(files[CANARY]), folder)
    return policy


Parts = tuple[PolicySpec, Mapping[str, Any], Normalizer]


def _network(
    name: str, parts: Parts, weights: bytes, folder: Path, provenance: Mapping[str, Any]
) -> TrainedPolicy:
    """Return the algorithm's network with its weights."""
    spec, config, normalizer = parts
    algorithm_class = ALGORITHMS[str(config["algorithm"])].load()
    settings: AlgorithmConfig = from_json(
        algorithm_class.Config, config["settings"], str(folder / "config.json")
    )
    settings = beside(settings, folder / BASE)
    size = config["image_size"]
    algorithm = algorithm_class(settings, spec.with_images(tuple(size) if size else None))
    _load_weights(algorithm, weights, folder, (config.get(ADAPTER), provenance))
    return TrainedPolicy(name, spec, algorithm, normalizer)


def load_network(folder: Path) -> TrainedPolicy:
    """Read a checkpoint whose network can be trained on, moved or exported.

    Raises:
        UsageError: see ``load_checkpoint``, or it is an exported graph.
    """
    policy = load_checkpoint(folder)
    if not isinstance(policy, TrainedPolicy):
        raise UsageError(
            f"{folder} is an exported graph, which cannot be changed: name the checkpoint that it "
            "was exported from"
        )
    return policy


def stored_observations(folder: Path) -> dict[str, Array]:
    """Return the canary's observations (2, n_obs, ...) of a checkpoint by key."""
    stored = load_arrays((Path(folder) / CANARY).read_bytes())
    return {key: value for key, value in stored.items() if key != "action"}


def rewrite_canary(path: Path, change: Callable[[Array], Array]) -> None:
    """Change the stored action in a canary's file, as only a planted defect does."""
    stored = load_arrays(path.read_bytes())
    path.write_bytes(save_arrays({**stored, "action": change(stored["action"])}))


@dataclass(frozen=True)
class Deployment:
    """Where a policy is to act."""

    arm: ArmSpec
    task: str
    track: str


def load_policy(
    source: str | Path,
    where: Deployment | None = None,
    threads: int = 1,
    patience: float = PATIENCE_S,
) -> Policy:
    """Load a policy by checkpoint folder, a floor by name, or one that is served elsewhere.

    Args:
        source: a folder, or ``floor:hold``, ``floor:random``, ``floor:replay:<data folder>``, or
            ``remote:ws://<host>:<port>``.
        where: what the policy will act on; it is checked, and floors need it.
        threads: of torch in this process; a fixed number gives the same bytes everywhere.
        patience: how long a server is waited for [s].

    Raises:
        UsageError: the checkpoint is broken, or was made for another arm, task or track.
    """
    torch.set_num_threads(threads)
    if str(source).startswith(FLOOR):
        if where is None:
            raise ValueError(f"{source} must be told the arm, the task and the track")
        return load_floor(str(source), where.arm, where.task, where.track)
    remote = str(source).startswith(REMOTE)
    policy = (
        RemotePolicy(str(source).removeprefix(REMOTE), patience)
        if remote
        else load_checkpoint(Path(source), threads=threads)
    )
    if where is not None:
        check_compatible(policy.spec, where)
    return policy


def load_checkpoint_on(folder: str, device: str = "cpu", threads: int = 1) -> LearnedPolicy:
    """Load a checkpoint to compute on a device of torch, by name.

    Raises:
        UsageError: the checkpoint is broken, no checkpoint, or the device cannot be used here.
    """
    torch.set_num_threads(threads)
    if device == "cpu":
        return load_checkpoint(Path(folder), threads=threads)
    policy = load_network(Path(folder))
    try:
        policy.algorithm.to(device)
    except (RuntimeError, AssertionError) as error:  # an unknown name, or no such hardware
        told = str(error).strip().splitlines()[0]
        raise UsageError(f"device {device!r} cannot be used here: {told}") from error
    return policy


def check_compatible(spec: PolicySpec, where: Deployment) -> None:
    """Refuse, with ``UsageError``, a policy that was made for something else."""
    pairs = {
        "arm": (spec.arm, where.arm.name),
        "joints": (spec.joints, where.arm.joints),
        "control rate [Hz]": (spec.control_hz, where.arm.control_hz),
        "task": (spec.task, where.task),
        "track": (spec.track, where.track),
    }
    for what, (made_for, found) in pairs.items():
        if made_for != found and not (what == "task" and found in spec.tasks):
            raise UsageError(
                f"the policy was trained for {what} {made_for!r}, this is {found!r}: "
                "train one for it, or choose what it was trained for"
            )


def manifest_entry(policy: Policy) -> dict[str, Any]:
    """Return what a run's manifest says of a policy: origin, hashes, data, training."""
    if isinstance(policy, RemotePolicy):
        return dict(policy.entry)
    if not isinstance(policy, LearnedPolicy):
        return {"name": policy.name, "algorithm": policy.name, "floor": True}
    entry = {key: policy.provenance[key] for key in ENTRY}
    floor = bool(policy.provenance["blind"])
    told = {"exported": policy.provenance["exported"]} if "exported" in policy.provenance else {}
    return {**entry, **told, "name": policy.name, "floor": floor, "hashes": dict(policy.hashes)}


def _check_stats(folder: Path, stats: Stats, spec: PolicySpec) -> None:
    widths = {key: spec.observations[key][0] for key in spec.vectors} | {"action": spec.n}
    for key, width in widths.items():
        found = len(stats.keys[key].mean) if key in stats.keys else 0
        if found != width:
            raise UsageError(
                f"{folder / 'stats.json'} must hold {width} dimensions of {key}, got {found}: "
                "statistics of another data set"
            )


def _load_weights(
    algorithm: Algorithm, data: bytes, folder: Path, adapted: tuple[Any, Mapping[str, Any]]
) -> None:
    """Load the weights; of an adapter, whose entry and provenance are ``adapted``, those beside."""
    entry, provenance = adapted
    try:
        if entry is None:
            algorithm.load_state_dict(load_tensors(data))
        else:
            places = places_of(folder, provenance)
            apply_adapter(algorithm, load_tensors(data), entry, places, load_network)
    except (SafetensorError, RuntimeError, ValueError, KeyError) as error:
        raise UsageError(f"{folder / MODEL} does not fit its config.json: {error}") from error


def _replay_canary(policy: LearnedPolicy, stored: dict[str, Array], folder: Path) -> None:
    expected = stored.pop("action")
    policy.reset(CANARY_TOLD, CANARY_SEEDS)
    difference = np.abs(policy.act(stored) - expected).max()
    if not difference <= CANARY_TOLERANCE:
        raise UsageError(
            f"{folder}: the policy does not act as when it was saved: its action differs by "
            f"{difference:.2g} (allowed {CANARY_TOLERANCE:g}); check the version of torch"
        )


def _parsed(kind: type[Any], files: Mapping[str, bytes], folder: Path, name: str) -> Any:  # noqa: ANN401
    return from_json(kind, read_json(files[name], folder / name), str(folder / name))
