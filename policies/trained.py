"""A trained network as a policy: where observations are scaled for deployment."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from envs.arm import Array
from envs.errors import UsageError
from envs.task import Task
from policies.base import Algorithm, Memory, Policy, PolicySpec
from policies.normalize import Normalizer, Stats
from policies.offsets import offset_columns
from policies.preprocess import resize

OBJECTS = "objects/"


class LearnedPolicy(ABC):
    """What came out of training: a network, or the graph that it was exported as.

    Attributes:
        name: name of the algorithm, or what the checkpoint was called.
        spec: what the policy was made for, with images of the size the cameras deliver.
        seen: the same with images of the size that the network sees.
        normalizer: scaling by the training split.
        provenance: what the checkpoint says of its making; empty while training.
        hashes: SHA-256 of weights, config, stats and spec; empty while training.
    """

    def __init__(
        self, name: str, spec: PolicySpec, seen: PolicySpec, normalizer: Normalizer
    ) -> None:
        """Describe the policy."""
        self.name = name
        self.spec, self.seen = spec, seen
        self.normalizer = normalizer
        self.provenance: Mapping[str, Any] = {}
        self.hashes: Mapping[str, str] = {}
        self._generators: list[np.random.Generator] = []

    @property
    @abstractmethod
    def noise_shape(self) -> tuple[int, ...] | None:
        """Shape of the standard normal noise a row takes; ``None`` for none."""

    @abstractmethod
    def _forget(self) -> None:
        """Empty the memory of a recurrent policy: new trials begin."""

    @abstractmethod
    def _actions(self, obs: dict[str, Array], noise: Array | None) -> Array:
        """Return chunks in physical units, of observations in physical units.

        Args:
            obs: checked; images have the size that the network sees.
            noise: (batch, *noise_shape) float32, or ``None`` where that is.
        """

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials, one a seed; a row's noise follows from its seed alone.

        Raises:
            UsageError: a policy that acts on instructions and is not told one in each trial.
        """
        if self.spec.language and len(instructions) != len(seeds):
            raise UsageError(
                f"{self.name} acts on an instruction: it must be told one in each of "
                f"{len(seeds)} trials, got {len(instructions)}"
            )
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._forget()

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return chunks of actions (batch, chunk, n) float32, in physical units.

        Args:
            obs: the keys of ``spec.observations``, each (batch, n_obs, ...).

        Raises:
            ValueError: a shape that is not the spec's, or a batch that is not the reset's.
        """
        rows = self._check(obs)
        inputs = {key: self._sized(key, obs[key]) for key in self.spec.observations}
        return self._actions(inputs, self._noise(rows))

    def _check(self, obs: Mapping[str, Array]) -> int:
        """Return the number of rows, all shapes checked."""
        rows = len(self._generators)
        for key, shape in self.spec.observations.items():
            expected = (rows, self.spec.n_obs, *shape)
            if key not in obs or obs[key].shape != expected:
                found = obs[key].shape if key in obs else "nothing"
                raise ValueError(f"observation {key} must have shape {expected}, got {found}")
        return rows

    def _sized(self, key: str, values: Array) -> Array:
        if not key.startswith("images/"):
            return values
        height, width, _ = self.seen.observations[key]
        return resize(values, (height, width))

    def _noise(self, rows: int) -> Array | None:
        shape = self.noise_shape
        if shape is None:
            return None
        noise = np.empty((rows, *shape), np.float32)
        for row, generator in zip(noise, self._generators, strict=True):
            generator.standard_normal(dtype=np.float32, out=row)
        return noise


class TrainedPolicy(LearnedPolicy):
    """An algorithm's network with the statistics it was trained under. Inference is fp32.

    Attributes:
        algorithm: the network, in evaluation mode; its own spec has the size it sees.
        offsets: columns of an action that the network gives as offsets.
    """

    def __init__(
        self, name: str, spec: PolicySpec, algorithm: Algorithm, normalizer: Normalizer
    ) -> None:
        """Wrap a network; it is put in evaluation mode."""
        super().__init__(name, spec, algorithm.spec, normalizer)
        self.algorithm = algorithm.eval()
        self._memory: Memory | None = None
        self._told = torch.zeros(0)
        self.offsets = offset_columns(algorithm.config, spec)

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Begin new trials; a language policy must be told what to do in each of them."""
        super().reset(instructions, seeds)
        if self.algorithm.language:
            self._told = self.algorithm.read(instructions)

    @property
    def noise_shape(self) -> tuple[int, ...] | None:
        """What the algorithm says."""
        return self.algorithm.noise_shape

    def _forget(self) -> None:
        self._memory = None

    def _actions(self, obs: dict[str, Array], noise: Array | None) -> Array:
        device = next(self.algorithm.parameters()).device
        inputs = {
            key: torch.from_numpy(self._scaled(key, values)).to(device)
            for key, values in obs.items()
        }
        if self.algorithm.language:
            inputs["sentence"] = self._told.to(device)
        with torch.inference_mode():
            drawn = None if noise is None else torch.from_numpy(noise).to(device)
            chunk, self._memory = self.algorithm.step(inputs, drawn, self._memory)
        actions = self.normalizer.denormalize("action", chunk.float().cpu().numpy())
        if self.offsets:
            moved = list(self.offsets)
            actions[..., moved] += obs["qpos"][:, -1:][..., moved]
        return actions

    def _scaled(self, key: str, values: Array) -> Array:
        scaled = values if key.startswith("images/") else self.normalizer.normalize(key, values)
        return np.ascontiguousarray(scaled)


