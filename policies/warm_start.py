"""Where a training begins: with fresh weights, or with those of another checkpoint."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from envs.errors import UsageError
from policies.base import PolicySpec, Preset
from policies.checkpoint import load_network
from policies.hub_model import HubConfig
from policies.normalize import Normalizer, Stats
from policies.sentences import encoder_of
from policies.train_config import TrainConfig
from policies.trained import TrainedPolicy, fixed, scaled

OF_ARM = ("qpos", "action")
"""What is measured in joints."""


def begin_with(config: TrainConfig, plan: Preset) -> tuple[Preset, TrainedPolicy | None]:
    """Return what is trained and how, and the policy of ``config.initial`` to go on from, if any.

    Its network's settings and how it scales are kept; the rest of ``plan`` says how it is trained.

    Raises:
        UsageError: the checkpoint is broken or of another algorithm, or an option asks for another
            network than its own.
    """
    if config.initial is None:
        return plan, None
    policy = load_network(config.initial)
    origin = policy.provenance
    pairs = {
        "algorithm": (origin["algorithm"], config.algo),
        "--blind": (origin["blind"], config.blind),
    }
    _check_alike(config, pairs)
    if apart := list(_differences(config, plan, policy)):
        raise UsageError(
            f"{config.initial}: training that begins with it keeps its network and scaling "
            f"({', '.join(apart)}): leave such options away"
        )
    training = replace(plan.training, normalization=policy.normalizer.mode)
    return Preset(policy.algorithm.config, training), policy


def scaling(
    config: TrainConfig, policy: TrainedPolicy, spec: PolicySpec, fresh: Normalizer
) -> Normalizer:
    """Return the scaling under which ``policy`` learns on for ``spec``: its own.

    A policy that is told in words may go on with another arm, whose joints and actions are scaled
    as in ``fresh``.

    Raises:
        UsageError: the policy is of another observation, or of another arm and not told in words.
    """
    seen = [fixed(one) for one in (policy.spec, spec)]
    if policy.spec.arm == spec.arm:
        _check_alike(config, {"observations": (seen[0], seen[1])})
        return scaled(policy.normalizer, spec) if spec.language else policy.normalizer
    if not spec.language:
        raise UsageError(
            f"{config.initial}: training cannot begin with it: its arm must be {spec.arm}, got "
            f"{policy.spec.arm}; only a policy that is told in words goes on with another arm"
        )
    others = [{k: s for k, s in keys.items() if k not in OF_ARM} for keys in seen]
    _check_alike(config, {"observations": (others[0], others[1])})
    own = scaled(policy.normalizer, spec)
    joints = {key: one for key, one in fresh.stats.keys.items() if key in OF_ARM}
    return Normalizer(Stats({**own.stats.keys, **joints}), own.mode)


def _check_alike(config: TrainConfig, pairs: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuse to begin with ``config.initial`` where a pair (found, wanted) differs."""
    for what, (found, wanted) in pairs.items():
        if found != wanted:
            raise UsageError(
                f"{config.initial}: training cannot begin with it: its {what} must be {wanted}, "
                f"got {found}"
            )


def _differences(config: TrainConfig, plan: Preset, policy: TrainedPolicy) -> Iterator[str]:
    """Yield what was asked for and is not so in ``policy``: ``--chunk 20, not 10``."""
    own, asked = policy.algorithm.config, plan.config
    variants = [name.partition("-")[2] for name in (policy.provenance["preset"], config.preset)]
    pairs = {
        "variant of --preset": (variants[0] or "none", variants[1]),
        "--chunk": (own.chunk, config.chunk),
        "--normalization": (policy.normalizer.mode, config.normalization),
        "--sentences": (encoder_of(own), config.sentences),
    }
    if config.weights and isinstance(own, HubConfig) and isinstance(asked, HubConfig):
        pairs["--weights"] = (own.sha256, asked.sha256)
    for what, (found, wanted) in pairs.items():
        if wanted and found != wanted:
            yield f"{what} {found}, not {wanted}"