def use_ddim_steps(policy: Policy, steps: int | None) -> None:
    """Let a policy that denoises predict by ``steps`` steps; None leaves its own.

    Raises:
        UsageError: the policy does not denoise here, or not by so many steps.
    """
    try:
        _override(policy, "ddim_steps", "use_steps", steps)
    except UsageError as error:  # the settings call them otherwise
        raise UsageError(str(error).replace("denoise must", "--ddim-steps must")) from error


def use_sampler(policy: Policy, name: str | None) -> None:
    """Let a diffusion policy denoise by ``"ddim"`` or ``"dpm"``; None leaves its own.

    Raises:
        UsageError: the policy does not denoise here, or an unknown sampler.
    """
    _override(policy, "sampler", "use_sampler", name)


def _override(policy: Policy, what: str, how: str, value: object) -> None:
    if value is None:
        return
    override = getattr(getattr(policy, "algorithm", None), how, None)
    if override is None and isinstance(policy, LearnedPolicy) and "exported" in policy.provenance:
        raise UsageError(
            f"{what} is part of an exported graph: give it to armtrials export, of the checkpoint "
            f"that {policy.name} was made from"
        )
    if override is None:
        raise UsageError(f"{what} belongs to a diffusion policy, and {policy.name} is none")
    override(value)


def fixed(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Return the observations without which a policy cannot be: of a language policy no objects."""
    seen = spec.observations.items()
    return {k: s for k, s in seen if not (spec.language and k.startswith(OBJECTS))}


def placed(policy: Policy, task: Task) -> Policy:
    """Return a language policy before the objects of ``task``, those it knows or others.

    Any other policy, and one that sees pictures, is returned as it is.
    """
    spec = policy.spec
    if not (isinstance(policy, TrainedPolicy) and spec.language) or spec.track != "state":
        return policy
    there = {f"{OBJECTS}{name}": (7,) for name in task.objects}
    policy.spec = replace(spec, task=task.name, observations={**fixed(spec), **there})
    policy.normalizer = scaled(policy.normalizer, policy.spec)
    return policy


def inherit(algorithm: Algorithm, base: Algorithm) -> None:
    """Give ``algorithm`` the weights of ``base``, in place.

    A weight of another shape than the base's, as another arm has, stays as it is.

    Raises:
        ValueError: weights of other names, or a shape that differs outside ``algorithm.whole``.
    """
    own, weights = algorithm.state_dict(), base.state_dict()
    apart = [k for k, w in weights.items() if k in own and own[k].shape != w.shape]
    if odd := [key for key in apart if not key.startswith(algorithm.whole)]:
        found = tuple(weights[odd[0]].shape)
        raise ValueError(f"{odd[0]} must have shape {tuple(own[odd[0]].shape)}, got {found}")
    algorithm.load_state_dict(weights | {key: own[key] for key in apart})


def scaled(normalizer: Normalizer, spec: PolicySpec) -> Normalizer:
    """Return the scaling of a language policy for the objects of ``spec``: one for all."""
    stats = normalizer.stats
    known = next((one for key, one in stats.keys.items() if key.startswith(OBJECTS)), None)
    if known is None:
        return normalizer
    others = {key: one for key, one in stats.keys.items() if not key.startswith(OBJECTS)}
    there = {key: known for key in spec.vectors if key.startswith(OBJECTS)}
    return Normalizer(Stats(others | there), normalizer.mode)
